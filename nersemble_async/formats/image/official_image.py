"""Images in the forms of the official toolkit, to the bit (float32 where it gives float64)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.formats.video.frame_format import FrameFormat

ALPHA_MAP = FrameFormat(channels="alpha")
"""An alpha map: (H, W, 1) uint8."""

_LEVELS = np.float32(255)


def image_format(*, as_uint8: bool) -> FrameFormat:
    """An image: (H, W, 3), uint8 or float32 in 0…1."""
    return FrameFormat(dtype="uint8" if as_uint8 else "float32")


def official_image(
    image: npt.NDArray[np.uint8], *, as_uint8: bool, scale: float | None
) -> FrameArray:
    """The same of a decoded image, resized by Pillow's bilinear filter where it is to be scaled.

    Sides are rounded half up, shrinking averages. Streams scale while they convert instead
    (`FrameFormat`), which is faster and differs by some levels: swscale filters luma and chroma,
    Pillow filters RGB.

    Raises:
        ValueError: the scale is not from 1/64 to 8.
    """
    if scale is not None:
        size = FrameFormat(scale=scale).size(image.shape[1], image.shape[0])
        image = np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    return image if as_uint8 else np.divide(image, _LEVELS, dtype=np.float32)
