"""Each flaw of a video is found by its rule, and a good video has none."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.submission.issues import Severity
from nersemble_async.submission.validation.video_checks import check_video
from tests.support.head_videos import SMALL_SPEC, RgbImage, head, write_frames, write_heads
from tests.support.video_checking import ENTRY, check, issues_of, only_issue

# ---- good ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("deep", [False, True])
def test_a_good_video_raises_no_issue_and_gives_samples(tmp_path: Path, deep: bool) -> None:
    findings = check(write_heads(tmp_path / "a.mp4", 20), 20, deep=deep)
    assert findings.issues == ()
    assert findings.n_frames == 20
    assert findings.samples[0].frame_index == 0
    assert len(findings.samples) == 5
    for sample in findings.samples:
        picture = sample.picture
        assert picture.shape == (100, 67, 3)
        assert picture[2, 2].min() > 250
        assert abs(int(picture[48, 33, 0]) - 205) < 12


@pytest.mark.parametrize("n_frames", [1, 2])
def test_a_video_of_one_or_two_frames_is_not_called_frozen(tmp_path: Path, n_frames: int) -> None:
    path = write_frames(tmp_path / "a.mp4", [head(0)] * n_frames)
    assert issues_of(path, n_frames) == []
    assert issues_of(path, n_frames, deep=True) == []


def test_the_rate_of_mono_is_243_tenths(tmp_path: Path) -> None:
    spec = replace(BENCHMARKS["mono_flame_avatar"], frame_size=(64, 96))
    path = write_heads(tmp_path / "a.mp4", 8, rate=Fraction(243, 10))
    assert check_video(path, ENTRY, spec, 8, deep=False).issues == ()
    (issue,) = check(path).issues
    assert (issue.rule, issue.found) == ("wrong-frame-rate", "24.3 frames per second")
    assert issue.expected == "73 frames per second"


@pytest.mark.parametrize("timescale", [600, 1000, 90000])
def test_a_rate_that_a_clock_rounds_is_right(tmp_path: Path, timescale: int) -> None:
    path = write_heads(
        tmp_path / "a.mp4", 20, container_options={"video_track_timescale": str(timescale)}
    )
    assert issues_of(path, 20) == []


def test_without_a_known_length_any_number_of_frames_is_right(tmp_path: Path) -> None:
    assert issues_of(write_heads(tmp_path / "a.mp4", 5), None) == []


# ---- container ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 64, b"\x89PNG\r\n\x1a\n" + b"\0" * 99, b"ftyp", b"RIFF1234AVI "]
)
def test_what_is_no_mp4_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    issue = only_issue(path)
    assert issue.rule == "unreadable-video"
    assert str(tmp_path) not in issue.found


def test_a_missing_file_is_the_callers_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check(tmp_path / "none.mp4")


def test_a_fragmented_video_is_found_and_the_official_validator_counts_no_frames(
    tmp_path: Path,
) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    path = write_heads(tmp_path / "a.mp4", 8, gop=4, container_options=options)
    issue = only_issue(path)
    assert issue.rule == "fragmented-video"
    assert issue.official == ("wrong_frame_counts", (ENTRY.path, 0, 8))
    assert issues_of(path, 9) == ["fragmented-video", "wrong-frame-count"]
    assert [issue.official for issue in check(path, 9).issues] == [
        None,
        ("wrong_frame_counts", (ENTRY.path, 0, 9)),
    ]


def test_sound_is_one_stream_too_many(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", format="mp4") as container:
        video: Any = container.add_stream("libx264", rate=Fraction(73), options={"crf": "14"})
        video.width, video.height, video.pix_fmt = 64, 96, "yuv420p"
        sound: Any = container.add_stream("aac", rate=48000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate, silence.pts = 48000, 0
        for index in range(8):
            frame = av.VideoFrame.from_ndarray(head(index), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
        container.mux(video.encode(None))
    issue = only_issue(path)
    assert (issue.rule, issue.found) == ("extra-streams", "also a stream of audio")
    assert issue.severity is Severity.WARNING


def test_a_file_of_sound_alone_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", format="mp4") as container:
        sound: Any = container.add_stream("aac", rate=48000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate, silence.pts = 48000, 0
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    issue = only_issue(path)
    assert (issue.rule, issue.found) == ("unreadable-video", "the mp4 has no video stream")


# ---- codec, size, display -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "name"), [("libx265", "hevc"), ("libvpx-vp9", "vp9"), ("mpeg4", "mpeg4")]
)
def test_another_codec_is_found(tmp_path: Path, codec: str, name: str) -> None:
    path = write_heads(tmp_path / "a.mp4", 8, codec=codec)
    issue = only_issue(path)
    assert (issue.rule, issue.found, issue.official) == ("wrong-codec", name, None)


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p10le", "yuvj420p"])
def test_another_pixel_format_is_found(tmp_path: Path, pixel_format: str) -> None:
    path = write_heads(tmp_path / "a.mp4", 8, pixel_format=pixel_format)
    issue = only_issue(path)
    assert (issue.rule, issue.found) == ("wrong-pixel-format", pixel_format)


def test_another_size_is_found_with_the_official_words(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "a.mp4", (head(i, (66, 96)) for i in range(8)))
    issue = only_issue(path)
    assert (issue.rule, issue.found) == ("wrong-resolution", "66 x 96 pixels")
    assert issue.official == ("wrong_resolutions", (ENTRY.path, (66, 96), (64, 96)))


def test_a_size_that_changes_within_the_video_is_found(tmp_path: Path) -> None:
    """Two streams in one: each keyframe has a header of its own, and the second another size."""
    path = tmp_path / "a.mp4"
    _write_joined(path, [(64, 96), (48, 96)])
    issue = only_issue(path, deep=True)
    assert issue.rule == "wrong-resolution"
    assert issue.found == "frame 4 is 48 x 96 pixels"


def _write_joined(path: Path, sizes: list[tuple[int, int]]) -> None:
    """Four frames of each size, each with its headers in the packets, in one track."""
    with av.open(str(path), "w", format="mp4") as container:
        track: Any = container.add_stream("libx264", rate=Fraction(73))
        track.width, track.height, track.pix_fmt = *sizes[0], "yuv420p"
        packets = []
        for size in sizes:
            encoder: Any = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
            encoder.time_base = Fraction(1, 73)
            encoder.options = {"crf": "14", "tune": "zerolatency"}
            for index in range(4):
                frame = av.VideoFrame.from_ndarray(head(index + 4, size), format="rgb24")
                frame.pts = index
                packets += encoder.encode(frame)
            packets += encoder.encode(None)
        for index, packet in enumerate(packets):
            packet.stream = track
            packet.pts = packet.dts = index
            packet.duration = 1
            packet.time_base = Fraction(1, 73)
            container.mux_one(packet)


def test_pixels_that_are_not_square_are_found(tmp_path: Path) -> None:
    def set_aspect(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    issue = only_issue(write_heads(tmp_path / "a.mp4", 8, with_stream=set_aspect))
    assert (issue.rule, issue.found) == ("altered-display", "pixels 4/3 times as wide as high")


def test_a_display_matrix_is_found(tmp_path: Path) -> None:
    path = write_heads(tmp_path / "a.mp4", 8)
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    data = path.read_bytes()
    track = data.index(b"tkhd")
    path.write_bytes(data[:track] + data[track:].replace(plain, turned, 1))
    issue = only_issue(path)
    assert issue.rule == "altered-display"
    assert "turns" in issue.found


# ---- counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_frames", [7, 9])
def test_another_count_is_found_with_the_official_words(tmp_path: Path, n_frames: int) -> None:
    issue = only_issue(write_heads(tmp_path / "a.mp4", n_frames))
    assert (issue.rule, issue.found) == ("wrong-frame-count", f"{n_frames} frames")
    assert (issue.expected, issue.official) == (
        "8 frames",
        ("wrong_frame_counts", (ENTRY.path, n_frames, 8)),
    )


def test_frames_that_an_edit_list_hides_do_not_count(tmp_path: Path) -> None:
    path = write_heads(tmp_path / "a.mp4", 8)
    data = bytearray(path.read_bytes())
    edits = data.index(b"elst") + 4
    duration, start = struct.unpack_from(">Ii", data, edits + 8)
    # The movie's clock counts milliseconds, the track's 18,688 a second: 256 a frame.
    struct.pack_into(">Ii", data, edits + 8, duration * 6 // 8, start + 2 * 256)
    path.write_bytes(data)
    issue = only_issue(path)
    assert issue.rule == "wrong-frame-count"
    assert issue.found == "6 frames, and 2 more that an edit list hides"
    assert issue.official is None
    official = only_issue(path, 6).official
    assert official == ("wrong_frame_counts", (ENTRY.path, 8, 6))
    assert issues_of(path, None) == ["wrong-frame-count"]


# ---- rate ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [Fraction(72), Fraction(75), Fraction(30), Fraction(73000, 1001)])
def test_another_rate_is_found(tmp_path: Path, rate: Fraction) -> None:
    rules = issues_of(write_heads(tmp_path / "a.mp4", 30, rate=rate), 30)
    # 73 / 1.001 is as near as a clock may be off.
    assert rules == ([] if rate == Fraction(73000, 1001) else ["wrong-frame-rate"])


def test_the_rate_of_a_single_frame_is_the_headers(tmp_path: Path) -> None:
    issue = only_issue(write_heads(tmp_path / "a.mp4", 1, rate=Fraction(25)), 1)
    assert issue.found == "25 frames per second, as the header says"


def test_a_frame_that_was_left_out_of_the_times_is_found(tmp_path: Path) -> None:
    path = write_heads(tmp_path / "a.mp4", 8, time_of=lambda index: index + (index >= 5))
    issue = only_issue(path)
    assert issue.rule == "wrong-frame-rate"
    assert issue.found.startswith("frames at uneven times: frame 5 comes 0.0274 s after")


# ---- content ------------------------------------------------------------------------------------


LARGER_SPEC = replace(SMALL_SPEC, frame_size=(256, 384))
"""Small pictures of it are averages, as those of the benchmark's videos."""


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("rule", "image"),
    [
        ("frozen-video", head(0, (256, 384))),
        ("black-video", np.zeros((384, 256, 3), np.uint8)),
        ("constant-video", np.full((384, 256, 3), 255, np.uint8)),
    ],
)
def test_a_video_of_one_picture_is_warned_of(
    tmp_path: Path, rule: str, image: RgbImage, deep: bool
) -> None:
    path = write_frames(tmp_path / "a.mp4", [image] * 12, gop=5)
    (issue,) = check_video(path, ENTRY, LARGER_SPEC, 12, deep=deep).issues
    assert (issue.rule, issue.severity) == (rule, Severity.WARNING)


@pytest.mark.parametrize("deep", [False, True])
def test_black_around_the_head_is_warned_of(tmp_path: Path, deep: bool) -> None:
    frames = (head(index, background=(0, 0, 0)) for index in range(8))
    issue = only_issue(write_frames(tmp_path / "a.mp4", frames), deep=deep)
    assert (issue.rule, issue.severity) == ("wrong-background", Severity.WARNING)
    assert issue.found == "a background of black (0, 0, 0)"


def test_a_head_that_moves_late_is_not_frozen(tmp_path: Path) -> None:
    """The frames that are looked at first are all the same."""
    frames = [head(0)] * 61
    frames[3] = head(4)
    assert issues_of(write_frames(tmp_path / "a.mp4", frames), 61) == []
