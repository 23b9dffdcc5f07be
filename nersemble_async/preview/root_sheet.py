"""One picture of what a root holds: cameras by timesteps, single images, pointclouds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.errors import DecodeError
from nersemble_async.formats.cameras import load_camera_calibration, scale_intrinsics
from nersemble_async.formats.image.picture import read_png
from nersemble_async.formats.pointcloud.pcd_file import read_pointcloud
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.preview.overlay import draw_pointcloud
from nersemble_async.preview.sheet import TILE_HEIGHT, RgbImage, Row, Tile, write_sheet

_POINTCLOUD_SERIAL = "222200038"
_MONO_SEQUENCES = ("EXP-1-head", "EXP-5-mouth")
_TILES_IN_A_ROW = 10
_SVFR_ROWS = 2


def write_root_sheet(root: Path, out_png: Path) -> bool:
    """Draw what there is below ``root`` of each benchmark; only the files shown are opened.

    A row for each NVS participant (images of cameras from left to right, each at a later
    timestep, then an alpha map and the first pointcloud as a camera sees it), one of
    mono_flame_avatar frames and two of SVFR images. A file that does not decode leaves an empty
    tile that says so.

    Returns:
        Whether there was anything to draw; ``out_png`` is not written otherwise.
    """
    return write_sheet(out_png, [*_nvs_rows(root), *_mono_rows(root), *_svfr_rows(root)])


def _nvs_rows(root: Path) -> Iterator[Row]:
    spec = BENCHMARKS["nvs"]
    for participant_id in spec.participants:
        for name in spec.sequences(participant_id):
            paths = {
                s: root / spec.path("images", participant_id, name, s) for s in spec.train_serials
            }
            there = {serial: path for serial, path in paths.items() if path.is_file()}
            tiles = [
                Tile(serial, _frame_loader(path, (place + 0.5) / len(there)))
                for place, (serial, path) in enumerate(there.items())
            ]
            for serial in list(there)[-1:]:
                alpha = root / spec.path("alpha_maps", participant_id, name, serial)
                if alpha.is_file():
                    share = (len(there) - 0.5) / len(there)
                    tiles.append(Tile("alpha map", _frame_loader(alpha, share)))
            cloud = root / spec.path("pointclouds", participant_id, name, timestep=0)
            cameras = root / spec.path("calibration", participant_id)
            if cloud.is_file() and cameras.is_file():
                tiles.append(Tile("pointcloud 0", _pointcloud_loader(cloud, cameras)))
            yield Row(f"nvs {participant_id:03d} {name}", tiles)


def _mono_rows(root: Path) -> Iterator[Row]:
    spec = BENCHMARKS["mono_flame_avatar"]
    tiles = []
    for participant_id in spec.participants:
        for place, name in enumerate(_MONO_SEQUENCES):
            path = root / spec.path("images", participant_id, name, spec.train_serials[0])
            if path.is_file():
                share = (place + 0.5) / len(_MONO_SEQUENCES)
                tiles.append(Tile(f"{participant_id} {name}", _frame_loader(path, share)))
    yield from _in_rows("mono_flame_avatar", tiles)


def _svfr_rows(root: Path) -> Iterator[Row]:
    spec = BENCHMARKS["svfr"]
    tiles = []
    for participant_id, keys in spec.image_keys.items():
        for key in keys:
            path = root / spec.path(
                "images", participant_id, key.sequence_name, key.serial, key.timestep
            )
            if path.is_file():
                tiles.append(Tile(f"{participant_id:03d} {key.serial}", _png_loader(path)))
                break
    yield from _in_rows("svfr", tiles[: _SVFR_ROWS * _TILES_IN_A_ROW])


def _in_rows(title: str, tiles: list[Tile]) -> Iterator[Row]:
    for first in range(0, len(tiles), _TILES_IN_A_ROW):
        yield Row(title, tiles[first : first + _TILES_IN_A_ROW])


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
        intrinsics = calibration.intrinsics[serial]
        # The frame's size follows from the principal point in its middle, near enough here.
        full_width, full_height = (2 * intrinsics[:2, 2] + 1).tolist()
        scale = TILE_HEIGHT / full_height
        paper = np.full((TILE_HEIGHT, max(1, round(full_width * scale)), 3), 255, np.uint8)
        cloud, pose = read_pointcloud(path), calibration.world_2_cam[serial]
        return draw_pointcloud(paper, cloud, pose, scale_intrinsics(intrinsics, scale))

    return load
