"""What a submitted picture is set beside: a train camera's, or what was reconstructed, over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.mono_flame_avatar import (
    FLAME_TRACKING_CURRENT_VERSION,
    FLAME_TRACKING_VERSIONS,
)
from nersemble_async.benchmark.spec import Task
from nersemble_async.data_managers.local_assets import LocalAssets
from nersemble_async.data_managers.participant_files import ParticipantFiles
from nersemble_async.errors import DecodeError, MetadataError, SelectionError
from nersemble_async.formats.cameras import CameraCalibration
from nersemble_async.formats.flame.provider import FlameProvider
from nersemble_async.formats.flame.tracking import FlameTracking
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.probe import probe_video
from nersemble_async.preview.overlay import draw_mesh, draw_pointcloud, fade
from nersemble_async.preview.sequence_sheet import Overlay
from nersemble_async.preview.sheet import NoPictureError, RgbImage

Matrix = npt.NDArray[np.float64]
ChooseFrame = Callable[[int], int]
"""Which frame of a video that has so many."""

_RGB = FrameFormat()


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame of a submitted video."""

    sequence_name: str
    serial: str
    frame_index: int | None
    """None: not known, since there is no video."""
    choose_frame: ChooseFrame
    """For another video, where it is not known."""
    picture: RgbImage | None
    """(H, W, 3), shrunk or as submitted; None: it could not be had."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Makes the picture that is set beside a submitted one."""

    title: str
    """In words, for a row of them."""
    label: Callable[[Shot], str]
    """What stands under it."""
    draw: Callable[[Shot], RgbImage]
    """Raises CacheError, DecodeError, MetadataError, NoPictureError or OSError where it cannot."""


def reference_of(
    root: Path, task: Task, participant_id: int, overlay: Overlay | None, flame_folder: Path | None
) -> Reference | None:
    """What is shown beside a participant's videos; None where nothing is wanted.

    Args:
        root: of fetched data.
        task: of the submission.
        participant_id: of the submission.
        overlay: what is drawn over the pictures; None: the tracked FLAME mesh where the benchmark
            publishes one of what is submitted, else train cameras stand beside them.
        flame_folder: where the FLAME model's files lie; None: the usual folder.

    Raises:
        SelectionError: the benchmark has no such overlay.
        CacheError, DecodeError, MetadataError, OSError: what it takes is not there or broken.
    """
    if overlay is Overlay.NONE:
        return None
    assets = LocalAssets(ParticipantFiles(root, task, participant_id))
    published = {asset.key: asset for asset in assets.files.spec.assets}
    tracking = published.get(FLAME_TRACKING_VERSIONS[FLAME_TRACKING_CURRENT_VERSION])
    if overlay is Overlay.POINTCLOUD and "pointclouds" in published:
        return _Pointclouds(assets).reference()
    if overlay is Overlay.FLAME and tracking is None:
        raise SelectionError(f"{task} has no {overlay}")
    if overlay is Overlay.POINTCLOUD:
        raise SelectionError(f"{task} has no pointclouds")
    if tracking is not None:
        return _FlameMeshes(assets, flame_folder).reference()
    return _TrainCameras(assets).reference()


# ---- train cameras ------------------------------------------------------------------------------


class _TrainCameras:
    """The published camera that looks most nearly in the same direction."""

    def __init__(self, assets: LocalAssets) -> None:
        self._assets = assets
        self._calibration = assets.read_camera_calibration()
        (name,) = assets.files.spec.submission_sequences[assets.files.participant_id]
        self._on_disk = assets.list_serials(name)

    def reference(self) -> Reference:
        def label(shot: Shot) -> str:
            return f"for comparison: train\ncamera {self._nearest(shot.serial)}"

        return Reference("the train camera nearest to it, for comparison", label, self._draw)

    def _nearest(self, serial: str) -> str:
        poses = self._calibration.world_2_cam
        known = [other for other in self._on_disk if other in poses]
        if serial not in poses or not known:
            raise MetadataError(f"camera_params.json holds no camera {serial}")
        looking = poses[serial][2, :3]
        return max(known, key=lambda other: float(poses[other][2, :3] @ looking))

    def _draw(self, shot: Shot) -> RgbImage:
        video = self._assets.files.video("images", shot.sequence_name, self._nearest(shot.serial))
        n_frames = self._assets.read_index(video).n_frames
        index = shot.choose_frame(n_frames) if shot.frame_index is None else shot.frame_index
        if index >= n_frames:
            raise NoPictureError(f"no frame {index}, the train video has {n_frames}")
        timeline = self._assets.read_timeline(shot.sequence_name, video)
        frame = self._assets.read_frame(video, timeline.timesteps[index], _RGB)
        return frame.astype(np.uint8, copy=False)


