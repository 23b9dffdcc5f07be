"""One picture of what a root holds: cameras by timesteps, single images, pointclouds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.errors import DecodeError, MetadataError
from nersemble_async.formats.cameras import load_camera_calibration, project
from nersemble_async.formats.image import read_png
from nersemble_async.formats.pointcloud import read_pointcloud
from nersemble_async.formats.video_reader import VideoReader

RgbImage = npt.NDArray[np.uint8]

_TILE_HEIGHT = 176
_LABEL_HEIGHT = 14
_GAP = 6
_PAPER, _INK, _FAINT = (250, 249, 246), (40, 40, 44), (120, 120, 126)
_POINTCLOUD_SERIAL = "222200038"
_MONO_SEQUENCES = ("EXP-1-head", "EXP-5-mouth")
_TILES_IN_A_ROW = 10
_SVFR_ROWS = 2
_SPLAT_PIXELS_PER_POINT = 5.0


@dataclass(frozen=True, slots=True)
class _Tile:
    label: str
    load: Callable[[], RgbImage]


@dataclass(frozen=True, slots=True)
class _Row:
    title: str
    tiles: list[_Tile]


def write_contact_sheet(root: Path, out_png: Path) -> bool:
    """Draw what there is below ``root`` of each benchmark; only the files shown are opened.

    A row for each NVS participant (images of cameras from left to right, each at a later
    timestep, then an alpha map and the first pointcloud as a camera sees it), one of
    mono_flame_avatar frames and two of SVFR images. A file that does not decode leaves an empty
    tile that says so.

    Returns:
        Whether there was anything to draw; ``out_png`` is not written otherwise.
    """
    rows = [row for row in (*_nvs_rows(root), *_mono_rows(root), *_svfr_rows(root)) if row.tiles]
    if not rows:
        return False
    strips = [_draw_row(row) for row in rows]
    width = max(strip.width for strip in strips) + 2 * _GAP
    sheet = Image.new("RGB", (width, sum(s.height + _GAP for s in strips) + _GAP), _PAPER)
    top = _GAP
    for strip in strips:
        sheet.paste(strip, (_GAP, top))
        top += strip.height + _GAP
    out_png.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out_png, format="PNG")
    return True


def _nvs_rows(root: Path) -> Iterator[_Row]:
    spec = BENCHMARKS["nvs"]
    for participant_id in spec.participants:
        for name in spec.sequences(participant_id):
            paths = {
                s: root / spec.path("images", participant_id, name, s) for s in spec.train_serials
            }
            there = {serial: path for serial, path in paths.items() if path.is_file()}
            tiles = [
                _Tile(serial, _frame_loader(path, (place + 0.5) / len(there)))
                for place, (serial, path) in enumerate(there.items())
            ]
            for serial in list(there)[-1:]:
                alpha = root / spec.path("alpha_maps", participant_id, name, serial)
                if alpha.is_file():
                    share = (len(there) - 0.5) / len(there)
                    tiles.append(_Tile("alpha map", _frame_loader(alpha, share)))
            cloud = root / spec.path("pointclouds", participant_id, name, timestep=0)
            cameras = root / spec.path("calibration", participant_id)
            if cloud.is_file() and cameras.is_file():
                tiles.append(_Tile("pointcloud 0", _pointcloud_loader(cloud, cameras)))
            yield _Row(f"nvs {participant_id:03d} {name}", tiles)


def _mono_rows(root: Path) -> Iterator[_Row]:
    spec = BENCHMARKS["mono_flame_avatar"]
    tiles = []
    for participant_id in spec.participants:
        for place, name in enumerate(_MONO_SEQUENCES):
            path = root / spec.path("images", participant_id, name, spec.train_serials[0])
            if path.is_file():
                share = (place + 0.5) / len(_MONO_SEQUENCES)
                tiles.append(_Tile(f"{participant_id} {name}", _frame_loader(path, share)))
    yield from _in_rows("mono_flame_avatar", tiles)


def _svfr_rows(root: Path) -> Iterator[_Row]:
    spec = BENCHMARKS["svfr"]
    tiles = []
    for participant_id, keys in spec.image_keys.items():
        for key in keys:
            path = root / spec.path(
                "images", participant_id, key.sequence_name, key.serial, key.timestep
            )
            if path.is_file():
                tiles.append(_Tile(f"{participant_id:03d} {key.serial}", _png_loader(path)))
                break
    yield from _in_rows("svfr", tiles[: _SVFR_ROWS * _TILES_IN_A_ROW])


def _in_rows(title: str, tiles: list[_Tile]) -> Iterator[_Row]:
    for first in range(0, len(tiles), _TILES_IN_A_ROW):
        yield _Row(title, tiles[first : first + _TILES_IN_A_ROW])


def _frame_loader(path: Path, share: float) -> Callable[[], RgbImage]:
    """The frame about that far, from 0 to 1, into the video."""

    def load() -> RgbImage:
        with VideoReader(path) as reader:
            return reader.decode(min(reader.n_frames - 1, int(share * reader.n_frames))).to_rgb()

    return load


def _png_loader(path: Path) -> Callable[[], RgbImage]:
    return lambda: read_png(path)


def _pointcloud_loader(path: Path, calibration_path: Path) -> Callable[[], RgbImage]:
    def load() -> RgbImage:
        calibration = load_camera_calibration(calibration_path)
        serial = _POINTCLOUD_SERIAL
        if serial not in calibration.intrinsics:
            raise DecodeError(str(calibration_path), f"no camera {serial}")
        cloud = read_pointcloud(path)
        intrinsics = calibration.intrinsics[serial]
        pixels, depth = project(cloud.points, calibration.world_2_cam[serial], intrinsics)
        # The frame's size follows from the principal point in its middle, near enough here.
        full_width, full_height = (2 * intrinsics[:2, 2] + 1).tolist()
        height = _TILE_HEIGHT
        width = max(1, round(full_width * height / full_height))
        colors = np.rint(cloud.colors * 255).astype(np.uint8)
        if len(colors) != len(pixels):
            colors = np.full((len(pixels), 3), 128, np.uint8)
        in_tile = np.nan_to_num(pixels * (height / full_height), nan=-1e9)
        return _splat(in_tile, depth, colors, (width, height))

    return load


def _splat(
    pixels: npt.NDArray[np.float64],
    depth: npt.NDArray[np.float64],
    colors: RgbImage,
    size: tuple[int, int],
) -> RgbImage:
    """Points as squares on white, the nearest on top."""
    width, height = size
    image = np.full((height, width, 3), 255, np.uint8)
    # Squares large enough to close the surface where points are few.
    side = int(np.clip(np.sqrt(_SPLAT_PIXELS_PER_POINT * width * height / len(depth)), 1, 4))
    order = np.argsort(-depth, kind="stable")
    for offset_y in range(side):
        for offset_x in range(side):
            x = np.rint(pixels[order, 0] - (side - 1) / 2 + offset_x)
            y = np.rint(pixels[order, 1] - (side - 1) / 2 + offset_y)
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            image[y[inside].astype(int), x[inside].astype(int)] = colors[order[inside]]
    return image


def _draw_row(row: _Row) -> Image.Image:
    pictures = [_draw_tile(tile) for tile in row.tiles]
    width = sum(p.width + _GAP for p in pictures) - _GAP
    strip = Image.new("RGB", (width, _LABEL_HEIGHT + pictures[0].height), _PAPER)
    ImageDraw.Draw(strip).text((0, 0), row.title, fill=_INK)
    left = 0
    for picture in pictures:
        strip.paste(picture, (left, _LABEL_HEIGHT))
        left += picture.width + _GAP
    return strip


def _draw_tile(tile: _Tile) -> Image.Image:
    try:
        picture = Image.fromarray(tile.load())
    except (DecodeError, MetadataError, OSError):
        picture = Image.new("RGB", (_TILE_HEIGHT, _TILE_HEIGHT), (228, 220, 214))
        ImageDraw.Draw(picture).text((8, _TILE_HEIGHT // 2), "does not decode", fill=_INK)
    width = max(1, round(picture.width * _TILE_HEIGHT / picture.height))
    shrinking = picture.height > _TILE_HEIGHT
    resampling = Image.Resampling.LANCZOS if shrinking else Image.Resampling.BICUBIC
    picture = picture.resize((width, _TILE_HEIGHT), resampling)
    labelled = Image.new("RGB", (width, _TILE_HEIGHT + _LABEL_HEIGHT), _PAPER)
    labelled.paste(picture, (0, 0))
    ImageDraw.Draw(labelled).text((1, _TILE_HEIGHT + 1), tile.label, fill=_FAINT)
    return labelled
