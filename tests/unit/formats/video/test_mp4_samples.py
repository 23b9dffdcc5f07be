"""The count of an mp4's frames without a demuxer: PyAV counts as many, and damage is found."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.mp4_samples import count_video_samples
from nersemble_async.formats.video.probe import probe_video

N_FRAMES = 23
STBL = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
FASTSTART = {"movflags": "faststart"}


def _write_video(
    path: Path,
    *,
    n_frames: int = N_FRAMES,
    codec: str = "libx264",
    muxer: Mapping[str, str] | None = None,
    encoder: Mapping[str, str] | None = None,
    audio: bool = False,
    video: bool = True,
) -> None:
    with av.open(str(path), "w", format="mp4", options=dict(muxer or {})) as container:
        streams: list[Any] = []
        if video:
            stream: Any = container.add_stream(
                codec, rate=Fraction(73), options=dict(encoder or {})
            )
            stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
            streams.append(stream)
        if audio:
            streams.append(container.add_stream("aac", rate=48_000))
        for index in range(n_frames):
            if video:
                image = np.full((16, 32, 3), 11 * (index % 23), np.uint8)
                image[:, : index + 1] = 200
                container.mux(streams[0].encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            if audio:
                silence = np.zeros((2, 1024), np.float32)
                sound = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
                sound.sample_rate = 48_000
                container.mux(streams[-1].encode(sound))
        for stream in streams:
            container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Chunks of several samples, between audio; the index comes last."""
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    _write_video(path, audio=True, encoder={"bf": "3"})
    return path.read_bytes()


