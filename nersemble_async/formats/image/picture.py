"""PNG and JPEG images as arrays, by Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    return _read(path, ("PNG",), "RGB")


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """A PNG or JPEG, told by its content, as (H, W, 3) uint8 RGB; otherwise as `read_png`.

    A JPEG's EXIF orientation is not applied: pixels stay where calibrations expect them.
    """
    return _read(path, ("PNG", "JPEG"), "RGB")


def read_image_as_stored(path: Path) -> npt.NDArray[Any]:
    """A PNG or JPEG bit for bit as ``numpy.asarray(PIL.Image.open(path))``, the official way.

    For RGB files, as all of the benchmark's are, the same as `read_image`. Else the channels are
    the file's: (H, W) grey, (H, W, 2) with alpha, (H, W, 4) RGBA, uint16 for 16-bit grey, bool
    for one bit, and for a palette image (H, W) uint8 places in the palette.
    """
    return _read(path, ("PNG", "JPEG"), None)


def write_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB; the same pixels give the same bytes.

    Raises:
        ValueError: another shape or dtype.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:  # noqa: PLR2004 -- H, W, RGB
        raise ValueError(f"an image is uint8 (H, W, 3), not {image.dtype} {image.shape}")
    Image.fromarray(np.ascontiguousarray(image)).save(path, format="PNG")


def _read(path: Path, formats: tuple[str, ...], mode: str | None) -> npt.NDArray[Any]:
    """Decode, and convert to Pillow's ``mode`` unless that is None."""
    expected = " or ".join(formats)
    with path.open("rb") as file:
        try:
            with Image.open(file, formats=formats) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise DecodeError(str(path), f"an image of {image.width} x {image.height}")
                return np.array(image if mode is None else image.convert(mode))
        except UnidentifiedImageError:
            raise DecodeError(str(path), f"not a {expected}") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DecodeError(str(path), f"the {expected} does not decode: {error}") from None
