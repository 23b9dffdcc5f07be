"""One camera as an async stream of frames, decoded ahead by worker threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import anyio

from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame import Frame, alpha_format
from nersemble_async.loaders.lock_step import LockStep, run_lock_step
from nersemble_async.loaders.stream_memory import StreamPlan, plan_stream
from nersemble_async.loaders.stream_videos import Step, make_lanes, read_videos
from nersemble_async.workers import make_limiter, usable_cores

DEFAULT_PREFETCH_BYTES = 256 << 20
_LEAST_PREFETCH, _MOST_PREFETCH = 2, 8


class FrameStream:
    """The frames of `open_frames`, in order; an async iterator."""

    def __init__(
        self, serial: str, steps: Sequence[Step], plan: StreamPlan, lock_step: LockStep
    ) -> None:
        self.plan = plan
        """What it takes in memory, and in threads."""
        self._serial = serial
        self._steps = steps
        self._lock_step = lock_step

    def __len__(self) -> int:
        """Frames in all, those that were given out counted."""
        return len(self._steps)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        """The next frame; a cancelled caller loses none.

        Raises:
            DecodeError: with path and frame; the stream has ended then.
            OSError: the file cannot be read.
        """
        arrays = await self._lock_step.take()
        if arrays is None:
            raise StopAsyncIteration
        timestep, frame_index = self._steps[self._lock_step.position - 1]
        image, *alpha_maps = arrays
        return Frame(
            serial=self._serial,
            timestep=timestep,
            frame_index=frame_index,
            image=image,
            alpha_map=alpha_maps[0] if alpha_maps else None,
        )

    async def aclose(self) -> None:
        """End the stream before its context ends: decoders are closed, no frame comes any more."""
        await self._lock_step.aclose()


@asynccontextmanager
async def open_frames(
    video: VideoSource,
    steps: Sequence[Step],
    *,
    serial: str,
    alpha: VideoSource | None = None,
    frame_format: FrameFormat | None = None,
    prefetch: int | None = None,
    codec_threads: int | None = None,
    limiter: anyio.CapacityLimiter | None = None,
) -> AsyncIterator[FrameStream]:
    """Stream the frames of ``steps`` in order, decoding ahead on all cores.

    ::

        async with open_frames(video, steps, serial="222200037") as frames:
            async for frame in frames:
                frame.timestep, frame.image

    A frame's error is raised when its turn comes: everything before it is delivered, and the
    stream has ended. Leaving early, or a cancellation, waits for the frame that is being decoded
    and closes the decoders: no thread of theirs and no open file is left.

    Args:
        video: of the images.
        steps: timestep and frame index of each frame; frame indices ascend.
        serial: of the camera.
        alpha: of the alpha maps, frame for frame as ``video``; None: none are wanted.
        frame_format: of the images; alpha maps have the same with one channel.
        prefetch: how many frames may be ahead of the one that was given out last, being decoded,
            converted or ready; each takes its array's bytes, or the decoded frame's where these
            are more (`FrameStream.plan` tells all memory). None: as many as make 256 MiB, 2 to 8.
        codec_threads: of each decoder; None: all cores together.
        limiter: for blocking work; None makes one.

    Raises:
        SelectionError: a frame does not exist, or frame indices do not ascend.
        DecodeError: not a video.
        OSError: a file cannot be read.
        ValueError: ``prefetch`` or ``codec_threads`` is less than 1, or the format's crop leaves
            the frame.
    """
    for name, given in (("prefetch", prefetch), ("codec_threads", codec_threads)):
        if given is not None and given < 1:
            raise ValueError(f"{name} is {given}; it must be at least 1")
    image_format = frame_format or FrameFormat()
    sources = [(video, image_format)]
    if alpha is not None:
        sources.append((alpha, alpha_format(image_format)))
    cores = usable_cores()
    videos = await read_videos(sources, steps, limiter or make_limiter(cores))
    plan = plan_stream(
        [video.measured for video in videos],
        cores=cores,
        codec_threads=codec_threads,
    )
    if prefetch is None:
        fitting = DEFAULT_PREFETCH_BYTES // plan.sample_bytes
        prefetch = min(max(_LEAST_PREFETCH, fitting), _MOST_PREFETCH)
    plan = plan.going_ahead(prefetch)
    lanes = make_lanes(videos, steps, plan)
    async with run_lock_step(lanes, len(steps), plan, limiter) as lock_step:
        yield FrameStream(serial, tuple(steps), plan, lock_step)
