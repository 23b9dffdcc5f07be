"""The official toolkit's classes for code that has no event loop, with their signatures.

A script written for the official toolkit changes its import lines::

    from nersemble_async.sync import FlameProvider, NVSDataManager  # and the other managers
    from nersemble_async.sync import NVSSubmissionDataWriter  # and the other writers and readers
    from nersemble_async.constants import BENCHMARK_NVS_IDS_AND_SEQUENCES

Errors of the managers: `SelectionError` for what does not exist in the benchmark,
`NotCachedError` (with the command that fetches it) for what is not on disk, `DecodeError` and
`MetadataError` for broken files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, overload

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.layout import Task
from nersemble_async.benchmark.mono_flame_avatar import FLAME_TRACKING_CURRENT_VERSION
from nersemble_async.data_managers.local_assets import LocalAssets
from nersemble_async.data_managers.official_paths import (
    MonoFlameAvatarPaths,
    NVSPaths,
    SVFRPaths,
    VideoPaths,
)
from nersemble_async.data_managers.participant_files import ParticipantFiles, root_folder
from nersemble_async.data_managers.submission_validation import (
    validate_submission_blocking as validate_submission,
)
from nersemble_async.formats.cameras import CameraCalibration
from nersemble_async.formats.flame.provider import FlameProvider
from nersemble_async.formats.flame.tracking import FlameTracking
from nersemble_async.formats.image.official_image import image_format
from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.submission.reading.blocking_readers import (
    MonoFlameAvatarSubmissionDataReader,
    NVSSubmissionDataReader,
    SVFRSubmissionDataReader,
)
from nersemble_async.submission.writing.mesh_writer import SVFRSubmissionDataWriter
from nersemble_async.submission.writing.video_writers import (
    MonoFlameAvatarSubmissionDataWriter,
    NVSSubmissionDataWriter,
)

if TYPE_CHECKING:
    from nersemble_async.loaders.frame_cache import FrameCache

__all__ = [
    "CameraCalibration",
    "FlameProvider",
    "FlameTracking",
    "ImageKey",
    "MonoFlameAvatarDataManager",
    "MonoFlameAvatarSubmissionDataReader",
    "MonoFlameAvatarSubmissionDataWriter",
    "NVSDataManager",
    "NVSSubmissionDataReader",
    "NVSSubmissionDataWriter",
    "SVFRDataManager",
    "SVFRSubmissionDataReader",
    "SVFRSubmissionDataWriter",
    "validate_submission",
]

Uint8Image = npt.NDArray[np.uint8]
Float32Image = npt.NDArray[np.float32]


class _Closing:
    """What was opened to read from stays open for the next read until `close`."""

    _assets: LocalAssets

    def close(self) -> None:
        """Close the videos that are kept open. Not necessary; reading again opens them anew."""
        self._assets.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        files = self._assets.files
        return f"{type(self).__name__}({files.folder!r}, {files.participant_id})"


class _VideoParticipant(_Closing, VideoPaths):
    """One participant of a benchmark with videos."""

    _task: Task

    def __init__(
        self,
        benchmark_folder: str | Path | None,
        participant_id: int,
        *,
        frame_cache: FrameCache | None = None,
    ) -> None:
        self._files = ParticipantFiles(root_folder(benchmark_folder), self._task, participant_id)
        self._assets = LocalAssets(self._files, frame_cache=frame_cache)

    # ---- what is on disk ----------------------------------------------------------------------

    def list_sequences(self) -> list[str]:
        """Sequences that are on disk, train ones first."""
        return self._assets.list_sequences()

    def list_serials(self, sequence_name: str) -> list[str]:
        """Cameras whose image video is on disk, in the official order."""
        return self._assets.list_serials(sequence_name)

    def list_timesteps(self, sequence_name: str) -> list[int]:
        """The timesteps that metadata.json lists; without one, those of the first video."""
        return list(self._assets.read_timeline(sequence_name).timesteps)

    def get_n_timesteps(self, sequence_name: str) -> int:
        """How many there are."""
        return len(self._assets.read_timeline(sequence_name).timesteps)

    def has_sequence(self, sequence_name: str) -> bool:
        """Whether an image video of the sequence is on disk."""
        return self._assets.has_sequence(sequence_name)

    def has_video(self, sequence_name: str, serial: str) -> bool:
        """Whether the camera's image video is on disk."""
        return self._assets.has_video(sequence_name, serial)

    # ---- assets -------------------------------------------------------------------------------

    @overload
    def load_image(
        self, sequence_name: str, serial: str, timestep: int, as_uint8: Literal[False] = False
    ) -> Float32Image: ...
    @overload
    def load_image(
        self, sequence_name: str, serial: str, timestep: int, as_uint8: Literal[True]
    ) -> Uint8Image: ...
    @overload
    def load_image(
        self, sequence_name: str, serial: str, timestep: int, as_uint8: bool
    ) -> Uint8Image | Float32Image: ...
    def load_image(
        self, sequence_name: str, serial: str, timestep: int, as_uint8: bool = False
    ) -> Uint8Image | Float32Image:
        """(H, W, 3) RGB, the background removed: float32 in 0…1, or uint8 in 0…255."""
        video = self._files.video("images", sequence_name, serial)
        return self._assets.read_frame(video, timestep, image_format(as_uint8=as_uint8))

    def load_alpha_map(self, sequence_name: str, serial: str, timestep: int) -> Uint8Image:
        """(H, W, 1) uint8; 255 is foreground."""
        video = self._files.video("alpha_maps", sequence_name, serial)
        return self._assets.read_alpha_map(video, timestep)

    def load_all_images(
        self,
        sequence_name: str,
        serial: str,
        as_uint8: bool = False,
        every_nth_frame: int | None = None,
        scale: float | None = None,
    ) -> list[FrameArray]:
        """All frames as in `load_image`, scaled: mind the memory, `iterate_images` holds one."""
        return list(self.iterate_images(sequence_name, serial, as_uint8, every_nth_frame, scale))

    def iterate_images(
        self,
        sequence_name: str,
        serial: str,
        as_uint8: bool = False,
        every_nth_frame: int | None = None,
        scale: float | None = None,
    ) -> Iterator[FrameArray]:
        """What `load_all_images` loads, one after another; the video is open meanwhile."""
        video = self._files.video("images", sequence_name, serial)
        step = 1 if every_nth_frame is None else every_nth_frame
        return self._assets.read_images(video, step, as_uint8=as_uint8, scale=scale)

    def video_sources(
        self,
        sequence_name: str,
        serials: Iterable[str] | None = None,
        *,
        asset: Literal["images", "alpha_maps"] = "images",
    ) -> dict[str, VideoSource]:
        """Videos by serial, as `loaders.torch` takes them; by default of all cameras on disk."""
        return self._assets.video_sources(asset, sequence_name, serials)

    def steps(
        self, sequence_name: str, timesteps: Iterable[int] | None = None
    ) -> list[tuple[int, int]]:
        """Timesteps and their frame indices, as `loaders.torch` takes them; by default all."""
        return self._assets.steps(sequence_name, timesteps)

    def load_camera_calibration(self) -> CameraCalibration:
        """Poses and intrinsics of all cameras, hold-out cameras included."""
        return self._assets.read_camera_calibration()


