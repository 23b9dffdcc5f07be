"""Frames in the order of a plan, decoded ahead by threads of its own. Blocking; no event loop."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from nersemble_async.loaders.frame import Frame
from nersemble_async.loaders.shuffle_layout import ShuffleLayout
from nersemble_async.loaders.shuffle_memory import ShuffleMemory
from nersemble_async.loaders.shuffle_plan import ShufflePlan
from nersemble_async.loaders.shuffled_lane import IndexedVideo, Kept, LaneFrames, decode_lane


@dataclass(slots=True, eq=False)
class _Lane:
    """What one decoder still has to do. Nobody else uses it while a thread does."""

    numbers: deque[int]
    """Positions in the plan's order of decoding, ascending."""
    frames: LaneFrames


class ShuffledReader:
    """Decodes one part of one epoch; a context manager. One thread at a time may use it.

    Its threads begin with the first frame that is asked for and end with `close`: it may be
    made in one process and pickled or forked before that. Which thread is how fast does not
    change the order.

    Args:
        layout: what the plan's numbers mean.
        plan: the order.
        videos: of each serial of ``layout``: the image's, and the alpha map's where it is wanted.
        memory: how far ahead of the buffer may be decoded.
        threads: that decode and convert.
        start: the first so many frames have been given out before; what of the buffer is still
            to come is decoded again.
    """

    def __init__(
        self,
        layout: ShuffleLayout,
        plan: ShufflePlan,
        videos: Sequence[Sequence[IndexedVideo]],
        memory: ShuffleMemory,
        *,
        threads: int,
        start: int = 0,
    ) -> None:
        self._layout, self._plan, self._videos, self._memory = layout, plan, videos, memory
        self._n_threads = threads
        self._start = start
        self._threads: list[threading.Thread] = []
        lock = threading.Lock()
        self._work, self._arrived = threading.Condition(lock), threading.Condition(lock)
        self._is_closed = False
        # All of what follows is only touched with the lock held.
        self._position = start
        self._idle: list[tuple[int, int]] = []
        self._lanes: list[_Lane] = []
        self._turn = np.empty(0, np.int64)
        self._kept: dict[int, Kept] = {}
        self._to_convert: list[int] = []
        self._ready: dict[int, Frame | Exception] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Frames of the whole part."""
        return len(self._plan)

    def __iter__(self) -> Iterator[Frame]:
        """Each frame from ``start`` on; errors as in `wait_for`."""
        for position in range(self._start, len(self)):
            frame = None
            while frame is None:
                frame = self.wait_for(position)
            yield frame

    def close(self) -> None:
        """End the threads and close all files; waits for a few frames at most. Again: no error."""
        if threading.current_thread() in self._threads:
            # A forgotten reader, found by the garbage collector in one of its own threads, which
            # may hold the lock and cannot wait for its own end.
            threading.Thread(target=self.close, name="shuffled-close", daemon=True).start()
            return
        with self._work:
            self._is_closed = True
            self._work.notify_all()
            self._arrived.notify_all()
        for thread in self._threads:
            thread.join()
        self._threads = []
        for lane in self._lanes:
            lane.frames.close()
        self._lanes, self._kept, self._ready = [], {}, {}

    def wait_for(self, position: int, timeout_seconds: float | None = None) -> Frame | None:
        """The frame at that position of the epoch, and an end to all before it.

        The same may be asked for again, until a later one is.

        Args:
            position: from 0; not before one that was asked for.
            timeout_seconds: None waits as long as it takes.

        Returns:
            None where the time was up.

        Raises:
            DecodeError: this frame, or one before it in its decoder, does not decode.
            OSError: a file cannot be read.
            ValueError: the reader is closed, or the part has no such position.
        """
        if self._is_closed:
            raise ValueError("the reader is closed")
        if not self._position <= position < len(self):
            raise ValueError(f"no position {position} here: {self._position} to {len(self) - 1}")
        with self._work:
            if not self._threads and not self._is_closed:
                self._begin()
            for old in range(self._position, position):
                self._ready.pop(old, None)
                self._position = old + 1
                self._let_convert(old + self._memory.ready_frames)
            self._work.notify_all()
            self._arrived.wait_for(
                lambda: position in self._ready or self._is_closed, timeout_seconds
            )
            if self._is_closed:
                raise ValueError("the reader is closed")
            frame = self._ready.get(position)
        if isinstance(frame, Exception):
            raise frame
        return frame

    # ---- within; _begin, _has_work and _let_convert with the lock held ------------------------

    def _begin(self) -> None:
        plan = self._plan
        self._turn = np.empty(len(plan), np.int64)
        self._turn[plan.emission] = np.arange(len(plan))
        per_decoder = max(1, self._n_threads // plan.mixing.n_lanes)
        for numbers in plan.lanes_left(self._start):
            frames = decode_lane(
                self._layout, plan.frames[numbers].tolist(), self._videos, per_decoder
            )
            if numbers:
                heapq.heappush(self._idle, (numbers[0], len(self._lanes)))
            self._lanes.append(_Lane(deque(numbers), frames))
        self._threads = [
            threading.Thread(target=self._run, name=f"shuffled-{number}", daemon=True)
            for number in range(self._n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        """Convert what is due soonest; else decode what is first in the plan."""
        while True:
            with self._work:
                self._work.wait_for(self._has_work)
                if self._is_closed:
                    return
                if self._to_convert:
                    position = heapq.heappop(self._to_convert)
                    kept = self._kept.pop(position)
                else:
                    position, kept = -1, ()
                    lane_number = heapq.heappop(self._idle)[1]
            if kept:
                self._convert(position, kept)
            else:
                self._decode(lane_number)

    def _has_work(self) -> bool:
        limit = self._position + self._plan.mixing.buffer_frames + self._memory.ahead_frames
        return (
            self._is_closed
            or bool(self._to_convert)
            or bool(self._idle and self._idle[0][0] < limit)
        )

    def _let_convert(self, position: int) -> None:
        if position < self._position + self._memory.ready_frames and position in self._kept:
            heapq.heappush(self._to_convert, position)

    def _decode(self, lane_number: int) -> None:
        """One frame of a lane, or a bit of the way to it."""
        lane = self._lanes[lane_number]
        try:
            kept = next(lane.frames)
        except Exception as error:  # noqa: BLE001 -- raised where the plan gives out the frame
            with self._work:
                for number in lane.numbers:
                    self._ready[int(self._turn[number])] = error
                self._arrived.notify_all()
            return
        with self._work:
            if kept is not None:
                position = int(self._turn[lane.numbers.popleft()])
                self._kept[position] = kept
                self._let_convert(position)
            if lane.numbers:
                heapq.heappush(self._idle, (lane.numbers[0], lane_number))
            self._work.notify()

    def _convert(self, position: int, kept: Kept) -> None:
        layout = self._layout
        number = int(self._plan.frames[self._plan.emission[position]])
        video = int(layout.video[number])
        frame_index = int(layout.frame_index[number])
        result: Frame | Exception
        try:
            arrays = [
                form.array(part, frame_index)
                for form, part in zip(self._videos[video], kept, strict=True)
            ]
            result = Frame(
                serial=layout.serials[video],
                timestep=int(layout.timestep[number]),
                frame_index=frame_index,
                image=arrays[0],
                alpha_map=arrays[1] if len(arrays) > 1 else None,
            )
        except Exception as error:  # noqa: BLE001 -- raised where the plan gives out the frame
            result = error
        with self._work:
            self._ready[position] = result
            self._arrived.notify_all()
