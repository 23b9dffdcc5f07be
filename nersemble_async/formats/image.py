"""PNG images as arrays, by Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from nersemble_async.errors import DecodeError

_MAX_PIXELS = 1 << 26


def read_png(path: Path) -> npt.NDArray[np.uint8]:
    """The image as (H, W, 3) uint8 RGB; grey, palette and alpha are converted (alpha is dropped).

    Raises:
        DecodeError: not a PNG, damaged, or more than 64 megapixels.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            with Image.open(file, formats=("PNG",)) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise DecodeError(str(path), f"an image of {image.width} x {image.height}")
                return np.array(image.convert("RGB"))
        except UnidentifiedImageError:
            raise DecodeError(str(path), "not a PNG") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DecodeError(str(path), f"the PNG does not decode: {error}") from None


def write_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB; the same pixels give the same bytes.

    Raises:
        ValueError: another shape or dtype.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:  # noqa: PLR2004  # H, W, RGB
        raise ValueError(f"an image is uint8 (H, W, 3), not {image.dtype} {image.shape}")
    Image.fromarray(np.ascontiguousarray(image)).save(path, format="PNG")
