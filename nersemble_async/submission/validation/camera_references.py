"""What a fetched root lets one expect of a hold-out camera's picture: points or near cameras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import BenchmarkSpec
from nersemble_async.errors import DecodeError
from nersemble_async.formats.cameras import (
    CameraCalibration,
    load_camera_calibration,
    project,
)
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud, read_pointcloud
from nersemble_async.formats.video.probe import probe_video
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.formats.video.small_pictures import decode_small
from nersemble_async.submission.validation.video_content import RgbPicture, small_size

_MOST_POINTS = 40_000
"""Of a pointcloud; a small picture has 7,000 pixels."""
_FEWEST_POINTS = 50
"""In a picture, for it to be judged."""
_CELL_PIXELS = 4
"""Side of the squares in which the nearest point hides what is behind it: no hole of a sparse
cloud is as large."""
_SURFACE_METRES = 0.03
"""Points so far behind the nearest one still are of the same surface: hair, ears, noses."""
_MOST_FRAMES = 2
_NEAR_CAMERAS = 2
_MOST_TRAIN_VIDEOS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Something to hold a camera's small pictures against."""

    source: str
    """In words, such as ``the pointcloud``."""
    serials: tuple[str, ...]
    """Cameras that it tells something of."""
    frame_indices: frozenset[int]
    """Frames that it tells something of."""
    misfit: Callable[[int, RgbPicture, str], float]
    """Mean difference in levels between a small picture of a frame and what a camera sees then."""


def sequence_reference(
    root: Path,
    spec: BenchmarkSpec,
    metadata: TaskMetadata,
    key: SequenceKey,
    frame_indices: frozenset[int],
) -> Reference | None:
    """The best reference that the root holds for a sequence's hold-out cameras, if there is one.

    Args:
        root: of the dataset, may be incomplete.
        spec: of the benchmark.
        metadata: tells a frame's timestep.
        key: the sequence.
        frame_indices: frames of which there are small pictures.

    Raises:
        DecodeError, MetadataError: a file of the root does not parse.
        OSError: one cannot be read.
    """
    path = root / spec.path("calibration", key.participant_id)
    if not path.is_file():
        return None
    place = _Place(root, spec, key, load_camera_calibration(path))
    return _by_points(place, metadata, frame_indices) or _by_cameras(place, frame_indices)


@dataclass(frozen=True, slots=True)
class _Place:
    """A sequence in a root."""

    root: Path
    spec: BenchmarkSpec
    key: SequenceKey
    calibration: CameraCalibration

    @property
    def serials(self) -> tuple[str, ...]:
        """Cameras to submit videos of."""
        known = self.calibration.world_2_cam
        return tuple(serial for serial in self.spec.submission_serials if serial in known)

    def published(self) -> list[str]:
        """Cameras whose videos are there."""
        known = self.calibration.world_2_cam
        return [s for s in self.spec.train_serials if s in known and self.video(s).is_file()]

    def video(self, serial: str) -> Path:
        """Where a published camera's video lies."""
        return _video_path(self.root, self.spec, self.key, serial)

    def pointcloud(self, timestep: int) -> Path:
        """Where a pointcloud lies."""
        participant_id, name = self.key.participant_id, self.key.sequence_name
        return self.root / self.spec.path("pointclouds", participant_id, name, timestep=timestep)


def _video_path(root: Path, spec: BenchmarkSpec, key: SequenceKey, serial: str) -> Path:
    return root / spec.path("images", key.participant_id, key.sequence_name, serial)


# ---- points -------------------------------------------------------------------------------------


def _by_points(
    place: _Place, metadata: TaskMetadata, frame_indices: frozenset[int]
) -> Reference | None:
    if all(asset.key != "pointclouds" for asset in place.spec.assets):
        return None
    timesteps = metadata.timesteps(place.key.participant_id, place.key.sequence_name)
    clouds: dict[int, Pointcloud] = {}
    for index in sorted(frame_indices):
        if index < len(timesteps) and len(clouds) < _MOST_FRAMES:
            path = place.pointcloud(timesteps[index])
            cloud = _read_thinned(path) if path.is_file() else None
            if cloud is not None:
                clouds[index] = cloud
    if not clouds:
        return None
    (width, height), full = small_size(place.spec.frame_size), _published_size(place)
    scaled = place.calibration.scaled((width / full[0], height / full[1]))

    def misfit(frame_index: int, picture: RgbPicture, serial: str) -> float:
        pose, intrinsics = scaled.world_2_cam[serial], scaled.intrinsics[serial]
        return points_misfit(picture, clouds[frame_index], pose, intrinsics)

    return Reference("the pointcloud", place.serials, frozenset(clouds), misfit)


