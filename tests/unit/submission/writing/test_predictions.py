"""What is taken as a frame, and what is said of what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import InvalidPredictionError
from nersemble_async.submission.writing.predictions import rgb_image
from tests.support.torch_python import run_with_torch

SIZE = (4, 6)
SCRIPT = Path(__file__).parents[3] / "support" / "torch_scripts" / "frames.py"
FRAME = np.arange(72, dtype=np.uint8).reshape(6, 4, 3)


def test_a_frame_is_taken_as_it_is() -> None:
    assert rgb_image(FRAME, SIZE) is FRAME
    assert rgb_image(FRAME, SIZE, from_float=True) is FRAME
    flipped = FRAME[:, ::-1]
    assert np.array_equal(rgb_image(flipped, SIZE), flipped)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_rounded_and_clipped(dtype: type[np.floating]) -> None:
    frame = (FRAME / 255).astype(dtype)
    frame[0, 0] = (-0.3, 1.7, 0.5)
    image = rgb_image(frame, SIZE, from_float=True)
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == [0, 255, 128]
    assert np.array_equal(image[1:], FRAME[1:])


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (FRAME.transpose(2, 0, 1), r"\(6, 4, 3\), not \(3, 6, 4\): channels come last"),
        (FRAME.transpose(1, 0, 2), "height comes first"),
        (np.zeros((6, 4, 4), np.uint8), "drop alpha"),
        (FRAME[..., 0], "make three channels of a grey image"),
        (FRAME[..., :1], "make three channels of a grey image"),
        (FRAME[:3], r"not \(3, 4, 3\)$"),
        (FRAME[None], r"not \(1, 6, 4, 3\)$"),
        (FRAME / 255, r"not float64; pass from_float=True"),
        (FRAME.astype(np.int64), "not int64; convert it"),
        (FRAME > 3, "not bool"),
        (FRAME.astype(object), "not object"),
        (FRAME.tolist(), "not list"),
        (np.ma.masked_equal(FRAME, 3), r"without a mask; .*frame\.filled\(255\)"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_frame_is_said(frame: object, told: str) -> None:
    with pytest.raises(InvalidPredictionError, match=told):
        rgb_image(frame, SIZE)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 200.0, -3.0, -0.9])
def test_floats_on_another_scale_are_refused(wrong: float) -> None:
    frame = FRAME / 255
    frame[3, 2, 1] = wrong
    with pytest.raises(InvalidPredictionError, match=r"values are in 0…1, these go from"):
        rgb_image(frame, SIZE, from_float=True)


def test_torch_tensors_only_where_it_is_said_what_they_are() -> None:
    result = run_with_torch(SCRIPT, None)
    assert result["float"] == FRAME.tolist()
    assert result["half"] == "uint8"
    assert "pass from_float=True" in result["unsaid"]
    assert "frame.byte().cpu().numpy()" in result["uint8"]
    assert result["unsaid uint8"] == result["uint8"]
    assert "channels come last, frame.permute(1, 2, 0)" in result["channels first"]
