"""Videos of any container and codec: frames in order, to the bit where the codec gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.any_video import any_video_frames, probe_any_video
from tests.support.pack_folders import write_lossless
from tests.support.submissions import RgbImage
from tests.support.videos import decode_all, moving_pattern, write_video

FRAMES = [moving_pattern(64, 48, index) for index in range(5)]

LOSSLESS_RGB = [
    ("a.mkv", "ffv1", "bgr0", {}),
    ("a.avi", "huffyuv", "rgb24", {}),
    ("a.avi", "utvideo", "gbrp", {}),
    ("a.avi", "magicyuv", "gbrp", {}),
    ("a.mov", "png", "rgb24", {}),
    ("a.avi", "rawvideo", "bgr24", {}),
    ("a.mov", "qtrle", "rgb24", {}),
    ("a.mkv", "libx264rgb", "rgb24", {"crf": "0"}),
    ("a.mp4", "libx264rgb", "rgb24", {"qp": "0"}),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "options"), LOSSLESS_RGB)
def test_lossless_videos_give_their_frames_back_to_the_bit(
    tmp_path: Path, name: str, codec: str, pixel_format: str, options: dict[str, str]
) -> None:
    path = write_lossless(tmp_path / name, FRAMES, codec, pixel_format, options)
    info = probe_any_video(path)
    assert (info.width, info.height, info.n_frames) == (64, 48, len(FRAMES))
    assert info.is_lossless
    assert (info.has_alpha, info.is_grey, info.is_turned) == (False, False, False)
    np.testing.assert_array_equal(list(any_video_frames(path)), FRAMES)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"crf": "1"}),
        ("a.mov", "libx264", {"qp": "10"}),
        ("a.webm", "libvpx-vp9", {"crf": "10", "b": "0"}),
        ("a.avi", "mpeg4", {}),
    ],
)
def test_lossy_videos_are_told_from_lossless_ones(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write_lossless(tmp_path / name, FRAMES, codec, "yuv420p", options)
    assert not probe_any_video(path).is_lossless
    assert len(list(any_video_frames(path))) == len(FRAMES)


def test_packets_that_show_nothing_are_not_counted_as_frames(tmp_path: Path) -> None:
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good"}
    path = write_lossless(tmp_path / "a.webm", FRAMES * 8, "libvpx", "yuv420p", options)
    assert probe_any_video(path).n_frames is None
    assert len(list(any_video_frames(path))) == len(FRAMES) * 8


def test_an_mp4_gives_what_the_video_reader_gives(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 7, gop=3)
    np.testing.assert_array_equal(list(any_video_frames(path)), decode_all(path))


def test_the_matrix_that_a_video_names_is_used(tmp_path: Path) -> None:
    tagged = tmp_path / "a.mkv"
    options = {"colorspace": "bt709"}
    write_lossless(tagged, FRAMES, "ffv1", "yuv444p", options)
    plain = write_lossless(tmp_path / "b.mkv", FRAMES, "ffv1", "yuv444p")
    assert not np.array_equal(next(any_video_frames(tagged)), next(any_video_frames(plain)))


@pytest.mark.parametrize(
    ("codec", "pixel_format", "alpha", "grey"),
    [("png", "rgba", True, False), ("png", "gray", False, True), ("png", "rgb24", False, False)],
)
def test_alpha_and_grey_are_told(
    tmp_path: Path, codec: str, pixel_format: str, alpha: bool, grey: bool
) -> None:
    info = probe_any_video(write_lossless(tmp_path / "a.mov", FRAMES, codec, pixel_format))
    assert (info.has_alpha, info.is_grey) == (alpha, grey)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi", "a.webm"])
def test_what_is_no_video_is_a_decode_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for data in (b"", b"#EXTM3U\nfile:///etc/passwd\n", bytes(range(256)) * 40):
        path.write_bytes(data)
        with pytest.raises(DecodeError, match=name):
            probe_any_video(path)
        with pytest.raises(DecodeError, match=name):
            next(any_video_frames(path))


def test_a_damaged_frame_is_a_decode_error(tmp_path: Path) -> None:
    path = write_lossless(tmp_path / "a.mov", FRAMES, "png", "rgb24")
    data = bytearray(path.read_bytes())
    last = data.rindex(b"IDAT")
    data[last + 8 : last + 40] = bytes(32)
    path.write_bytes(data)
    frames: list[RgbImage] = []
    with pytest.raises(DecodeError, match="does not decode"):
        frames.extend(any_video_frames(path))


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe_any_video(tmp_path / "a.mkv")
