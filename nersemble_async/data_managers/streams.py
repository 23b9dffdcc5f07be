"""The managers' streams: names and timesteps made into what `nersemble_async.loaders` takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from nersemble_async.data_managers.asset_access import AssetAccess
from nersemble_async.data_managers.opened_videos import OpenedVideos
from nersemble_async.formats.pointcloud.pcd_file import POINTCLOUD_FIELDS, PointcloudField
from nersemble_async.formats.video.frame_format import FrameDtype, FrameFormat, Layout
from nersemble_async.loaders.frames import FrameStream, open_frames
from nersemble_async.loaders.pointclouds import (
    DEFAULT_PREFETCH_BYTES,
    PointcloudStream,
    open_pointclouds,
)
from nersemble_async.loaders.shuffled import ShuffledStream, open_shuffled
from nersemble_async.loaders.shuffled_epochs import DEFAULT_MEMORY_BYTES


class FrameStreams(OpenedVideos):
    """Streams of frames. Each method returns an async context manager, which closes everything.

    Raises:
        SelectionError: on entering; a sequence, serial or timestep that does not exist.
        NotCachedError: on entering; a file is not on disk and there is no fetcher.
        DecodeError: on entering or from the stream; a broken file, with path and frame.
        FetchError, CacheError: on entering, with a fetcher.
    """

    @asynccontextmanager
    async def open_frames(
        self,
        sequence_name: str,
        serial: str,
        start: int = 0,
        stop: int | None = None,
        step: int = 1,
        *,
        with_alpha: bool = False,
        scale: float | tuple[float, float] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        dtype: FrameDtype = "uint8",
        layout: Layout = "HWC",
        prefetch: int | None = None,
    ) -> AsyncIterator[FrameStream]:
        """One camera's frames in order, decoded ahead on all cores.

        ::

            async with manager.open_frames("GLASSES", serial, start=0, stop=100) as frames:
                async for frame in frames:
                    frame.timestep, frame.image

        Args:
            sequence_name: which sequence.
            serial: which camera.
            start: the first timestep that may come.
            stop: the first that may not; None: to the end.
            step: every so many-th of the timesteps that metadata.json lists.
            with_alpha: decode the alpha video in step.
            scale: see `FrameFormat`, and so `crop`, `dtype` and `layout`.
            crop: left, top, width, height in pixels, before scaling.
            dtype: ``uint8`` or ``float32``.
            layout: ``HWC`` or ``CHW``.
            prefetch: how many frames may be ahead; see `loaders.frames.open_frames`.
        """
        files = self._access.files
        video = files.video("images", sequence_name, serial)
        wanted = [video]
        if with_alpha:
            wanted.append(files.video("alpha_maps", sequence_name, serial))
        if self._access.fetches:  # whether there are such timesteps, before a video is fetched
            (await self._access.timeline(sequence_name)).select(start, stop, step)
        async with self._access.open_files(wanted), AsyncExitStack() as stack:
            timeline = await self._access.timeline(sequence_name, video)
            timesteps = timeline.select(start, stop, step)
            sources = [self._access.assets.video_source(file) for file in wanted]
            stream = open_frames(
                sources[0],
                [(timestep, timeline.frame_index(timestep)) for timestep in timesteps],
                serial=serial,
                alpha=sources[1] if with_alpha else None,
                frame_format=FrameFormat(crop=crop, scale=scale, dtype=dtype, layout=layout),
                prefetch=prefetch,
            )
            yield await self._enter(stack, stream, wanted, timesteps)

    @asynccontextmanager
    async def open_shuffled(
        self,
        sequence_name: str,
        serials: Iterable[str] | None = None,
        timesteps: Iterable[int] | None = None,
        *,
        seed: int,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        worker: int = 0,
        n_workers: int = 1,
        with_alpha: bool = False,
        scale: float | tuple[float, float] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        dtype: FrameDtype = "uint8",
        layout: Layout = "HWC",
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        threads: int | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[ShuffledStream]:
        """Every frame of some cameras once, thoroughly mixed, at close to sequential speed.

        Args:
            sequence_name: which sequence.
            serials: which cameras; None: all that are on disk (with a fetcher: all).
            timesteps: which of them; None: all.
            seed: with `epoch`, the order; see `loaders.shuffled.open_shuffled`, and so all others.
            epoch: not negative.
            rank: of `world_size`.
            world_size: how many ranks share the epoch.
            worker: of `n_workers`.
            n_workers: how many workers share the rank's part.
            with_alpha: decode the alpha videos in step.
            scale: see `FrameFormat`, and so `crop`, `dtype` and `layout`.
            crop: left, top, width, height in pixels, before scaling.
            dtype: ``uint8`` or ``float32``.
            layout: ``HWC`` or ``CHW``.
            memory_bytes: for everything that is held; more of it mixes better.
            threads: that decode and convert; None: one for each core.
            state: of `ShuffledStream.state_dict`, to go on there.
        """
        async with (
            self._open_videos(sequence_name, serials, timesteps, with_alpha=with_alpha) as found,
            AsyncExitStack() as stack,
        ):
            stream = open_shuffled(
                found.images,
                found.steps,
                seed=seed,
                epoch=epoch,
                rank=rank,
                world_size=world_size,
                worker=worker,
                n_workers=n_workers,
                alphas=found.alphas,
                frame_format=FrameFormat(crop=crop, scale=scale, dtype=dtype, layout=layout),
                memory_bytes=memory_bytes,
                threads=threads,
                state=state,
            )
            wanted = [timestep for timestep, _ in found.steps]
            yield await self._enter(stack, stream, found.files, wanted)


class PointcloudStreams:
    """Streams of pointclouds; errors as in `FrameStreams`, those of a file when its turn comes."""

    _access: AssetAccess

    @asynccontextmanager
    async def open_pointclouds(
        self,
        sequence_name: str,
        timesteps: Iterable[int] | None = None,
        *,
        prefetch: int | None = None,
        prefetch_bytes: int = DEFAULT_PREFETCH_BYTES,
        fields: Collection[PointcloudField] = POINTCLOUD_FIELDS,
    ) -> AsyncIterator[PointcloudStream]:
        """Pointclouds in the order of the timesteps, read (and fetched) ahead.

        Args:
            sequence_name: which sequence.
            timesteps: which; None: all that metadata.json lists.
            prefetch: see `loaders.pointclouds.open_pointclouds`, and so the others.
            prefetch_bytes: of decoded arrays.
            fields: of ``points``, ``colors``, ``normals``; the others are left empty.
        """
        access = self._access
        access.files.pointcloud(sequence_name, 0)  # whether there are any of the sequence
        timeline = await access.timeline(sequence_name)
        async with open_pointclouds(
            lambda timestep: access.open_file(access.files.pointcloud(sequence_name, timestep)),
            timeline.checked(timesteps),
            prefetch=prefetch,
            prefetch_bytes=prefetch_bytes,
            fields=fields,
            limiter=access.limiter,
        ) as pointclouds:
            yield pointclouds
