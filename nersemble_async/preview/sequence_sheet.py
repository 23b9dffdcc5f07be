"""One sequence as a picture: cameras by timesteps, with alpha maps and what was reconstructed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.mono_flame_avatar import (
    FLAME_TRACKING_CURRENT_VERSION,
    FLAME_TRACKING_VERSIONS,
)
from nersemble_async.data_managers.local_assets import LocalAssets
from nersemble_async.errors import DecodeError, MetadataError, NotCachedError, SelectionError
from nersemble_async.formats.flame.provider import FlameProvider
from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.preview.overlay import draw_mesh, draw_pointcloud, fade
from nersemble_async.preview.sheet import RgbImage, Row, Tile, write_sheet

_ALPHA = FrameFormat(channels="alpha")
_RGB = FrameFormat()
_MOST_CAMERAS = 6
_TIMESTEPS = 3

T = TypeVar("T")

Matrix = npt.NDArray[np.float64]


class Overlay(StrEnum):
    """What is drawn over the images."""

    POINTCLOUD = "pointcloud"
    """The timestep's pointcloud, in its colours over the faded image."""
    FLAME = "flame"
    """The tracked FLAME mesh."""
    NONE = "none"


_ASSETS = {
    Overlay.POINTCLOUD: "pointclouds",
    Overlay.FLAME: FLAME_TRACKING_VERSIONS[FLAME_TRACKING_CURRENT_VERSION],
}


@dataclass(frozen=True, slots=True)
class SheetOptions:
    """What of a sequence is drawn; what is None is chosen by what is on disk."""

    serials: tuple[str, ...] | None = None
    """Columns, where there are several; None: some of the cameras on disk, evenly."""
    timesteps: tuple[int, ...] | None = None
    """Blocks of rows; None: some, of those whose pointcloud is on disk where one is drawn."""
    with_alpha: bool = True
    """A row of alpha maps under each row of images."""
    overlay: Overlay | None = None
    """A row of it under those; None: the one that the benchmark has, where it can be drawn."""
    flame_folder: Path | None = None
    """Where the FLAME model's files lie; None: the usual folder."""
    tile_height: int = 240
    """Pixels."""


def write_sequence_sheet(
    assets: LocalAssets, sequence_name: str, out_png: Path, options: SheetOptions
) -> list[str]:
    """Draw a sheet; a file that is missing or broken leaves a tile that says so. Blocking.

    Returns:
        What was left out of what one may expect, and why, in words.

    Raises:
        SelectionError: a serial or timestep that does not exist, or no such overlay.
        NotCachedError: nothing of the sequence is on disk; or the overlay that was asked for
            needs a file that is not there; says which.
        DecodeError: the overlay that was asked for needs a file that is broken.
    """
    sheet = _SequenceSheet(assets, sequence_name, options)
    title = f"{assets.files.spec.task} {assets.files.participant_id:03d} {sequence_name}"
    kinds: list[tuple[str, Load]] = [("images", sheet.image)]
    if options.with_alpha:
        kinds.append(("alpha maps", sheet.alpha_map))
    if sheet.draw_overlay is not None:
        kinds.append((sheet.overlay_title, sheet.draw_overlay))
    if len(sheet.serials) == 1:  # a row for each camera and timestep would make a thin sheet
        rows = [sheet.timesteps_row(f"{title}, {kind}", load) for kind, load in kinds]
    else:
        rows = [
            sheet.cameras_row(f"{title}, timestep {timestep}, {kind}", timestep, load)
            for timestep in sheet.timesteps
            for kind, load in kinds
        ]
    write_sheet(out_png, rows, options.tile_height)
    return sheet.notes


def spread(values: Sequence[T], count: int) -> tuple[T, ...]:
    """At most ``count`` of the values, evenly over all of them."""
    if not values:
        return ()
    places = [int((k + 0.5) * len(values) / count) for k in range(count)]
    return tuple(values[place] for place in dict.fromkeys(places))


Load = Callable[[str, int], RgbImage]


