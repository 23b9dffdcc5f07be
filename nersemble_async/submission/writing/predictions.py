"""What is asked of a predicted frame: (H, W, 3) uint8 RGB, or what the caller says becomes that."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import InvalidPredictionError

RgbImage = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

_BELOW, _ABOVE = 0.5, 1.0
"""Renderers overshoot a little; what is this far outside of 0…1 is on another scale, -1…1 too."""


def rgb_image(frame: object, size: tuple[int, int], *, from_float: bool = False) -> RgbImage:
    """The frame as it is encoded; the same array where nothing has to be changed.

    Args:
        frame: (H, W, 3) uint8 RGB in 0…255, with any strides. With ``from_float`` also floats in
            0…1, as a NumPy array or a torch tensor on any device: clipped, times 255, rounded.
        size: width, height that it has to have.
        from_float: the caller says that floats are RGB in 0…1.

    Raises:
        InvalidPredictionError: another shape or dtype, or floats that are not in 0…1; says what
            would do.
    """
    array = _as_array(frame, from_float=from_float)
    width, height = size
    if array.shape != (height, width, 3):
        raise InvalidPredictionError(
            f"a frame here is (H, W, 3) = ({height}, {width}, 3), not {array.shape}"
            f"{_shape_advice(array.shape, size, is_tensor=array is not frame)}"
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise InvalidPredictionError(
            f"a frame here is uint8 RGB in 0…255, not {array.dtype}; convert it: "
            "frame.astype(np.uint8) if its values are in 0…255"
        )
    if not from_float:
        raise InvalidPredictionError(
            f"a frame here is uint8 RGB in 0…255, not {array.dtype}; pass from_float=True if its "
            "values are RGB in 0…1, or convert it: "
            "(frame.clip(0, 1) * 255).round().astype(np.uint8)"
        )
    return _from_float(array)


def _as_array(frame: object, *, from_float: bool) -> npt.NDArray[Any]:
    if isinstance(frame, np.ma.MaskedArray):
        raise InvalidPredictionError(
            "a frame here is a NumPy array without a mask; say what is behind it: frame.filled(255)"
        )
    if isinstance(frame, np.ndarray):
        return frame
    detach = getattr(frame, "detach", None)
    if detach is not None:  # a torch tensor; torch itself is not imported
        if not getattr(frame, "is_floating_point")():  # noqa: B009 -- of an object
            raise InvalidPredictionError(
                "a frame here is a NumPy array, not a torch tensor of integers; convert it: "
                "frame.byte().cpu().numpy() if its values are RGB in 0…255"
            )
        if not from_float:
            raise InvalidPredictionError(
                "a frame here is a NumPy array, not a torch tensor; pass from_float=True if it is "
                "RGB in 0…1, or convert it: "
                "(frame.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()"
            )
        values: npt.NDArray[Any] = detach().float().cpu().numpy()
        return values
    raise InvalidPredictionError(
        f"a frame here is a NumPy array, (H, W, 3) uint8 RGB, not {type(frame).__name__}; "
        "np.asarray(image) makes one of a picture"
    )


def _shape_advice(shape: tuple[int, ...], size: tuple[int, int], *, is_tensor: bool) -> str:
    width, height = size
    moved = "permute" if is_tensor else "transpose"
    if shape == (3, height, width):
        return f": channels come last, frame.{moved}(1, 2, 0)"
    if shape == (width, height, 3) and width != height:
        return f": height comes first, frame.{moved}(1, 0, 2)"
    if shape == (height, width, 4):
        return ": composite it on white and drop alpha, frame[..., :3]"
    if shape in {(height, width), (height, width, 1)}:
        return ": make three channels of a grey image, np.repeat(frame[..., None], 3, axis=2)"
    return ""


def _from_float(array: npt.NDArray[np.floating[Any]]) -> RgbImage:
    low, high = float(array.min()), float(array.max())  # NaN wherever there is one
    if not (low >= -_BELOW and high <= 1 + _ABOVE):
        raise InvalidPredictionError(
            f"with from_float=True a frame's values are in 0…1, these go from {low:g} to {high:g}"
        )
    scaled = np.clip(array, 0, 1).astype(np.float32, copy=False) * np.float32(255)
    image: RgbImage = np.rint(scaled).astype(np.uint8)
    return image