class NVSDataManager(_VideoParticipant, NVSPaths):
    """One participant of the dynamic novel view synthesis benchmark.

    Args:
        benchmark_folder: the root; None: as `Settings` say.
        participant_id: such as 388.
        frame_cache: where single frames are looked for first, and kept; not closed here.

    Raises:
        SelectionError: there is no such participant.
    """

    _task: Task = "nvs"

    def load_pointcloud(
        self, sequence_name: str, timestep: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Points in metres, colors in 0…1, normals; each (N, 3) float32."""
        cloud = self._assets.read_pointcloud(sequence_name, timestep)
        return cloud.points, cloud.colors, cloud.normals


class MonoFlameAvatarDataManager(_VideoParticipant, MonoFlameAvatarPaths):
    """One participant of the monocular FLAME avatar benchmark; arguments as `NVSDataManager`."""

    _task: Task = "mono_flame_avatar"

    def load_flame_tracking(
        self, sequence_name: str, version: int = FLAME_TRACKING_CURRENT_VERSION
    ) -> FlameTracking:
        """The FLAME parameters of a train or test sequence; version 1 is of train ones only."""
        return self._assets.read_flame_tracking(sequence_name, version)


class SVFRDataManager(_Closing, SVFRPaths):
    """One participant of the single-view face reconstruction benchmark; see `NVSDataManager`."""

    def __init__(self, benchmark_folder: str | Path | None, participant_id: int) -> None:
        self._files = ParticipantFiles(root_folder(benchmark_folder), "svfr", participant_id)
        self._assets = LocalAssets(self._files)

    def list_image_keys(self) -> list[ImageKey]:
        """The images that are on disk, sorted by their folders' names."""
        return self._assets.list_image_keys()

    def load_image(self, image_key: ImageKey) -> Uint8Image:
        """(H, W, 3) uint8 RGB."""
        return self._assets.read_image(image_key)
