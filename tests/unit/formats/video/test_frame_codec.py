"""Frames as bytes: whatever is made of them afterwards has the source's bits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.frame_codec import (
    TAG_BYTES,
    EncodedFrame,
    FrameTag,
    encode_frame,
    find_chroma_location,
)
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from tests.support.tagged_videos import write_tagged_video

FORMATS = (
    FrameFormat(),
    FrameFormat(channels="gray"),
    FrameFormat(channels="alpha"),
    FrameFormat(scale=0.5),
    FrameFormat(scale=(0.37, 1.6)),
    FrameFormat(channels="gray", scale=1.5),
    FrameFormat(crop=(3, 5, 20, 22), scale=0.7),
)
FULL_RANGE, BT709, BT2020 = 2, 1, 9

VIDEOS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bt709": {"color_space": BT709, "color_range": 1},
    "bt2020": {"color_space": BT2020},
    "full range": {"pixel_format": "yuvj420p", "color_range": FULL_RANGE},
    "full range bt709": {"color_space": BT709, "color_range": FULL_RANGE},
    "yuv444p": {"pixel_format": "yuv444p"},
    "yuvj444p": {"pixel_format": "yuvj444p"},
    "yuv422p": {"pixel_format": "yuv422p"},
    "10 bits": {"pixel_format": "yuv420p10le"},
    "odd": {"size": (63, 47), "codec": "libvpx-vp9"},
    "odd yuv444p": {"size": (63, 47), "pixel_format": "yuv444p"},
    "as small as the probe": {"size": (16, 16)},
    **{f"chroma {n}": {"x264_params": f"chromaloc={n}"} for n in range(6)},
}


def frames_of(path: Path) -> list[DecodedFrame]:
    with VideoSource(path).open() as reader:
        return list(reader.decode_range())


def encoded(frame: DecodedFrame, *, is_compressed: bool) -> EncodedFrame:
    location = find_chroma_location(frame)
    assert location is not None
    made = encode_frame(frame, is_compressed=is_compressed, chroma_location=location)
    assert made is not None
    return made


def stored(made: EncodedFrame) -> EncodedFrame:
    """What is read from a disk: a copy of the bytes."""
    copy = EncodedFrame.allocate(made.tag, made.nbytes)
    copy.buffer[:] = made.buffer
    return copy


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("name", VIDEOS)
def test_bits_of_the_source(tmp_path: Path, name: str, *, is_compressed: bool) -> None:
    path = write_tagged_video(tmp_path / "video.mp4", **VIDEOS[name])
    for frame in frames_of(path):
        wanted = [frame.to_array(f) for f in FORMATS if _has_room(frame, f)]
        again = stored(encoded(frame, is_compressed=is_compressed)).decode(frame.frame_index)
        assert again.frame_index == frame.frame_index
        for expected, f in zip(wanted, [f for f in FORMATS if _has_room(frame, f)], strict=True):
            np.testing.assert_array_equal(again.to_array(f), expected, err_msg=f"{f}")
            np.testing.assert_array_equal(frame.to_array(f), expected, "the source changed")


def _has_room(frame: DecodedFrame, frame_format: FrameFormat) -> bool:
    return frame_format.crop is None or frame.width > 30


def test_chroma_locations_differ_in_scaled_frames_only(tmp_path: Path) -> None:
    """Else the cases above would not show that the location is kept."""
    left, top = (
        frames_of(write_tagged_video(tmp_path / f"{n}.mp4", x264_params=f"chromaloc={n}"))[0]
        for n in (0, 2)
    )
    assert find_chroma_location(left) != find_chroma_location(top)
    np.testing.assert_array_equal(left.to_rgb(), top.to_rgb())
    half = FrameFormat(scale=0.5)
    assert (left.to_array(half) != top.to_array(half)).any()


def test_compressed_is_smaller_and_packed_has_no_padding(tmp_path: Path) -> None:
    frame = frames_of(write_tagged_video(tmp_path / "video.mp4", size=(100, 100)))[0]
    packed, compressed = (encoded(frame, is_compressed=c) for c in (False, True))
    assert packed.nbytes == 100 * 100 * 3 // 2
    assert compressed.nbytes < packed.nbytes * 0.45
    assert compressed.packed(compressed.decode(0)) is not None
    again = compressed.packed(compressed.decode(0))
    assert again is not None
    assert bytes(again.buffer) == bytes(packed.buffer)
    assert packed.packed(frame) is packed


def test_interlaced_frames_are_not_encoded(tmp_path: Path) -> None:
    video = write_tagged_video(tmp_path / "video.mp4", size=(64, 64), x264_params="tff=1")
    frame = frames_of(video)[0]
    assert find_chroma_location(frame) is None
    assert encode_frame(frame, is_compressed=True, chroma_location=0) is None


@pytest.mark.parametrize("is_compressed", [False, True])
def test_threads_decode_one_encoded_frame_at_once(tmp_path: Path, *, is_compressed: bool) -> None:
    frame = frames_of(write_tagged_video(tmp_path / "video.mp4", size=(320, 240)))[0]
    shared, wanted = encoded(frame, is_compressed=is_compressed), frame.to_rgb()
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda _: shared.decode(0).to_rgb(), range(200)))
    assert all(np.array_equal(image, wanted) for image in images)


def test_tags_come_back() -> None:
    tag = FrameTag(
        is_compressed=True,
        pixel_format="yuv420p",
        width=1100,
        height=1604,
        color_space=1,
        color_range=2,
        color_primaries=3,
        color_transfer=4,
        chroma_location=5,
    )
    assert len(tag.pack()) == TAG_BYTES
    assert FrameTag.unpack(tag.pack()) == tag


def test_nonsense_is_no_frame(tmp_path: Path) -> None:
    frame = frames_of(write_tagged_video(tmp_path / "video.mp4"))[0]
    whole = encoded(frame, is_compressed=True)
    for tag in (b"", bytes([7, *whole.tag[1:]]), bytes([1, 99, *whole.tag[2:]])):
        with pytest.raises(ValueError, match="tag"):
            EncodedFrame(tag, whole._packet).decode(0)
    cut = EncodedFrame.allocate(whole.tag, 20)
    cut.buffer[:] = whole.buffer[:20]
    with pytest.raises(ValueError, match="does not decode"):
        cut.decode(0)
    np.testing.assert_array_equal(whole.decode(0).to_rgb(), frame.to_rgb())


def test_frames_outlive_what_they_were_decoded_from(tmp_path: Path) -> None:
    frame = frames_of(write_tagged_video(tmp_path / "video.mp4"))[0]
    again = stored(encoded(frame, is_compressed=False)).decode(0)
    np.testing.assert_array_equal(again.to_rgb(), frame.to_rgb())
