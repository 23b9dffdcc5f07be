"""All cameras at one timestep, as one sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nersemble_async.errors import SelectionError
from nersemble_async.formats.cameras import CameraCalibration
from nersemble_async.formats.flame.tracking import FlameTracking
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud
from nersemble_async.formats.video.decoded_frame import FrameArray

_FLAME_ROWS = (
    "expression", "rotation", "rotation_matrices", "translation", "jaw", "frames", "neck", "eyes",
)  # fmt: skip
"""What a tracking has for each timestep."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MultiViewFrame:
    """What was seen at one timestep, by every camera that was asked for."""

    timestep: int
    """The dataset's time, as in metadata.json."""
    frame_index: int
    """Position in each mp4."""
    images: Mapping[str, FrameArray]
    """By serial, in the order asked for, each as the `FrameFormat` says; by default (H, W, 3)
    uint8 RGB."""
    alpha_maps: Mapping[str, FrameArray] | None
    """By serial, with one channel, else in the images' format; None where not asked for."""
    calibration: CameraCalibration | None
    """As it was given to the stream; None where it was not."""
    pointcloud: Pointcloud | None
    """Of this timestep; None where not asked for."""
    flame: FlameTracking | None
    """The tracking's row ``frame_index`` (T = 1); None where not asked for."""

    def __repr__(self) -> str:
        first = next(iter(self.images.values()), None)
        each = "" if first is None else f" of {first.dtype} {first.shape}"
        extras = [
            name
            for name in ("alpha_maps", "calibration", "pointcloud", "flame")
            if getattr(self, name) is not None
        ]
        return (
            f"MultiViewFrame(timestep={self.timestep}, frame_index={self.frame_index}, "
            f"{len(self.images)} images{each}{''.join(f', {name}' for name in extras)})"
        )

    @property
    def serials(self) -> tuple[str, ...]:
        """The cameras, in the order of `stacked_images`."""
        return tuple(self.images)

    def stacked_images(self) -> FrameArray:
        """A copy of the images as (V, H, W, 3), or as their format says; V in order of `serials`.

        Some 2 ms a camera at full size.

        Raises:
            ValueError: the images differ in size, or there are none.
        """
        return _stacked(self.images)

    def stacked_alpha_maps(self) -> FrameArray:
        """A copy of the alpha maps as (V, H, W, 1), or as their format says.

        Raises:
            ValueError: the alpha maps differ in size, or there are none.
        """
        return _stacked(self.alpha_maps or {})


def flame_rows(tracking: FlameTracking, steps: Sequence[tuple[int, int]]) -> list[FlameTracking]:
    """A tracking of one frame for each of these timesteps; nothing is copied.

    A row is found by its position, which is the frame's in the mp4, as `FlameProvider` and the
    official toolkit find it; what ``tracking.frames`` calls it does not matter.

    Args:
        tracking: of the whole sequence.
        steps: timestep and frame index of each.

    Raises:
        SelectionError: a timestep was not tracked; says how many rows there are.
    """
    n_rows = len(tracking.frames)
    for timestep, frame_index in steps:
        if not 0 <= frame_index < n_rows:
            raise SelectionError(
                f"the FLAME tracking has no row {frame_index}, which would be of timestep "
                f"{timestep}; it has {n_rows}, counted from 0 as the video's frames are"
            )
    return [_row(tracking, frame_index) for _, frame_index in steps]


def _row(tracking: FlameTracking, row: int) -> FlameTracking:
    rows: dict[str, Any] = {name: getattr(tracking, name)[row : row + 1] for name in _FLAME_ROWS}
    return replace(tracking, **rows)


def _stacked(arrays: Mapping[str, FrameArray]) -> FrameArray:
    return np.stack(list(arrays.values()))  # type: ignore[return-value]  # of one dtype
