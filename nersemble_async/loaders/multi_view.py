"""Many cameras in lock-step under one memory budget, as an async stream of samples."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Self

import anyio

from nersemble_async.errors import SelectionError
from nersemble_async.formats.cameras import CameraCalibration
from nersemble_async.formats.flame.tracking import FlameTracking
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame import alpha_format
from nersemble_async.loaders.lock_step import LockStep, run_lock_step
from nersemble_async.loaders.multi_view_frame import MultiViewFrame, flame_rows
from nersemble_async.loaders.pointclouds import LocatePointcloud, PointcloudStream, open_pointclouds
from nersemble_async.loaders.stream_memory import StreamPlan, plan_within
from nersemble_async.loaders.stream_videos import Step, WantedVideo, make_lanes, read_videos
from nersemble_async.workers import make_limiter, usable_cores

DEFAULT_MEMORY_BYTES = 2 << 30
DEFAULT_POINTCLOUD_BYTES = 256 << 20
_MOST_AHEAD = 6
"""Samples; more would only delay what happens on an error or at the end."""


@dataclass(frozen=True, slots=True)
class _Extras:
    """What goes with the images of a sample."""

    calibration: CameraCalibration | None
    flame: Sequence[FlameTracking] | None
    pointclouds: PointcloudStream | None


class MultiViewStream:
    """The samples of `open_multi_view`, in order; an async iterator for one reader."""

    def __init__(
        self,
        cameras: tuple[Sequence[str], Sequence[str]],
        steps: Sequence[Step],
        plan: StreamPlan,
        lock_step: LockStep,
        extras: _Extras,
    ) -> None:
        self.plan = plan
        """What it takes in memory, and in threads."""
        self._serials, self._alpha_serials = cameras
        self._steps = steps
        self._lock_step = lock_step
        self._extras = extras
        self._pointcloud: Pointcloud | None = None

    @property
    def memory_needed_bytes(self) -> int:
        """At worst, with one sample in its user's hands."""
        return self.plan.memory_needed_bytes

    def __len__(self) -> int:
        """Samples in all, those that were given out counted."""
        return len(self._steps)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MultiViewFrame:
        """The next sample; a cancelled caller loses none.

        Raises:
            DecodeError: with path and frame, of the first camera that has one; the stream has
                ended then.
            OSError, FetchError, CacheError: a file cannot be read or had.
        """
        pointclouds = self._extras.pointclouds
        if pointclouds is not None and self._pointcloud is None:
            self._pointcloud = (await anext(pointclouds)).pointcloud
        arrays = await self._lock_step.take()
        # No await from here on: a cancelled reader has either all of it or nothing.
        if arrays is None:
            raise StopAsyncIteration
        pointcloud, self._pointcloud = self._pointcloud, None
        position = self._lock_step.position - 1
        timestep, frame_index = self._steps[position]
        n_images, flame = len(self._serials), self._extras.flame
        alpha_maps = dict(zip(self._alpha_serials, arrays[n_images:], strict=True))
        return MultiViewFrame(
            timestep=timestep,
            frame_index=frame_index,
            images=dict(zip(self._serials, arrays[:n_images], strict=True)),
            alpha_maps=alpha_maps or None,
            calibration=self._extras.calibration,
            pointcloud=pointcloud,
            flame=None if flame is None else flame[position],
        )

    async def aclose(self) -> None:
        """End the stream before its context ends: decoders are closed, no sample comes any more."""
        await self._lock_step.aclose()


async def plan_multi_view(
    videos: Mapping[str, VideoSource],
    *,
    alphas: Mapping[str, VideoSource] | None = None,
    frame_format: FrameFormat | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    pointcloud_bytes: int = 0,
    limiter: anyio.CapacityLimiter | None = None,
) -> StreamPlan:
    """What `open_multi_view` would take: `StreamPlan.memory_needed_bytes`; decodes nothing.

    Args and errors are as there; ``pointcloud_bytes`` is 0 where none are wanted.
    """
    limiter = limiter or make_limiter(usable_cores())
    wanted = await _read_videos(videos, alphas or {}, frame_format or FrameFormat(), (), limiter)
    return _plan(wanted, memory_bytes, pointcloud_bytes)


