"""One video of a submission zip as an async stream of frames, decoded ahead by a worker thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from typing import Self

import anyio
import anyio.lowlevel

from nersemble_async.formats.video.probe import VideoInfo
from nersemble_async.submission.reading.entry_video import EntryVideo, RgbImage
from nersemble_async.submission.thread_lifetimes import to_the_end
from nersemble_async.workers import run_blocking, single_leaf


class _Decoding:
    """One video in threads: closed between two frames only, and never opened after that.

    A shielded scope does not hold against asyncio's own cancellation (`asyncio.timeout`): the task
    closes the video then while a thread is still at it.
    """

    def __init__(
        self, open_video: Callable[[], EntryVideo], every_nth_frame: int, scale: float | None
    ) -> None:
        self._open_video = open_video
        self._every_nth_frame = every_nth_frame
        self._scale = scale
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._frames: Iterator[RgbImage] = iter(())
        self._is_closed = False

    def open(self) -> VideoInfo:
        with self._lock:
            if self._is_closed:
                raise ValueError("the stream was closed before it was open")
            video = self._opened.enter_context(self._open_video())
            frames = video.frames(self._every_nth_frame, self._scale)
            self._frames = self._opened.enter_context(closing(frames))
            return video.info

    def next(self) -> RgbImage | Exception | None:
        """The next frame, or what is to be raised in its turn; None at the end."""
        with self._lock:
            try:
                return None if self._is_closed else next(self._frames, None)
            except Exception as error:  # noqa: BLE001 -- raised when the frame's turn comes
                return error

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._opened.close()


class VideoFrames:
    """The frames of `stream_video`, in order; an async iterator."""

    def __init__(self, info: VideoInfo, decoding: _Decoding, prefetch: int) -> None:
        self.info = info
        """Size, rate, number of frames in the video."""
        self._decoding = decoding
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
            outcome = await run_blocking(limiter, self._decoding.next)
            if outcome is not None:
                self._ready.append(outcome)
            self._has_ended = outcome is None or isinstance(outcome, Exception)
            self._notify()

    def stop(self) -> None:
        """No frame comes any more."""
        self._has_ended = True
        self._ready.clear()
        self._notify()

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
    decoding = _Decoding(open_video, every_nth_frame, scale)
    try:
        frames = VideoFrames(await run_blocking(limiter, decoding.open), decoding, prefetch)
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
            await to_the_end(limiter, decoding.close, decoding.close)
