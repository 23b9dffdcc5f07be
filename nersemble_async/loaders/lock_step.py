"""Several videos decoded in lock-step by worker threads: what `frames` and `multi_view` run on."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import anyio.lowlevel

from nersemble_async.formats.video.decoded_frame import DecodedFrame, FrameArray
from nersemble_async.loaders.stream_memory import StreamPlan
from nersemble_async.loaders.video_lane import Pace, VideoLane
from nersemble_async.workers import make_limiter, run_blocking, single_leaf

_MOST_AT_ONCE = 8
"""Frames that one job converts."""

T = TypeVar("T")
Job = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Progress:
    """How far a video is; only the event loop touches it."""

    lane: VideoLane
    next_position: int = 0
    """Of the frame that is decoded next."""
    is_busy: bool = False
    """A worker decodes it."""
    has_failed: bool = False
    unconverted: deque[tuple[int, DecodedFrame]] = field(default_factory=deque)
    ready: dict[int, FrameArray | Exception] = field(default_factory=dict)

    def settle(self, position: int, outcome: FrameArray | Exception) -> None:
        self.ready[position] = outcome
        self.has_failed |= isinstance(outcome, Exception)


class LockStep:
    """Position after position, the frames of all videos together.

    The video that is furthest behind is decoded first, and none goes further ahead of the
    position that was handed out last than the plan says.

    Args:
        lanes: the videos, each with as many frames.
        n_positions: how many frames.
        plan: how many work, and how far ahead.
        limiter: for blocking work.
    """

    def __init__(
        self,
        lanes: Sequence[VideoLane],
        n_positions: int,
        plan: StreamPlan,
        limiter: anyio.CapacityLimiter,
    ) -> None:
        self._lanes = [_Progress(lane) for lane in lanes]
        self._n_positions = n_positions
        self._plan = plan
        self._limiter = limiter
        self._position = 0
        self._pace = Pace()
        self._n_working = 0
        self._changed = anyio.Event()

    @property
    def position(self) -> int:
        """How many positions were handed out."""
        return self._position

    @property
    def n_working(self) -> int:
        """Units of work that are under way or wait for a thread."""
        return self._n_working

    @property
    def most_ahead(self) -> int:
        """How far the quickest video is ahead of what was handed out."""
        return max((lane.next_position for lane in self._lanes), default=0) - self._position

    async def take(self) -> list[FrameArray] | None:
        """The next position's arrays, in the order of the videos; None at the end.

        A cancelled caller has taken nothing: the next call gives the same position.

        Raises:
            DecodeError, OSError: this position's, the first video's that has one; that is the end.
        """
        await anyio.lowlevel.checkpoint()
        try:
            while not self._pace.stopped and self._position < self._n_positions:
                position = self._position
                if all(position in lane.ready for lane in self._lanes):
                    return self._hand_out(position)
                self._pace.awaited = True
                await self._changed.wait()
        finally:
            self._pace.awaited = False
        return None

    async def work(self) -> None:
        """One worker: does what is most urgent until it is cancelled or all is stopped."""
        while not self._pace.stopped:
            job = self._next_job()
            if job is None:
                await self._changed.wait()
            else:
                await job()

    async def aclose(self) -> None:
        """Stop, and close every video; shielded, again is no error."""
        self._pace.stopped = True
        self._notify()
        with anyio.CancelScope(shield=True):
            while self._n_working:
                await self._changed.wait()
            for lane in self._lanes:
                lane.ready.clear()
                lane.unconverted.clear()
            await run_blocking(make_limiter(1), self._close_lanes)

    # ---- within -------------------------------------------------------------------------------

    def _hand_out(self, position: int) -> list[FrameArray]:
        arrays: list[FrameArray] = []
        for lane in self._lanes:
            outcome = lane.ready.pop(position)
            if isinstance(outcome, Exception):
                self._pace.stopped = True
                self._notify()
                raise outcome
            arrays.append(outcome)
        self._position = position + 1
        self._notify()
        return arrays

    def _next_job(self) -> Job | None:
        full = [lane for lane in self._lanes if lane.unconverted]
        if full:
            first = min(full, key=lambda lane: lane.unconverted[0][0])
            return self._conversion_of(first)
        limit = min(self._position + self._plan.samples_ahead, self._n_positions)
        idle = [
            lane
            for lane in self._lanes
            if not lane.is_busy and not lane.has_failed and lane.next_position < limit
        ]
        if idle:
            furthest_behind = min(idle, key=lambda lane: lane.next_position)
            return self._decoding_of(furthest_behind, limit)
        return None

    def _decoding_of(self, lane: _Progress, limit: int) -> Job:
        lane.is_busy = True
        room = limit - lane.next_position

        async def decode() -> None:
            outcomes: Sequence[DecodedFrame | FrameArray | Exception]
            if self._plan.converts_apart:
                outcomes = await self._run(lambda: lane.lane.decode(room, self._pace))
            else:
                outcomes = await self._run(lambda: lane.lane.decode_arrays(room, self._pace))
            for position, outcome in enumerate(outcomes, lane.next_position):
                if isinstance(outcome, DecodedFrame):
                    lane.unconverted.append((position, outcome))
                else:
                    lane.settle(position, outcome)
            lane.next_position += len(outcomes)
            lane.is_busy = False
            self._notify()

        return decode

    def _conversion_of(self, lane: _Progress) -> Job:
        n_frames = max(1, min(len(lane.unconverted) // self._plan.workers, _MOST_AT_ONCE))
        batch = [lane.unconverted.popleft() for _ in range(n_frames)]

        async def convert() -> None:
            frames = [frame for _, frame in batch]
            for (position, _), outcome in zip(
                batch, await self._run(lambda: lane.lane.convert(frames)), strict=True
            ):
                lane.settle(position, outcome)
            self._notify()

        return convert

    async def _run(self, function: Callable[[], T]) -> T:
        self._n_working += 1
        try:
            return await run_blocking(self._limiter, function)
        finally:
            self._n_working -= 1
            self._notify()

    def _close_lanes(self) -> None:
        for lane in self._lanes:
            lane.lane.close()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def run_lock_step(
    lanes: Sequence[VideoLane],
    n_positions: int,
    plan: StreamPlan,
    limiter: anyio.CapacityLimiter | None = None,
) -> AsyncIterator[LockStep]:
    """Decode ahead while the context is open; at its end every video is closed.

    Args:
        lanes: the videos, each with as many frames.
        n_positions: how many frames.
        plan: how many work, and how far ahead.
        limiter: for blocking work; None makes one.
    """
    steps = LockStep(lanes, n_positions, plan, limiter or make_limiter(max(1, plan.workers)))
    with single_leaf():
        async with anyio.create_task_group() as group:
            for _ in range(plan.workers):
                group.start_soon(steps.work)
            try:
                yield steps
            finally:
                group.cancel_scope.cancel()
                await steps.aclose()
