"""In which form a user wants frames: channels, crop, scale, dtype, layout. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

Channels = Literal["rgb", "gray", "alpha"]
FrameDtype = Literal["uint8", "float32"]
Layout = Literal["HWC", "CHW"]

_SMALLEST_SCALE, _LARGEST_SCALE = 1 / 64, 8
_CROP_NUMBERS = 4


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """How a decoded frame becomes an array; the defaults are the official toolkit's bits.

    Raises:
        ValueError: on construction; says which field, and what it may be.
    """

    channels: Channels = "rgb"
    """``rgb``; ``alpha``: the first channel of RGB, as the official toolkit reads alpha maps;
    ``gray``: luma in full range, converted by swscale."""
    crop: tuple[int, int, int, int] | None = None
    """left, top, width, height in pixels of the video; cut out before it is scaled."""
    scale: float | tuple[float, float] | None = None
    """Factor of both sides, or of width and height; filtered (swscale's bilinear, which averages
    when it shrinks), sizes rounded half up. Intrinsics: `CameraCalibration.scaled`."""
    dtype: FrameDtype = "uint8"
    """``uint8`` 0 to 255, or ``float32``: the same divided by 255."""
    layout: Layout = "HWC"
    """``CHW`` is a copy in another order: cheaper on a GPU, after the transfer of ``HWC``."""

    def __post_init__(self) -> None:
        for name, allowed in (("channels", Channels), ("dtype", FrameDtype), ("layout", Layout)):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; it may be {' or '.join(get_args(allowed))}"
                )
        if any(not _SMALLEST_SCALE <= s <= _LARGEST_SCALE for s in self.scales or ()):
            raise ValueError(f"scale is {self.scale}; it may be from 1/64 to 8")
        crop = self.crop
        if crop is not None and (len(crop) != _CROP_NUMBERS or min(crop) < 0 or 0 in crop[2:]):
            raise ValueError(f"crop is {self.crop}; it is left, top, width, height in pixels")

    @property
    def scales(self) -> tuple[float, float] | None:
        """Factors of width and height; None where nothing is scaled."""
        if self.scale is None:
            return None
        if isinstance(self.scale, tuple):
            across, down = self.scale
            return across, down
        return self.scale, self.scale

    @property
    def n_channels(self) -> int:
        """Length of the channel axis, which is always there."""
        return 3 if self.channels == "rgb" else 1

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width, height of the array made of a frame of that size.

        Raises:
            ValueError: the crop leaves the frame.
        """
        if self.crop is not None:
            left, top, *size = self.crop
            if left + size[0] > width or top + size[1] > height:
                raise ValueError(f"the crop {self.crop} leaves a frame of {width} x {height}")
            width, height = size
        if self.scales is not None:
            across, down = self.scales
            width = max(1, math.floor(width * across + 0.5))
            height = max(1, math.floor(height * down + 0.5))
        return width, height

    def shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Shape of the array made of a frame of that size; errors as in `size`."""
        width, height = self.size(width, height)
        if self.layout == "HWC":
            return height, width, self.n_channels
        return self.n_channels, height, width

    def array_bytes(self, width: int, height: int) -> int:
        """Bytes of the array made of a frame of that size; errors as in `size`."""
        return math.prod(self.shape(width, height)) * (4 if self.dtype == "float32" else 1)
