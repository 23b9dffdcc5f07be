"""Pointclouds as a stream, read ahead: located (and so fetched, where that is how) and decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import anyio
from anyio.abc import TaskGroup

from nersemble_async.formats.pointcloud.pcd_file import (
    POINTCLOUD_FIELDS,
    Pointcloud,
    PointcloudField,
    read_pointcloud,
)
from nersemble_async.formats.pointcloud.pcd_header import read_pcd_header
from nersemble_async.loaders.ordered_budget import OrderedBudget
from nersemble_async.workers import make_limiter, run_blocking, single_leaf

LocatePointcloud = Callable[[int], AbstractAsyncContextManager[Path]]
"""Timestep → its file, which stays there while the context is open; entering it may fetch it."""

DEFAULT_PREFETCH = 16
DEFAULT_PREFETCH_BYTES = 512 << 20

_VECTOR_BYTES = 12
_FIRST_GUESS_BYTES = 32 << 20
"""For a pointcloud of which nothing is known yet; the largest of the dataset have about this."""


@dataclass(frozen=True, slots=True)
class PointcloudFrame:
    """One timestep's pointcloud."""

    timestep: int
    """Dataset time, as metadata.json lists it."""
    pointcloud: Pointcloud


@dataclass(slots=True)
class _Ahead:
    """A timestep that is being worked on: what became of it, once ``done`` is set."""

    done: anyio.Event
    pointcloud: Pointcloud | None = None
    error: Exception | None = None


class PointcloudStream:
    """The frames of `open_pointclouds`, in order; an async iterator for one reader."""

    def __init__(
        self,
        locate: LocatePointcloud,
        timesteps: Sequence[int],
        *,
        budget: OrderedBudget,
        limiter: anyio.CapacityLimiter,
        prefetch: int,
        fields: tuple[PointcloudField, ...],
    ) -> None:
        self._locate = locate
        self._timesteps = timesteps
        self._budget = budget
        self._limiter = limiter
        self._fields = fields
        self._usual_bytes = 0
        # Each one is there from before its work begins until it is handed out.
        self._window = anyio.Semaphore(prefetch)
        self._ahead: dict[int, _Ahead] = {}
        self._begun = anyio.Event()
        self._next = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PointcloudFrame:
        """The next timestep's pointcloud.

        Raises:
            DecodeError, FetchError, CacheError: this timestep's; the stream has ended then.
        """
        item = self._next
        if item == len(self._timesteps):
            raise StopAsyncIteration
        while item not in self._ahead:
            await self._begun.wait()
        ahead = self._ahead[item]
        await ahead.done.wait()
        # No await from here on: a cancelled reader has either all of it or nothing.
        del self._ahead[item]
        if ahead.error is not None or ahead.pointcloud is None:
            self._next = len(self._timesteps)
            raise ahead.error or RuntimeError("neither a pointcloud nor an error")
        self._next = item + 1
        self._budget.hand_out(item)
        self._window.release()
        return PointcloudFrame(self._timesteps[item], ahead.pointcloud)

    async def read_ahead(self, group: TaskGroup) -> None:
        """Begin one timestep after another, as many as may be held."""
        for item in range(len(self._timesteps)):
            await self._window.acquire()
            # Before it is located: a file is pinned only while it is fetched and decoded, never
            # while it waits for a reader. So the cache always comes free by itself.
            await self._budget.take(item, self._guess_bytes())
            ahead = self._ahead[item] = _Ahead(anyio.Event())
            group.start_soon(self._bring, item, ahead)
            self._begun.set()
            self._begun = anyio.Event()

    def _guess_bytes(self) -> int:
        if self._usual_bytes:
            return self._usual_bytes + self._usual_bytes // 8  # the next one is rarely larger
        return _FIRST_GUESS_BYTES * len(self._fields) // len(POINTCLOUD_FIELDS)

    async def _bring(self, item: int, ahead: _Ahead) -> None:
        try:
            ahead.pointcloud = await self._load(item)
        except Exception as error:  # noqa: BLE001 - its reader gets it when its turn comes
            ahead.error = error
        ahead.done.set()

    async def _load(self, item: int) -> Pointcloud:
        while True:
            async with self._locate(self._timesteps[item]) as path:
                size = await run_blocking(self._limiter, _decoded_bytes, path, self._fields)
                self._usual_bytes = max(self._usual_bytes, size)
                if self._budget.try_take(item, size):
                    return await run_blocking(self._limiter, read_pointcloud, path, self._fields)
            # Larger than was thought: let go of the file until there is memory for it.
            await self._budget.take(item, size)


def _decoded_bytes(path: Path, fields: tuple[PointcloudField, ...]) -> int:
    """What the arrays take at most, by the header; blocking."""
    with path.open("rb") as file:
        return read_pcd_header(file, path).n_points * _VECTOR_BYTES * len(fields)


@asynccontextmanager
async def open_pointclouds(
    locate: LocatePointcloud,
    timesteps: Sequence[int],
    *,
    prefetch: int | None = None,
    prefetch_bytes: int = DEFAULT_PREFETCH_BYTES,
    fields: Collection[PointcloudField] = POINTCLOUD_FIELDS,
    limiter: anyio.CapacityLimiter | None = None,
) -> AsyncIterator[PointcloudStream]:
    """Stream the pointclouds of ``timesteps``, in that order, reading ahead.

    ::

        async with open_pointclouds(locate, timesteps) as frames:
            async for frame in frames:
                frame.timestep, frame.pointcloud.points

    A timestep's error is raised when its turn comes: everything before it is delivered, and the
    stream has ended. Leaving early, or a cancellation, ends what is under way (a decode that has
    begun is waited for) and closes every context of ``locate``.

    Args:
        locate: called once for each timestep, several at a time (and once more where a pointcloud
            turns out larger than those before it); its context stays open while the file is
            decoded, not while the arrays wait for their reader.
        timesteps: in the order wanted; may repeat.
        prefetch: how many timesteps are worked on or held ready at once; None is
            `DEFAULT_PREFETCH`.
        prefetch_bytes: how many bytes of decoded arrays may be held ready, or be in the making;
            one pointcloud may go beyond it.
        fields: as `read_pointcloud` takes them.
        limiter: for blocking work; None makes one.

    Raises:
        ValueError: ``prefetch`` or ``prefetch_bytes`` is less than 1.
    """
    prefetch = DEFAULT_PREFETCH if prefetch is None else prefetch
    if prefetch < 1 or prefetch_bytes < 1:
        raise ValueError("prefetch and prefetch_bytes must be at least 1")
    stream = PointcloudStream(
        locate,
        tuple(timesteps),
        budget=OrderedBudget(prefetch_bytes),
        limiter=limiter or make_limiter(),
        prefetch=prefetch,
        fields=tuple(dict.fromkeys(fields)),
    )
    with single_leaf():
        async with anyio.create_task_group() as group:
            group.start_soon(stream.read_ahead, group)
            try:
                yield stream
            finally:
                group.cancel_scope.cancel()