@asynccontextmanager
async def open_multi_view(
    videos: Mapping[str, VideoSource],
    steps: Sequence[Step],
    *,
    alphas: Mapping[str, VideoSource] | None = None,
    frame_format: FrameFormat | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    calibration: CameraCalibration | None = None,
    pointclouds: LocatePointcloud | None = None,
    pointcloud_bytes: int = DEFAULT_POINTCLOUD_BYTES,
    flame: FlameTracking | None = None,
    limiter: anyio.CapacityLimiter | None = None,
) -> AsyncIterator[MultiViewStream]:
    """Stream all cameras of a timestep as one sample, decoding ahead in lock-step on all cores.

    ::

        async with open_multi_view(videos, steps, alphas=alphas) as samples:
            samples.memory_needed_bytes
            async for sample in samples:
                sample.timestep, sample.images["222200037"]

    The camera that is furthest behind is decoded first, and none is further ahead of the sample
    that was given out last than the budget allows. A timestep's error is raised when its turn
    comes: every sample before it is delivered, and the stream has ended. Leaving early, or a
    cancellation, waits for the frames that are being decoded and closes the decoders: no thread
    of theirs and no open file is left.

    Args:
        videos: by serial.
        steps: timestep and frame index of each sample; frame indices ascend.
        alphas: by serial, of the cameras whose alpha maps are wanted.
        frame_format: of the images; alpha maps have the same with one channel.
        memory_bytes: for the decoders, everything decoded ahead, the pointclouds and the one
            sample in its user's hands.
        calibration: given out with each sample as it is: crop and scale are the caller's to do.
        pointclouds: finds a timestep's file, as `open_pointclouds` takes it; None: none wanted.
        pointcloud_bytes: of ``memory_bytes``, for pointclouds that are read ahead.
        flame: the sequence's tracking, row for row as the videos' frames; each sample gets its
            row. None: not wanted.
        limiter: for blocking work on videos; None makes one.

    Raises:
        ConfigurationError: ``memory_bytes`` does not hold the decoders and two samples; says
            what it would have to be.
        SelectionError: a frame or a tracked timestep does not exist, frame indices do not ascend,
            or there is an alpha map without images.
        DecodeError: not a video.
        OSError: a file cannot be read.
        ValueError: the format's crop leaves a frame.
    """
    timesteps = [timestep for timestep, _ in steps]
    rows = None if flame is None else flame_rows(flame, steps)
    wanted = await _read_videos(
        videos,
        alphas or {},
        frame_format or FrameFormat(),
        steps,
        limiter or make_limiter(usable_cores()),
    )
    plan = _plan(wanted, memory_bytes, 0 if pointclouds is None else pointcloud_bytes)
    async with AsyncExitStack() as stack:
        clouds = None
        if pointclouds is not None:
            clouds = await stack.enter_async_context(
                open_pointclouds(pointclouds, timesteps, prefetch_bytes=pointcloud_bytes)
            )
        lanes = make_lanes(wanted, steps, plan)
        lock_step = await stack.enter_async_context(run_lock_step(lanes, len(steps), plan, limiter))
        yield MultiViewStream(
            (tuple(videos), tuple(alphas or ())),
            tuple(steps),
            plan,
            lock_step,
            _Extras(calibration, rows, clouds),
        )


async def _read_videos(
    videos: Mapping[str, VideoSource],
    alphas: Mapping[str, VideoSource],
    frame_format: FrameFormat,
    steps: Sequence[Step],
    limiter: anyio.CapacityLimiter,
) -> list[WantedVideo]:
    """Images first, then alpha maps."""
    if not videos:
        raise SelectionError("no camera was asked for; there have to be one or more")
    if strange := [serial for serial in alphas if serial not in videos]:
        raise SelectionError(
            f"alpha maps of {', '.join(strange)}, but images only of {', '.join(videos)}"
        )
    alpha_form = alpha_format(frame_format)
    sources = [(source, frame_format) for source in videos.values()]
    sources += [(source, alpha_form) for source in alphas.values()]
    return await read_videos(sources, steps, limiter)


def _plan(videos: Sequence[WantedVideo], memory_bytes: int, pointcloud_bytes: int) -> StreamPlan:
    return plan_within(
        [video.measured for video in videos],
        memory_bytes=memory_bytes,
        most_ahead=_MOST_AHEAD,
        cores=usable_cores(),
        extra_bytes=pointcloud_bytes,
    )