# ---- over the picture ---------------------------------------------------------------------------


class _Projected:
    """What is drawn over a submitted picture, where its camera sees it."""

    def __init__(self, assets: LocalAssets) -> None:
        self._assets = assets
        self._calibration = assets.read_camera_calibration()
        self._published_size = _published_size(assets)

    def _camera(self, serial: str, picture: RgbImage) -> tuple[Matrix, Matrix]:
        """The camera of pictures of that size."""
        if serial not in self._calibration.intrinsics:
            raise MetadataError(f"camera_params.json holds no camera {serial}")
        height, width = picture.shape[:2]
        of_width, of_height = self._published_size
        scaled: CameraCalibration = self._calibration.scaled((width / of_width, height / of_height))
        return scaled.world_2_cam[serial], scaled.intrinsics[serial]

    def _draw(self, shot: Shot) -> RgbImage:
        if shot.picture is None or shot.frame_index is None:
            raise NoPictureError("no picture to draw on")
        camera = self._camera(shot.serial, shot.picture)
        return self._draw_on(shot.picture, shot.sequence_name, shot.frame_index, camera)

    def _draw_on(
        self, picture: RgbImage, sequence_name: str, index: int, camera: tuple[Matrix, Matrix]
    ) -> RgbImage:
        raise NotImplementedError


class _FlameMeshes(_Projected):
    """The tracked FLAME mesh."""

    def __init__(self, assets: LocalAssets, flame_folder: Path | None) -> None:
        super().__init__(assets)
        self._flame_folder = flame_folder
        self._head = cache(self._load_head)
        # What is missing is told now, once.
        for name in assets.files.spec.submission_sequences[assets.files.participant_id][:1]:
            self._head(name)

    def reference(self) -> Reference:
        title = "the tracked FLAME mesh over it"
        return Reference(title, lambda _: "tracked FLAME mesh", self._draw)

    def _load_head(self, sequence_name: str) -> tuple[FlameTracking, FlameProvider]:
        version = FLAME_TRACKING_CURRENT_VERSION
        tracking = self._assets.read_flame_tracking(sequence_name, version)
        return tracking, FlameProvider(tracking, flame_folder=self._flame_folder)

    def _draw_on(
        self, picture: RgbImage, sequence_name: str, index: int, camera: tuple[Matrix, Matrix]
    ) -> RgbImage:
        tracking, provider = self._head(sequence_name)
        if index >= len(tracking.frames):
            raise NoPictureError(f"the tracking has {len(tracking.frames)} frames")
        return draw_mesh(picture, provider.get_vertices(index), provider.faces, *camera)


class _Pointclouds(_Projected):
    """The timestep's pointcloud."""

    def reference(self) -> Reference:
        title = "faded under the pointcloud"
        return Reference(title, lambda _: "pointcloud", self._draw)

    def _draw_on(
        self, picture: RgbImage, sequence_name: str, index: int, camera: tuple[Matrix, Matrix]
    ) -> RgbImage:
        timesteps = self._assets.read_timeline(sequence_name).timesteps
        if index >= len(timesteps):
            raise NoPictureError(f"the sequence has {len(timesteps)} timesteps")
        cloud = self._assets.read_pointcloud(sequence_name, timesteps[index])
        return draw_pointcloud(fade(picture), cloud, *camera)


def _published_size(assets: LocalAssets) -> tuple[int, int]:
    """Width, height of pictures that the calibration is meant for, by a video that is on disk."""
    files = assets.files
    for name in files.spec.train_sequences[files.participant_id]:
        for video in files.videos("images", name):
            if assets.is_there(video):
                try:
                    info = probe_video(files.local_path(video), count_packets=False)
                except DecodeError:
                    continue
                return info.width, info.height
    return files.spec.frame_size
