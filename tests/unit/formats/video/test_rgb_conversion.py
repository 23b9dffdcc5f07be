"""RGB to yuv420p: ffmpeg's luma to its bit, chroma nearer to the picture, nothing shared."""

from __future__ import annotations

import sys

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import VideoReformatter

from nersemble_async.formats.video.rgb_conversion import RgbImage, RgbToYuv420
from tests.support.videos import moving_pattern

FloatArray = npt.NDArray[np.float64]

SIZES = [(2, 2), (6, 22), (34, 18), (64, 48), (162, 90), (512, 16), (1100, 12)]
U_WEIGHTS = (-0.168736, -0.331264, 0.5)
V_WEIGHTS = (0.5, -0.418688, -0.081312)


def noise(size: tuple[int, int], seed: int = 0) -> RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)


def planes(frame: av.VideoFrame) -> list[npt.NDArray[np.uint8]]:
    return [
        np.frombuffer(memoryview(plane), np.uint8)
        .reshape(-1, plane.line_size)[:, : plane.width]
        .copy()
        for plane in frame.planes
    ]


def as_ffmpeg_does(image: RgbImage) -> av.VideoFrame:
    """What the ffmpeg command makes of rgb24 on a pipe."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    return VideoReformatter().reformat(frame, format="yuv420p", interpolation="BICUBIC", threads=1)


def mean_chroma(image: RgbImage, weights: tuple[float, float, float]) -> FloatArray:
    """BT.601 in limited range, of the mean of each 2 x 2 pixels."""
    height, width, _ = image.shape
    means = image.astype(np.float64).reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
    chroma: FloatArray = 128 + means @ np.array(weights) * 224 / 255
    return chroma


def error_there_and_back(frame: av.VideoFrame, image: RgbImage) -> float:
    """Mean square, through the conversion that the official reader has."""
    back = VideoReformatter().reformat(frame, format="rgb24", threads=1).to_ndarray()
    return float(((back.astype(np.float64) - image) ** 2).mean())


@pytest.mark.parametrize("size", SIZES)
def test_luma_is_ffmpegs_bit_for_bit(size: tuple[int, int]) -> None:
    converter = RgbToYuv420(size)
    for seed in range(3):
        image = noise(size, seed)
        ours, theirs = (planes(f)[0] for f in (converter.convert(image), as_ffmpeg_does(image)))
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("size", SIZES[1:])
def test_chroma_is_the_mean_of_its_four_pixels(size: tuple[int, int]) -> None:
    image = noise(size)
    _, u, v = planes(RgbToYuv420(size).convert(image))
    for plane, weights in ((u, U_WEIGHTS), (v, V_WEIGHTS)):
        off = plane - mean_chroma(image, weights)
        assert np.abs(off).max() < 1.01
        assert np.sqrt((off**2).mean()) < 0.7  # rounding alone is 0.29


def test_nearer_to_the_picture_than_ffmpeg_through_the_official_reader() -> None:
    image = moving_pattern(162, 90, 3)
    ours = RgbToYuv420((162, 90)).convert(image)
    theirs = as_ffmpeg_does(image)
    assert error_there_and_back(ours, image) < error_there_and_back(theirs, image)
    for index, weights in ((1, U_WEIGHTS), (2, V_WEIGHTS)):
        truth = mean_chroma(image, weights)
        off, theirs_off = (np.abs(planes(f)[index] - truth).mean() for f in (ours, theirs))
        assert off < theirs_off


def test_frames_carry_no_colour_tags() -> None:
    frame = RgbToYuv420((64, 48)).convert(noise((64, 48)))
    assert (frame.format.name, frame.width, frame.height) == ("yuv420p", 64, 48)
    unspecified = 2
    assert frame.color_range == 0
    assert {frame.colorspace, frame.color_trc, frame.color_primaries} == {unspecified}


@pytest.mark.parametrize("size", SIZES)
def test_one_more_on_each_level_and_white_stays(size: tuple[int, int]) -> None:
    image = noise(size)
    image[0, 0], image[-1, -1] = (255, 0, 254), 255
    raised = np.minimum(image.astype(np.int64) + 1, 255).astype(np.uint8)
    ours = planes(RgbToYuv420(size, add_one=True).convert(image))
    for plane, wanted in zip(ours, planes(RgbToYuv420(size).convert(raised)), strict=True):
        assert np.array_equal(plane, wanted)


@pytest.mark.parametrize("add_one", [False, True])
def test_any_memory_order_and_read_only(add_one: bool) -> None:
    size = (34, 18)
    image = noise(size)
    planar = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    wide = np.zeros((18, 40, 4), np.uint8)
    wide[:, 3:37, :3] = image
    mirrored = np.ascontiguousarray(image[::-1, ::-1])[::-1, ::-1]
    image.flags.writeable = False
    converter = RgbToYuv420(size, add_one=add_one)
    wanted = planes(converter.convert(image))
    for same in (planar, wide[:, 3:37, :3], mirrored):
        for plane, plane_wanted in zip(planes(converter.convert(same)), wanted, strict=True):
            assert np.array_equal(plane, plane_wanted)


@pytest.mark.parametrize("add_one", [False, True])
def test_a_frame_stays_when_its_image_and_the_converter_go_on(
    add_one: bool,
) -> None:
    size = (64, 48)
    image = noise(size)
    before = image.copy()
    converter = RgbToYuv420(size, add_one=add_one)
    references = sys.getrefcount(image)
    frame = converter.convert(image)
    assert sys.getrefcount(image) == references
    assert np.array_equal(image, before)
    kept = planes(frame)
    image[:] = 0
    converter.convert(image)
    assert all(np.array_equal(a, b) for a, b in zip(planes(frame), kept, strict=True))
