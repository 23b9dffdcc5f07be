"""Frames in every form: crop, scale, dtype, layout, channels; and formats that cannot be."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.reader import VideoReader
from tests.support.videos import RgbImage, decode_plainly, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "cam_1.mp4", 3, size=(110, 160))


@pytest.fixture(scope="module")
def image(video: Path) -> RgbImage:
    return list(decode_plainly(video))[2]


@pytest.fixture
def frame(video: Path) -> DecodedFrame:
    with VideoReader(video) as reader:
        return reader.decode(2)


def array_of(frame: DecodedFrame, **fields: Any) -> Any:
    frame_format = FrameFormat(**fields)
    array = frame.to_array(frame_format)
    assert array.shape == frame_format.shape(frame.width, frame.height)
    assert array.nbytes == frame_format.array_bytes(frame.width, frame.height)
    assert array.dtype == frame_format.dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    return array


def test_the_defaults_are_rgb(frame: DecodedFrame, image: RgbImage) -> None:
    assert np.array_equal(array_of(frame), image)
    assert np.array_equal(frame.to_rgb(), image)
    assert frame.to_rgb().flags.c_contiguous


def test_alpha_is_the_first_channel(frame: DecodedFrame, image: RgbImage) -> None:
    assert np.array_equal(array_of(frame, channels="alpha"), image[..., [0]])


def test_gray_is_luma_in_full_range(frame: DecodedFrame, image: RgbImage) -> None:
    gray = array_of(frame, channels="gray")[..., 0].astype(float)
    assert np.abs(gray - image @ [0.299, 0.587, 0.114]).mean() < 2


def test_float_is_the_same_divided(frame: DecodedFrame, image: RgbImage) -> None:
    assert np.array_equal(array_of(frame, dtype="float32"), image / np.float32(255))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_channels_first(frame: DecodedFrame, image: RgbImage, dtype: Any) -> None:
    expected = image if dtype == "uint8" else image / np.float32(255)
    assert np.array_equal(array_of(frame, layout="CHW", dtype=dtype), expected.transpose(2, 0, 1))


def test_a_crop_is_cut_out_of_the_same_bits(frame: DecodedFrame, image: RgbImage) -> None:
    assert np.array_equal(array_of(frame, crop=(13, 7, 51, 90)), image[7:97, 13:64])
    assert np.array_equal(array_of(frame, crop=(0, 0, 110, 160)), image)
    alpha = array_of(frame, crop=(109, 159, 1, 1), channels="alpha")
    assert alpha.item() == image[159, 109, 0]


@pytest.mark.parametrize("channels", ["rgb", "alpha", "gray"])
def test_shrinking_averages(frame: DecodedFrame, channels: Any) -> None:
    whole = array_of(frame, channels=channels).astype(float)
    half = array_of(frame, channels=channels, scale=0.5).astype(float)
    assert half.shape == (80, 55, whole.shape[2])
    block = whole.reshape(80, 2, 55, 2, -1).mean(axis=(1, 3))
    assert np.abs(half - block).mean() < 3


def test_crop_then_scale_is_near_scale_then_crop(frame: DecodedFrame) -> None:
    one = array_of(frame, crop=(20, 40, 60, 80), scale=0.5).astype(float)
    other = array_of(frame, scale=0.5)[20:60, 10:40].astype(float)
    assert one.shape == other.shape
    assert np.abs(one - other)[2:-2, 2:-2].mean() < 4


def test_sides_scale_by_themselves_and_round_half_up() -> None:
    assert FrameFormat(scale=(0.5, 2)).size(11, 10) == (6, 20)
    assert FrameFormat(scale=1 / 64).size(8, 8) == (1, 1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"channels": "bgr"}, "rgb or gray or alpha"),
        ({"dtype": "float64"}, "uint8 or float32"),
        ({"layout": "NCHW"}, "HWC or CHW"),
        ({"scale": 0}, "from 1/64 to 8"),
        ({"scale": (1, float("nan"))}, "from 1/64 to 8"),
        ({"crop": (-1, 0, 3, 3)}, "left, top, width, height"),
        ({"crop": (0, 0, 0, 3)}, "left, top, width, height"),
        ({"crop": (0, 0, 3)}, "left, top, width, height"),
    ],
)
def test_formats_that_cannot_be(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        FrameFormat(**fields)


def test_a_crop_that_leaves_the_frame(frame: DecodedFrame) -> None:
    with pytest.raises(ValueError, match="leaves a frame of 110 x 160"):
        frame.to_array(FrameFormat(crop=(100, 0, 11, 10)))


def test_frames_of_one_video_in_many_threads_at_once(video: Path) -> None:
    expected = list(decode_plainly(video))
    with VideoReader(video) as reader:
        frames = list(reader.decode_range())
    wrong: list[int] = []

    def convert(frame: DecodedFrame) -> None:
        same = [np.array_equal(frame.to_rgb(), expected[frame.frame_index]) for _ in range(50)]
        if not all(same):
            wrong.append(frame.frame_index)

    threads = [threading.Thread(target=convert, args=(frame,)) for frame in frames]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_arrays_of_a_gray_video_are_the_callers() -> None:
    """Nothing is to be converted there: a view would write into a cached frame."""
    levels = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
    frame = DecodedFrame(av.VideoFrame.from_ndarray(levels, "gray"), 0)
    for crop in (None, (0, 4, 64, 8)):
        frame.to_array(FrameFormat("gray", crop))[:] = 7
    assert np.array_equal(frame.to_array(FrameFormat("gray"))[:, :, 0], levels)


def test_its_size_in_memory_and_its_words(frame: DecodedFrame) -> None:
    assert 110 * 160 * 1.5 <= frame.nbytes < 4 * 110 * 160
    assert repr(frame) == "DecodedFrame(frame_index=2, yuv420p, 110 x 160)"
    assert isinstance(frame.video_frame, av.VideoFrame)


def test_a_forked_child_converts_what_its_parent_did(tmp_path: Path) -> None:
    """Large enough for swscale to want threads of its own, which a child would not have."""
    path = write_video(tmp_path / "cam_1.mp4", 1, size=(640, 960))
    program = (
        "import os, sys; from pathlib import Path\n"
        "from nersemble_async.formats.video.reader import VideoReader\n"
        "with VideoReader(Path(sys.argv[1])) as reader:\n"
        "    frame = reader.decode(0)\n"
        "image = frame.to_rgb()\n"
        "for _ in range(4):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os._exit(0 if (frame.to_rgb() == image).all() else 3)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], check=False, timeout=60)
    assert done.returncode == 0
