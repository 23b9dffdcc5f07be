"""`NVSDataManager` and `MonoFlameAvatarDataManager`: the official ones, their loads awaited."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.layout import Task
from nersemble_async.benchmark.mono_flame_avatar import FLAME_TRACKING_CURRENT_VERSION
from nersemble_async.data_managers.asset_access import AssetAccess, HoldsAccess
from nersemble_async.data_managers.multi_view_streams import MultiViewStreams
from nersemble_async.data_managers.official_paths import (
    MonoFlameAvatarPaths,
    NVSPaths,
    VideoPaths,
)
from nersemble_async.data_managers.streams import FrameStreams, PointcloudStreams
from nersemble_async.formats.cameras import CameraCalibration
from nersemble_async.formats.flame.tracking import FlameTracking
from nersemble_async.formats.image.official_image import image_format, official_image
from nersemble_async.formats.video.decoded_frame import FrameArray

if TYPE_CHECKING:
    from nersemble_async.fetch.fetcher import Fetcher
    from nersemble_async.loaders.frame_cache import FrameCache

Uint8Image = npt.NDArray[np.uint8]
Float32Image = npt.NDArray[np.float32]


class _VideoParticipant(HoldsAccess, FrameStreams, MultiViewStreams, VideoPaths):
    """One participant of a benchmark with videos."""

    _task: Task

    def __init__(
        self,
        benchmark_folder: str | Path | None,
        participant_id: int,
        *,
        fetcher: Fetcher | None = None,
        frame_cache: FrameCache | None = None,
    ) -> None:
        self._access = AssetAccess(
            benchmark_folder, self._task, participant_id, fetcher=fetcher, frame_cache=frame_cache
        )
        self._files = self._access.files
        self._assets = self._access.assets

    # ---- what can be loaded -------------------------------------------------------------------

    async def list_sequences(self) -> list[str]:
        """Sequences that are on disk (with a fetcher: all), train ones first."""
        if self._access.fetches:
            return list(self._files.sequences)
        return await self._access.run(self._assets.list_sequences)

    async def list_serials(self, sequence_name: str) -> list[str]:
        """Cameras whose image video is on disk (with a fetcher: all), in the official order."""
        if self._access.fetches:
            return self._files.serials_of("images", sequence_name)
        return await self._access.run(self._assets.list_serials, sequence_name)

    async def list_timesteps(self, sequence_name: str) -> list[int]:
        """The timesteps that metadata.json lists; without one, those of the first video."""
        return list((await self._access.timeline(sequence_name)).timesteps)

    async def get_n_timesteps(self, sequence_name: str) -> int:
        """How many there are."""
        return len((await self._access.timeline(sequence_name)).timesteps)

    async def has_sequence(self, sequence_name: str) -> bool:
        """Whether an image video of the sequence is on disk (with a fetcher: is published)."""
        if self._access.fetches:
            return sequence_name in self._files.sequences_of("images")
        return await self._access.run(self._assets.has_sequence, sequence_name)

    async def has_video(self, sequence_name: str, serial: str) -> bool:
        """Whether the camera's image video is on disk (with a fetcher: is published)."""
        if self._access.fetches:
            videos = self._files.videos("images", sequence_name)
            return any(video.serial == serial for video in videos)
        return await self._access.run(self._assets.has_video, sequence_name, serial)

    # ---- single assets ------------------------------------------------------------------------

    @overload
    async def load_image(
        self, sequence_name: str, serial: str, timestep: int, as_uint8: Literal[False] = False
    ) -> Float32Image: ...
    @overload
    async def load_image(
        self, sequence_name: str, serial: str, timestep: int, as_uint8: Literal[True]
    ) -> Uint8Image: ...
    @overload
    async def load_image(
        self, sequence_name: str, serial: str, timestep: int, as_uint8: bool
    ) -> Uint8Image | Float32Image: ...
    async def load_image(
        self, sequence_name: str, serial: str, timestep: int, as_uint8: bool = False
    ) -> Uint8Image | Float32Image:
        """(H, W, 3) RGB, the background removed: float32 in 0…1, or uint8 in 0…255."""
        video = self._files.video("images", sequence_name, serial)
        frame_format = image_format(as_uint8=as_uint8)
        await self._access.check_before_fetching(sequence_name, timestep)
        return await self._access.load(
            video, self._assets.read_frame, video, timestep, frame_format
        )

    async def load_alpha_map(self, sequence_name: str, serial: str, timestep: int) -> Uint8Image:
        """(H, W, 1) uint8; 255 is foreground."""
        video = self._files.video("alpha_maps", sequence_name, serial)
        await self._access.check_before_fetching(sequence_name, timestep)
        return await self._access.load(video, self._assets.read_alpha_map, video, timestep)

    async def load_all_images(
        self,
        sequence_name: str,
        serial: str,
        as_uint8: bool = False,
        every_nth_frame: int | None = None,
        scale: float | None = None,
    ) -> list[FrameArray]:
        """All frames as in `load_image`, scaled: mind the memory, `open_frames` holds a few."""
        step = 1 if every_nth_frame is None else every_nth_frame
        finish = partial(official_image, as_uint8=as_uint8, scale=scale)
        images: list[FrameArray] = []
        async with self.open_frames(sequence_name, serial, step=step) as frames:
            async for frame in frames:
                image = frame.image.astype(np.uint8, copy=False)
                images.append(await self._access.run(finish, image))
        return images

    async def load_camera_calibration(self) -> CameraCalibration:
        """Poses and intrinsics of all cameras, hold-out cameras included."""
        return await self._access.load(
            self._files.calibration(), self._assets.read_camera_calibration
        )


class NVSDataManager(_VideoParticipant, PointcloudStreams, NVSPaths):
    """One participant of the dynamic novel view synthesis benchmark.

    It may be used as it is, or as an async context manager, which closes the videos that it keeps
    open for the next frame; with a fetcher only as one. One manager may serve many tasks at once.

    Args:
        benchmark_folder: the root; None: the fetcher's, else as `Settings` say (the .env file is
            read then: do it before the event loop runs).
        participant_id: such as 388.
        fetcher: fetches what is not on disk when it is asked for, into the same root.
        frame_cache: where single frames are looked for first, and kept.

    Raises:
        SelectionError: there is no such participant; from any method: no such sequence, serial,
            timestep. Lists what exists.
        NotCachedError: from any load: not on disk, and nothing fetches it; says how to.
        DecodeError, MetadataError: from any load: the file is broken.
        FetchError, CacheError: from any load with a fetcher.
    """

    _task: Task = "nvs"

    async def load_pointcloud(
        self, sequence_name: str, timestep: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Points in metres, colors in 0…1, normals; each (N, 3) float32."""
        file = self._files.pointcloud(sequence_name, timestep)
        await self._access.check_before_fetching(sequence_name, timestep)
        cloud = await self._access.load(file, self._assets.read_pointcloud, sequence_name, timestep)
        return cloud.points, cloud.colors, cloud.normals


class MonoFlameAvatarDataManager(_VideoParticipant, MonoFlameAvatarPaths):
    """One participant of the monocular FLAME avatar benchmark; see `NVSDataManager`."""

    _task: Task = "mono_flame_avatar"

    async def load_flame_tracking(
        self, sequence_name: str, version: int = FLAME_TRACKING_CURRENT_VERSION
    ) -> FlameTracking:
        """The FLAME parameters of a train or test sequence; version 1 is of train ones only."""
        file = self._files.flame_tracking(sequence_name, version)
        return await self._access.load(
            file, self._assets.read_flame_tracking, sequence_name, version
        )
