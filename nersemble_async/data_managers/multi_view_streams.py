"""The managers' streams of all cameras in lock-step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from nersemble_async.benchmark.mono_flame_avatar import FLAME_TRACKING_CURRENT_VERSION
from nersemble_async.data_managers.opened_videos import ChosenVideos, OpenedVideos
from nersemble_async.formats.cameras import CameraCalibration
from nersemble_async.formats.video.frame_format import FrameDtype, FrameFormat, Layout
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.multi_view import (
    DEFAULT_MEMORY_BYTES,
    DEFAULT_POINTCLOUD_BYTES,
    MultiViewStream,
    open_multi_view,
    plan_multi_view,
)
from nersemble_async.loaders.stream_memory import StreamPlan


class MultiViewStreams(OpenedVideos):
    """All cameras of a timestep as one sample; errors as in `FrameStreams`."""

    @asynccontextmanager
    async def open_multi_view(
        self,
        sequence_name: str,
        serials: Iterable[str] | None = None,
        timesteps: Iterable[int] | None = None,
        *,
        with_alpha: bool = True,
        with_calibration: bool = True,
        with_pointcloud: bool = False,
        with_flame: bool = False,
        scale: float | tuple[float, float] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        dtype: FrameDtype = "uint8",
        layout: Layout = "HWC",
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        pointcloud_bytes: int = DEFAULT_POINTCLOUD_BYTES,
    ) -> AsyncIterator[MultiViewStream]:
        """Samples in the order of the timesteps, decoded ahead within one memory budget.

        ::

            async with manager.open_multi_view("GLASSES") as samples:
                samples.memory_needed_bytes
                async for sample in samples:
                    sample.timestep, sample.images[serial], sample.alpha_maps[serial]

        Args:
            sequence_name: which sequence.
            serials: which cameras; None: all that are on disk (with a fetcher: all).
            timesteps: which, ascending; None: all.
            with_alpha: decode the alpha videos in step.
            with_calibration: give each sample the calibration of its images, as they are cropped
                and scaled.
            with_pointcloud: give each sample its pointcloud (NVS).
            with_flame: give each sample its row of the current FLAME tracking (mono).
            scale: see `FrameFormat`, and so `crop`, `dtype` and `layout`.
            crop: left, top, width, height in pixels, before scaling.
            dtype: ``uint8`` or ``float32``.
            layout: ``HWC`` or ``CHW``.
            memory_bytes: for everything that is held; see `loaders.multi_view.open_multi_view`.
            pointcloud_bytes: of it, for pointclouds that are read ahead.
        """
        access, form = self._access, FrameFormat(crop=crop, scale=scale, dtype=dtype, layout=layout)
        if with_pointcloud:
            access.files.pointcloud(sequence_name, 0)  # whether there are any of the sequence
        flame = None
        if with_flame:
            version = FLAME_TRACKING_CURRENT_VERSION
            file = access.files.flame_tracking(sequence_name, version)
            flame = await access.load(
                file, access.assets.read_flame_tracking, sequence_name, version
            )
        calibration = None
        if with_calibration:
            calibration = await access.load(
                access.files.calibration(), access.assets.read_camera_calibration
            )
        async with AsyncExitStack() as stack:
            found = await stack.enter_async_context(
                self._open_videos(sequence_name, serials, timesteps, with_alpha=with_alpha)
            )
            if calibration is not None:
                calibration = await self._fitted(calibration, found, form)
            yield await self._enter(
                stack,
                open_multi_view(
                    found.images,
                    found.steps,
                    alphas=found.alphas,
                    frame_format=form,
                    memory_bytes=memory_bytes,
                    calibration=calibration,
                    pointclouds=(
                        (lambda t: access.open_file(access.files.pointcloud(sequence_name, t)))
                        if with_pointcloud
                        else None
                    ),
                    pointcloud_bytes=pointcloud_bytes,
                    flame=flame,
                ),
                found.files,
                [timestep for timestep, _ in found.steps],
            )

    async def plan_multi_view(
        self,
        sequence_name: str,
        serials: Iterable[str] | None = None,
        *,
        with_alpha: bool = True,
        with_pointcloud: bool = False,
        scale: float | tuple[float, float] | None = None,
        crop: tuple[int, int, int, int] | None = None,
        dtype: FrameDtype = "uint8",
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        pointcloud_bytes: int = DEFAULT_POINTCLOUD_BYTES,
    ) -> StreamPlan:
        """What `open_multi_view` would take (``.memory_needed_bytes``); nothing is decoded."""
        async with self._open_videos(sequence_name, serials, None, with_alpha=with_alpha) as found:
            return await plan_multi_view(
                found.images,
                alphas=found.alphas,
                frame_format=FrameFormat(crop=crop, scale=scale, dtype=dtype),
                memory_bytes=memory_bytes,
                pointcloud_bytes=pointcloud_bytes if with_pointcloud else 0,
            )

    async def _fitted(
        self, calibration: CameraCalibration, found: ChosenVideos, form: FrameFormat
    ) -> CameraCalibration:
        """The calibration of images in that form; all cameras' videos are of one size."""
        if form.crop is not None:
            calibration = calibration.cropped(*form.crop[:2])
        if form.scale is None:
            return calibration
        first: VideoSource = next(iter(found.images.values()))
        info = (await self._access.run(first.read_index)).info
        width, height = form.size(info.width, info.height)
        cropped = (info.width, info.height) if form.crop is None else form.crop[2:]
        # Sizes are rounded: what the images really were scaled by.
        return calibration.scaled((width / cropped[0], height / cropped[1]))