class _SequenceSheet:
    def __init__(self, assets: LocalAssets, sequence_name: str, options: SheetOptions) -> None:
        spec = assets.files.spec
        if not spec.train_serials:
            raise SelectionError(
                f"{spec.task} has no videos, its images are PNG files of their own"
            )
        self._assets = assets
        self._name = sequence_name
        self._calibration = cache(assets.read_camera_calibration)
        # All cameras of a timestep are drawn before the next one.
        self._pointcloud = lru_cache(1)(lambda t: assets.read_pointcloud(sequence_name, t))
        self.notes: list[str] = []
        on_disk = assets.list_serials(sequence_name)
        self.serials = options.serials or spread(on_disk, _MOST_CAMERAS)
        for serial in self.serials:
            assets.files.video("images", sequence_name, serial)  # whether there is such a camera
        timeline = assets.read_timeline(sequence_name)
        self.timesteps = tuple(timeline.checked(options.timesteps))
        self.overlay_title, self.draw_overlay = self._overlay(options)
        if options.timesteps is None:
            with_cloud = self._with_pointcloud() if self.overlay_title == "pointcloud" else ()
            self.timesteps = spread(with_cloud or timeline.timesteps, _TIMESTEPS)

    def _overlay(self, options: SheetOptions) -> tuple[str, Load | None]:
        files = self._assets.files
        published = [
            overlay
            for overlay, asset in _ASSETS.items()
            if asset in [each.key for each in files.spec.assets]
        ]
        wanted = options.overlay
        if wanted is Overlay.NONE:
            return "", None
        if wanted is not None and wanted not in published:
            names = ", ".join([*published, Overlay.NONE])
            raise SelectionError(f"{files.spec.task} has no {wanted}; overlays are {names}")
        for overlay in published if wanted is None else [wanted]:
            try:
                return str(overlay), self._drawer(overlay, options)
            except (NotCachedError, DecodeError) as error:
                if wanted is not None:
                    raise
                self.notes.append(f"no {overlay} is drawn: {error}")
        return "", None

    def _drawer(self, overlay: Overlay, options: SheetOptions) -> Load:
        if overlay is Overlay.POINTCLOUD:
            if not self._with_pointcloud():
                raise self._assets.files.not_cached(
                    self._assets.files.pointcloud(self._name, self.timesteps[0])
                )
            return self._draw_points
        version = FLAME_TRACKING_CURRENT_VERSION
        tracking = self._assets.read_flame_tracking(self._name, version)
        provider = FlameProvider(tracking, flame_folder=options.flame_folder)

        path = self._assets.files.flame_tracking(self._name, version).path

        def draw_flame(serial: str, timestep: int) -> RgbImage:
            if timestep >= len(tracking.frames):
                raise DecodeError(path, f"it has {len(tracking.frames)} frames only")
            vertices = provider.get_vertices(timestep)
            image = self.image(serial, timestep)
            return draw_mesh(image, vertices, provider.faces, *self._camera(serial))

        return draw_flame

    def _draw_points(self, serial: str, timestep: int) -> RgbImage:
        cloud = self._pointcloud(timestep)
        return draw_pointcloud(fade(self.image(serial, timestep)), cloud, *self._camera(serial))

    def _with_pointcloud(self) -> list[int]:
        files = self._assets.files
        return [t for t in self.timesteps if self._assets.is_there(files.pointcloud(self._name, t))]

    def cameras_row(self, title: str, timestep: int, load: Load) -> Row:
        tiles = [Tile(serial, partial(load, serial, timestep)) for serial in self.serials]
        return Row(title, tiles)

    def timesteps_row(self, title: str, load: Load) -> Row:
        (serial,) = self.serials
        labels = [f"{serial}, timestep {timestep}" for timestep in self.timesteps]
        loads = [partial(load, serial, timestep) for timestep in self.timesteps]
        return Row(title, list(map(Tile, labels, loads)))

    def image(self, serial: str, timestep: int) -> RgbImage:
        return self._frame("images", serial, timestep, _RGB).astype(np.uint8, copy=False)

    def alpha_map(self, serial: str, timestep: int) -> RgbImage:
        alpha = self._frame("alpha_maps", serial, timestep, _ALPHA)
        return np.repeat(alpha, 3, axis=2).astype(np.uint8, copy=False)

    def _frame(self, asset: str, serial: str, timestep: int, form: FrameFormat) -> FrameArray:
        return self._assets.read_frame(
            self._assets.files.video(asset, self._name, serial), timestep, form
        )

    def _camera(self, serial: str) -> tuple[Matrix, Matrix]:
        calibration = self._calibration()
        if serial not in calibration.intrinsics:
            raise MetadataError(f"camera_params.json holds no camera {serial}")
        return calibration.world_2_cam[serial], calibration.intrinsics[serial]
