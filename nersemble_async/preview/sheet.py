"""Rows of labelled tiles in one PNG, by Pillow; a tile that cannot be had says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from nersemble_async.errors import CacheError, DecodeError, MetadataError, NersembleError

RgbImage = npt.NDArray[np.uint8]
"""(H, W, 3) uint8."""

TILE_HEIGHT = 176
"""Pixels of a tile's picture where nothing else is asked for."""
_LABEL_HEIGHT = 14
_GAP = 6
_PAPER, _INK, _FAINT = (250, 249, 246), (40, 40, 44), (120, 120, 126)
_EMPTY, _BAD_EMPTY, _BAD_INK = (228, 220, 214), (250, 226, 222), (170, 30, 24)
_MARGIN = 8

_Color = tuple[int, int, int]


class NoPictureError(NersembleError):
    """A tile's picture cannot be had; the message stands in its place, in red."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture and what stands under it."""

    label: str
    """May have several lines; what is wider than the picture is cut off."""
    load: Callable[[], RgbImage]
    """Called when the tile is drawn; a DecodeError, CacheError, MetadataError, NoPictureError or
    OSError of it leaves an empty tile that says so."""
    empty_size: tuple[int, int] = (1, 1)
    """Width to height of an empty tile."""


@dataclass(frozen=True, slots=True)
class Row:
    """Tiles from left to right under a title."""

    title: str
    tiles: Sequence[Tile]


def write_sheet(out_png: Path, rows: Sequence[Row], tile_height: int = TILE_HEIGHT) -> bool:
    """Draw the rows that have tiles, one below the other; a file that was there stays until then.

    Returns:
        Whether there was anything to draw; ``out_png`` is not written otherwise.

    Raises:
        OSError: it cannot be written; names it.
    """
    strips = [_draw_row(row, tile_height) for row in rows if row.tiles]
    if not strips:
        return False
    width = max(strip.width for strip in strips) + 2 * _GAP
    sheet = Image.new("RGB", (width, sum(s.height + _GAP for s in strips) + _GAP), _PAPER)
    top = _GAP
    for strip in strips:
        sheet.paste(strip, (_GAP, top))
        top += strip.height + _GAP
    out_png.parent.mkdir(parents=True, exist_ok=True)
    partial = out_png.with_name(f".{out_png.name}.partial")
    try:
        sheet.save(partial, format="PNG")
        partial.replace(out_png)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(out_png)  # of a full disk the system names no file
        raise
    finally:
        partial.unlink(missing_ok=True)
    return True


def _draw_row(row: Row, tile_height: int) -> Image.Image:
    pictures = [_draw_tile(tile, tile_height) for tile in row.tiles]
    width = max(sum(p.width + _GAP for p in pictures) - _GAP, _width_of(row.title))
    height = max(picture.height for picture in pictures)
    strip = Image.new("RGB", (width, _LABEL_HEIGHT + height), _PAPER)
    ImageDraw.Draw(strip).text((0, 0), row.title, fill=_INK)
    left = 0
    for picture in pictures:
        strip.paste(picture, (left, _LABEL_HEIGHT))
        left += picture.width + _GAP
    return strip


def _draw_tile(tile: Tile, tile_height: int) -> Image.Image:
    try:
        picture = Image.fromarray(tile.load())
    except NoPictureError as error:
        picture = _empty(tile, tile_height, str(error), _BAD_EMPTY, _BAD_INK)
    except (DecodeError, CacheError, MetadataError, OSError) as error:
        told = "not on disk" if isinstance(error, FileNotFoundError) else "does not decode"
        picture = _empty(tile, tile_height, told, _EMPTY, _INK)
    width = max(1, round(picture.width * tile_height / picture.height))
    shrinking = picture.height > tile_height
    resampling = Image.Resampling.LANCZOS if shrinking else Image.Resampling.BICUBIC
    picture = picture.resize((width, tile_height), resampling)
    lines = tile.label.split("\n")
    labelled = Image.new("RGB", (width, tile_height + len(lines) * _LABEL_HEIGHT), _PAPER)
    labelled.paste(picture, (0, 0))
    for number, line in enumerate(lines):
        where = (1, tile_height + 1 + number * _LABEL_HEIGHT)
        ImageDraw.Draw(labelled).text(where, line, fill=_FAINT)
    return labelled


def _empty(tile: Tile, height: int, told: str, paper: _Color, ink: _Color) -> Image.Image:
    """What is said instead of a picture, as many lines of it as there is room for."""
    width = max(1, round(height * tile.empty_size[0] / tile.empty_size[1]))
    picture = Image.new("RGB", (width, height), paper)
    lines: list[str] = []
    for word in told.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _width_of(longer) <= width - 2 * _MARGIN:
            lines[-1] = longer
        else:
            lines.append(word)
    lines = lines[: max(1, (height - 2 * _MARGIN) // _LABEL_HEIGHT)]
    top = (height - len(lines) * _LABEL_HEIGHT) // 2
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((_MARGIN, top + number * _LABEL_HEIGHT), line, fill=ink)
    return picture


def _width_of(line: str) -> int:
    return ceil(ImageFont.load_default().getlength(line))