def _read_thinned(path: Path) -> Pointcloud | None:
    """A part of the points, finite ones; None where they have no colours."""
    cloud = read_pointcloud(path, ("points", "colors"))
    if not len(cloud.points) or len(cloud.colors) != len(cloud.points):
        return None
    kept = np.arange(0, len(cloud.points), max(1, len(cloud.points) // _MOST_POINTS))
    kept = kept[np.isfinite(cloud.points[kept]).all(axis=1)]
    return Pointcloud(cloud.points[kept], cloud.colors[kept], np.empty((0, 3), np.float32))


def _published_size(place: _Place) -> tuple[int, int]:
    """Width, height that the calibration is meant for: of the first published video there is."""
    for serial in place.published():
        info = probe_video(place.video(serial), count_packets=False)
        return info.width, info.height
    return place.spec.frame_size


def points_misfit(
    picture: RgbPicture,
    cloud: Pointcloud,
    world_2_cam: npt.NDArray[np.float64],
    intrinsics: npt.NDArray[np.float64],
) -> float:
    """Mean difference in levels between points that a camera sees and the picture there.

    Args:
        picture: (h, w, 3).
        cloud: with colours.
        world_2_cam: (4, 4), OpenCV convention.
        intrinsics: (3, 3) for a picture of that size.

    Returns:
        Levels, 0 to 255; infinite where too few points are in view to tell.
    """
    height, width = picture.shape[:2]
    pixels, depth = project(cloud.points, world_2_cam, intrinsics)
    x, y = np.floor(pixels.T + 0.5)
    inside = (depth > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if np.count_nonzero(inside) < _FEWEST_POINTS:
        return float("inf")
    x, y, depth = x[inside].astype(np.int64), y[inside].astype(np.int64), depth[inside]
    cell = (y // _CELL_PIXELS) * width + x // _CELL_PIXELS
    nearest = np.full(height * width, np.inf)
    np.minimum.at(nearest, cell, depth)
    seen = depth < nearest[cell] + _SURFACE_METRES
    colors = cloud.colors[inside][seen] * 255
    return float(np.abs(picture[y[seen], x[seen]] - colors).mean())


# ---- near cameras -------------------------------------------------------------------------------


def _by_cameras(place: _Place, frame_indices: frozenset[int]) -> Reference | None:
    """Each camera by the pictures of the two published ones that stand nearest."""
    published = place.published()
    if len(published) < 2 * _NEAR_CAMERAS or not frame_indices:
        return None
    calibration, serials = place.calibration, place.serials
    places = {s: calibration.camera_position(s) for s in (*published, *serials)}

    def nearest_to(serial: str) -> list[str]:
        far = {other: float(np.linalg.norm(places[other] - places[serial])) for other in published}
        return sorted(published, key=lambda other: far[other])[:_NEAR_CAMERAS]

    near = {serial: nearest_to(serial) for serial in serials}
    size, first = small_size(place.spec.frame_size), min(frame_indices)
    pictures = {
        other: _picture(place.video(other), first, size)
        for other in sorted({other for neighbours in near.values() for other in neighbours})
    }

    def misfit(frame_index: int, picture: RgbPicture, serial: str) -> float:
        del frame_index  # the one there is
        return float(np.mean([pictures_misfit(picture, pictures[o]) for o in near[serial]]))

    return Reference("the train cameras beside it", serials, frozenset((first,)), misfit)


def pictures_misfit(picture: RgbPicture, other: npt.NDArray[np.number[Any]]) -> float:
    """Mean difference in levels of two small pictures of one size."""
    return float(np.abs(picture.astype(np.float32) - other).mean())


def train_pictures(
    root: Path, spec: BenchmarkSpec, participant_id: int
) -> Mapping[str, RgbPicture]:
    """Of cameras that are published and submitted too: how a person looks there, by serial.

    The median of the first frames of some train sequences.
    """
    found = {}
    for serial in spec.train_serials:
        if serial in spec.submission_serials:
            paths = [
                _video_path(root, spec, SequenceKey(participant_id, name), serial)
                for name in spec.train_sequences[participant_id]
            ]
            there = [path for path in paths if path.is_file()][:_MOST_TRAIN_VIDEOS]
            if there:
                pictures = [_picture(path, 0, small_size(spec.frame_size)) for path in there]
                found[serial] = np.rint(np.median(pictures, axis=0)).astype(np.uint8)
    return found


def _picture(path: Path, frame_index: int, size: tuple[int, int]) -> RgbPicture:
    with VideoReader(path) as reader:
        if frame_index >= reader.n_frames:
            raise DecodeError(str(path), "the frame is not there", frame=frame_index)
        ((_, picture),) = decode_small(reader, [frame_index], size)
        return picture