@pytest.fixture(scope="module")
def bare_video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("video") / "bare.mp4"
    _write_video(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_frames": 1},
        {"muxer": FASTSTART},
        {"encoder": {"bf": "0", "g": "1"}},
        {"encoder": {"bf": "8", "g": "5"}},
        {"encoder": {"bf": "8", "g": "250"}, "muxer": {"use_editlist": "0"}},
        {"encoder": {"x264-params": "bframes=3:b-pyramid=normal:keyint=12"}, "muxer": FASTSTART},
        {"audio": True},
        {"audio": True, "muxer": FASTSTART},
        {"muxer": {"moov_size": "20000"}},
        {"muxer": {"movflags": "negative_cts_offsets", "video_track_timescale": "90000"}},
        {"muxer": {"movflags": "hybrid_fragmented"}},
        {"codec": "mpeg4"},
    ],
    ids=str,
)
def test_as_many_as_pyav_counts(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "video.mp4"
    _write_video(path, **options)
    n_frames = options.get("n_frames", N_FRAMES)
    assert count_video_samples(path) == probe_video(path).n_frames == n_frames


@pytest.mark.parametrize("muxer", [{}, FASTSTART], ids=str)
def test_every_truncation_is_found(tmp_path: Path, muxer: dict[str, str]) -> None:
    path = tmp_path / "video.mp4"
    _write_video(path, n_frames=3, muxer=muxer)
    for kept in reversed(range(path.stat().st_size)):
        os.truncate(path, kept)
        with pytest.raises(DecodeError):
            count_video_samples(path)


def _span(data: bytes, kind: bytes, after: int = 0) -> tuple[int, int]:
    """Where the first box of a kind lies, its head included."""
    start = data.index(kind, after) - 4
    return start, start + int.from_bytes(data[start : start + 4], "big")


def _replace(data: bytes, kind: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change one of the tables and mend the sizes around it; the index must come last."""
    index_start = _span(data, b"moov")[0]
    start, end = _span(data, kind, index_start)
    new = change(data[start + 8 : end])
    result = bytearray(data)
    result[start:end] = new
    for parent in STBL:
        place, parent_end = _span(data, parent, index_start)
        grown = parent_end - place + len(new) - (end - start)
        result[place : place + 4] = grown.to_bytes(4, "big")
    return bytes(result)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _numbers(body: bytes, skipped_bytes: int) -> tuple[int, ...]:
    return struct.unpack(f">{(len(body) - skipped_bytes) // 4}I", body[skipped_bytes:])


def _table(kind: bytes, *numbers: int) -> Callable[[bytes], bytes]:
    return lambda _: _box(kind, struct.pack(f">{len(numbers)}I", *numbers))


def _changed(kind: bytes, index: int, change: Callable[[int], int]) -> Callable[[bytes], bytes]:
    """The table with its 32-bit number at ``index`` changed, counted from version and flags."""

    def apply(body: bytes) -> bytes:
        place = slice(4 * index, 4 * index + 4)
        number = change(int.from_bytes(body[place], "big"))
        return _box(kind, body[: place.start] + number.to_bytes(4, "big") + body[place.stop :])

    return apply


def _compact(size_bits: int) -> Callable[[bytes], bytes]:
    def apply(body: bytes) -> bytes:
        sizes = _numbers(body, 12)
        head = struct.pack(">III", 0, size_bits, len(sizes))
        return _box(b"stz2", head + struct.pack(f">{len(sizes)}H", *sizes))

    return apply


def _with_wide_offsets(body: bytes) -> bytes:
    offsets = _numbers(body, 8)
    return _box(b"co64", body[:8] + struct.pack(f">{len(offsets)}Q", *offsets))


def test_other_tables_of_the_same_meaning(tmp_path: Path, video: bytes) -> None:
    path = tmp_path / "video.mp4"
    for kind, change in ((b"stco", _with_wide_offsets), (b"stsz", _compact(16))):
        path.write_bytes(_replace(video, kind, change))
        assert count_video_samples(path) == probe_video(path).n_frames == N_FRAMES


@pytest.mark.parametrize(
    ("size_bits", "table"),
    [(4, b"\x98\x70"), (8, b"\x09\x08\x07"), (16, b"\x00\x09\x00\x08\x00\x07")],
)
def test_compact_sizes_of_each_width(tmp_path: Path, size_bits: int, table: bytes) -> None:
    path = tmp_path / "video.mp4"
    _write_video(path, n_frames=3)
    data = path.read_bytes()
    body = struct.pack(">III", 0, size_bits, 3) + table
    data = _replace(data, b"stsz", lambda _: _box(b"stz2", body))
    path.write_bytes(data)
    assert count_video_samples(path) == 3
    # Three samples of 24 bytes together fit to the byte where the chunk is moved to the end.
    mdat_end = _span(data, b"mdat")[1]
    path.write_bytes(_replace(data, b"stco", _table(b"stco", 0, 1, mdat_end - 24)))
    assert count_video_samples(path) == 3
    path.write_bytes(_replace(data, b"stco", _table(b"stco", 0, 1, mdat_end - 23)))
    with pytest.raises(DecodeError, match="leads out of the media data"):
        count_video_samples(path)


def test_media_data_of_more_than_four_gigabytes(tmp_path: Path, bare_video: bytes) -> None:
    # ffmpeg keeps 8 bytes free before the media data, and writes the long form of its head there.
    start, end = _span(bare_video, b"free")
    media_end = _span(bare_video, b"mdat")[1]
    head = struct.pack(">I4sQ", 1, b"mdat", media_end - start)
    path = tmp_path / "video.mp4"
    path.write_bytes(bare_video[:start] + head + bare_video[end + 8 :])
    assert count_video_samples(path) == probe_video(path).n_frames == N_FRAMES


MANY = 1 << 31


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (b"stts", _changed(b"stts", 2, lambda n: n + 1), "24 frames have a duration, 23 have"),
        (b"stts", _changed(b"stts", 1, lambda _: MANY), "more than there is room for"),
        (b"stsz", _changed(b"stsz", 2, lambda n: n - 1), "23 frames have a duration, 22 have"),
        (b"stsz", _changed(b"stsz", 2, lambda _: 0), "the video has no frames"),
        (b"stsz", _changed(b"stsz", 5, lambda _: 0), "a frame without bytes"),
        (b"stsz", _changed(b"stsz", 5, lambda _: MANY), "leads out of the media data"),
        (b"stsz", lambda body: _box(b"stsz", body) * 2, "two tables 'stsz'"),
        (b"stsz", lambda body: _box(b"stsz", body) + _compact(16)(body), "2 tables 'stsz' or"),
        (b"stsz", _compact(7), "sample sizes of 7 bits"),
        (b"stsz", _table(b"stsz", 0, 0), "a broken table"),
        (b"stsz", lambda _: b"", "0 tables 'stsz' or 'stz2'"),
        (b"stco", _changed(b"stco", 2, lambda _: 8), "leads out of the media data, to byte 8"),
        (b"stco", _changed(b"stco", 2, lambda _: MANY), "leads out of the media data"),
        (b"stco", _changed(b"stco", 1, lambda n: n - 1), "chunk 14 follows chunk 14"),
        (b"stco", _table(b"stco", 0, 0), "table of chunks"),
        (b"stco", _table(b"stco", 0), "'stco' is too short"),
        (b"stsc", _changed(b"stsc", 2, lambda _: 2), "chunk 2 follows chunk 0"),
        (b"stsc", _changed(b"stsc", 5, lambda _: 1), "chunk 1 follows chunk 1"),
        (b"stsc", _changed(b"stsc", 3, lambda n: n + 1), "the chunks hold"),
        (b"stsc", _changed(b"stsc", 3, lambda _: MANY), "the chunks hold"),
        (b"stsc", _changed(b"stsc", 3, lambda _: 0), "chunk 1 is empty"),
        (b"stsc", _changed(b"stsc", 4, lambda _: 2), "has no sample description"),
        (b"stsd", _changed(b"stsd", 1, lambda n: n + 1), "1 of 2 sample descriptions"),
        (b"stsd", _table(b"stsd", 0, 0), "0 of 0 sample descriptions"),
        (b"stsd", _changed(b"stsd", 10, lambda _: 0), "a video of 0 × 0 pixels"),
        (b"avc1", lambda body: _box(b"avcX", body), "an unknown codec 'avcX'"),
        (b"stsd", lambda body: _box(b"stsd", body[:8] + _box(b"avc1", body[16:94])), "lacks its"),
        (b"stsd", lambda body: _box(b"stsd", body[:8] + _box(b"avc1", body[16:93])), "too short"),
        (b"avcC", lambda body: _box(b"avcX", body), "'avc1' lacks its 'avcC'"),
        (b"hdlr", lambda body: _box(b"hdlr", body.replace(b"vide", b"text")), "0 video tracks"),
        (b"hdlr", lambda body: _box(b"free", body), "0 boxes 'hdlr' in a 'mdia'"),
    ],
)
def test_an_index_that_lies(
    tmp_path: Path, video: bytes, kind: bytes, change: Callable[[bytes], bytes], message: str
) -> None:
    path = tmp_path / "lying.mp4"
    path.write_bytes(_replace(video, kind, change))
    with pytest.raises(DecodeError, match=message) as caught:
        count_video_samples(path)
    assert caught.value.path == str(path)


def test_sizes_all_alike_are_held_against_the_file(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    _write_video(path, n_frames=1)
    data = path.read_bytes()
    path.write_bytes(_replace(data, b"stsz", _changed(b"stsz", 1, lambda n: n + 1)))
    with pytest.raises(DecodeError, match="leads out of the media data"):
        count_video_samples(path)


def test_there_is_exactly_one_video_track(tmp_path: Path, bare_video: bytes) -> None:
    path = tmp_path / "sound.mp4"
    _write_video(path, audio=True, video=False)
    with pytest.raises(DecodeError, match="0 video tracks"):
        count_video_samples(path)
    track = slice(*_span(bare_video, b"trak"))
    index_start = _span(bare_video, b"moov")[0]
    index_body = bare_video[index_start + 8 :]
    path.write_bytes(bare_video[:index_start] + _box(b"moov", index_body + bare_video[track]))
    with pytest.raises(DecodeError, match="2 video tracks"):
        count_video_samples(path)
    path.write_bytes(bare_video + _box(b"moov", index_body))
    with pytest.raises(DecodeError, match="2 indexes"):
        count_video_samples(path)


def test_a_fragmented_video_has_no_index_to_count_in(tmp_path: Path, bare_video: bytes) -> None:
    path = tmp_path / "fragmented.mp4"
    _write_video(path, muxer={"movflags": "frag_keyframe+empty_moov"})
    assert count_video_samples(path) is None
    data = path.read_bytes()
    path.write_bytes(data.replace(b"avc1", b"avcX"))
    with pytest.raises(DecodeError, match="unknown codec"):
        count_video_samples(path)
    path.write_bytes(bare_video + _box(b"moof", b""))
    assert count_video_samples(path) is None


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_hostile_bytes_end_in_a_decode_error_or_a_count(
    tmp_path: Path, video: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(video)
    index_start = _span(video, b"moov")[0]
    for _ in range(data.draw(st.integers(1, 3), label="changes")):
        position = data.draw(st.integers(index_start, len(video) - 1), label="position")
        replacement = data.draw(st.binary(min_size=1, max_size=8), label="replacement")
        damaged[position : position + len(replacement)] = replacement
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)), label="kept")])
    with suppress(DecodeError):
        n_frames = count_video_samples(path)
        assert n_frames is None or 1 <= n_frames <= len(damaged)


def test_a_hostile_index_takes_little_memory(tmp_path: Path, bare_video: bytes) -> None:
    # As many sizes and as many places, all of them within the file.
    n = 1 << 17
    mdat_start = _span(bare_video, b"mdat")[0] + 8
    data = _replace(bare_video, b"stts", _table(b"stts", 0, 1, n, 1))
    data = _replace(data, b"stsc", _table(b"stsc", 0, 1, 1, 1, 1))
    data = _replace(
        data, b"stsz", lambda _: _box(b"stsz", struct.pack(">III", 0, 0, n) + b"\0\0\0\1" * n)
    )
    offset = mdat_start.to_bytes(4, "big")
    data = _replace(data, b"stco", lambda _: _box(b"stco", struct.pack(">II", 0, n) + offset * n))
    path = tmp_path / "large.mp4"
    path.write_bytes(data)
    program = (
        "import sys, tracemalloc; from pathlib import Path; "
        "from nersemble_async.formats.video.mp4_samples import count_video_samples; "
        "tracemalloc.start(); n = count_video_samples(Path(sys.argv[1])); "
        "print(n, tracemalloc.get_traced_memory()[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, check=True, text=True
    )
    n_frames, peak_bytes = map(int, done.stdout.split())
    assert n_frames == n
    assert peak_bytes < 2 * n
