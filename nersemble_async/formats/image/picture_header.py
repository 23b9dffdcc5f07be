"""What a PNG or JPEG is, by its header; no pixel is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image, UnidentifiedImageError

from nersemble_async.errors import DecodeError

_BIT_DEPTH = struct.Struct(">24xB")
"""PNG: signature, length and name of IHDR, width, height, then the bits of a channel."""
_UPRIGHT, _TURNED = 1, range(2, 9)
"""EXIF's numbers for pixels that are shown as they are stored, and turned or mirrored."""


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture says of itself."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    mode: str
    """Pillow's name: ``RGB``, ``RGBA``, ``L`` (grey), ``P`` (palette), ``I;16``, ``CMYK``."""
    n_bits: int
    """Of a channel."""
    has_alpha: bool
    """A channel of its own, or a colour or palette entry that is transparent."""
    is_turned: bool = False
    """Whether EXIF asks viewers to turn or mirror it, which readers of pixels do not."""


def read_picture_header(path: Path) -> PictureHeader:
    """Look at the beginning of a PNG or JPEG, which is told by its content.

    Raises:
        DecodeError: neither, or a broken header.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                n_bits = 8
                if image.format == "PNG":
                    file.seek(0)
                    (n_bits,) = _BIT_DEPTH.unpack(file.read(_BIT_DEPTH.size))
                return PictureHeader(
                    image.width,
                    image.height,
                    image.mode,
                    n_bits,
                    image.mode in {"RGBA", "LA", "PA", "RGBa", "La"}
                    or "transparency" in image.info,
                    _is_turned(image),
                )
        except UnidentifiedImageError:
            raise DecodeError(str(path), "not a PNG or JPEG") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DecodeError(str(path), f"its header does not parse: {error}") from None


def _is_turned(image: Image.Image) -> bool:
    if image.format == "PNG" and "exif" not in image.info:
        return False  # not before its pixels: Pillow would decode those to look behind them
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, struct.error):
        return False  # damaged: viewers do not read it either
    return orientation in _TURNED
