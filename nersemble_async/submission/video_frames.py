"""One video of a submission zip as an async stream of frames, decoded ahead by a worker thread."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from typing import Self

import anyio
import anyio.lowlevel

from nersemble_async.formats.video import VideoInfo
from nersemble_async.submission.entry_video import EntryVideo, RgbImage
from nersemble_async.workers import run_blocking, single_leaf


class VideoFrames:
    """The frames of `stream_video`, in order; an async iterator."""

    def __init__(self, video: EntryVideo, frames: Iterator[RgbImage], prefetch: int) -> None:
        self.info: VideoInfo = video.info
        """Size, rate, number of frames in the video."""
        self._frames = frames
        self._prefetch = prefetch
        self._ready: deque[RgbImage | Exception] = deque()
        self._has_ended = False
        self._changed = anyio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RgbImage:
        """The next frame, (H, W, 3) uint8; a cancelled caller loses none.

        Raises:
            DecodeError: the frame whose turn it is does not decode; the stream has ended then.
        """
        await anyio.lowlevel.checkpoint()
        while not self._ready:
            if self._has_ended:
                raise StopAsyncIteration
            await self._changed.wait()
        frame = self._ready.popleft()
        self._notify()
        if isinstance(frame, Exception):
            raise frame
        return frame

    async def decode_ahead(self, limiter: anyio.CapacityLimiter) -> None:
        """Decode until all is decoded, never more than ``prefetch`` frames ahead."""
        while not self._has_ended:
            if len(self._ready) >= self._prefetch:
                await self._changed.wait()
                continue
            outcome = await run_blocking(limiter, self._next)
            if outcome is not None:
                self._ready.append(outcome)
            self._has_ended = outcome is None or isinstance(outcome, Exception)
            self._notify()

    def stop(self) -> None:
        """No frame comes any more."""
        self._has_ended = True
        self._ready.clear()
        self._notify()

    def _next(self) -> RgbImage | Exception | None:
        try:
            return next(self._frames, None)
        except Exception as error:  # noqa: BLE001 -- raised when the frame's turn comes
            return error

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def stream_video(
    open_video: Callable[[], EntryVideo],
    every_nth_frame: int,
    scale: float | None,
    *,
    prefetch: int,
    limiter: anyio.CapacityLimiter,
) -> AsyncIterator[VideoFrames]:
    """Stream some frames of a video; it is closed at the end, whatever happens.

    Leaving early, or a cancellation, waits for the frame that is being decoded.

    Args:
        open_video: called in a worker thread; whatever it raises is raised here.
        every_nth_frame: of frames 0, n, 2n, …
        scale: of both sides; None: as they are.
        prefetch: how many frames may be ready at most.
        limiter: for blocking work.

    Raises:
        SelectionError: ``every_nth_frame`` is less than 1.
        ValueError: ``prefetch`` is less than 1.
    """
    if prefetch < 1:
        raise ValueError(f"prefetch is {prefetch}; it must be at least 1")
    opened = ExitStack()
    try:
        # A cancellation drops what a worker returns: the stack has it by then.
        video = await run_blocking(limiter, lambda: opened.enter_context(open_video()))
        decoded = opened.enter_context(closing(video.frames(every_nth_frame, scale)))
        frames = VideoFrames(video, decoded, prefetch)
        with single_leaf():
            async with anyio.create_task_group() as group:
                group.start_soon(frames.decode_ahead, limiter)
                try:
                    yield frames
                finally:
                    group.cancel_scope.cancel()
                    frames.stop()
    finally:
        with anyio.CancelScope(shield=True):
            await run_blocking(limiter, opened.close)
