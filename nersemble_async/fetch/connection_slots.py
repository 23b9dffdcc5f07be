"""The connections of one `Fetcher`, shared by its runs: what a loader waits for goes first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import TracebackType

import anyio
import anyio.lowlevel


class Priority(IntEnum):
    """Who is served first; in turn within one priority."""

    LOADER = 0
    """Somebody waits for this file now."""
    BACKGROUND = 1
    """A fetch of a plan."""


class ConnectionSlots:
    """Never more requests at once than connections, over all concurrent runs.

    A slot that becomes free goes to the loader request that has waited longest, and to a
    background request only where no loader request waits. A request that has a slot keeps it to
    its end, which is one range: 64 MiB at most, and 16 MiB where it was cut while a loader was
    attached (`attach_loader`); a server without ranges makes it a whole file. With all slots
    taken, a loader's request so waits until the first of them ends. The background gets nothing
    while loader requests are always waiting: as long as loaders want more than the connections
    bring, they get all. It goes on as soon as they have read ahead far enough, or have ended.

    Args:
        connections: how many slots there are.
    """

    def __init__(self, connections: int) -> None:
        self._free = connections
        self._queues: dict[Priority, deque[anyio.Event]] = {p: deque() for p in Priority}
        self._loaders = 0

    @property
    def tasks_waiting(self) -> int:
        """How many requests, of any priority, wait for a slot."""
        return sum(map(len, self._queues.values()))

    @property
    def has_loaders(self) -> bool:
        """Whether a loader may ask for a slot at any time."""
        return self._loaders > 0

    @contextmanager
    def attach_loader(self) -> Iterator[None]:
        """Within, background requests are cut short, so that a loader never waits for long."""
        self._loaders += 1
        try:
            yield
        finally:
            self._loaders -= 1

    async def acquire(self, priority: Priority) -> None:
        """Wait for a slot; cancelled, none is held and none is lost."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        if self._free:  # then nobody waits: `release` hands a slot on
            self._free -= 1
            return
        granted = anyio.Event()
        queue = self._queues[priority]
        queue.append(granted)
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():  # it came together with the cancellation
                self.release()
            else:
                queue.remove(granted)
            raise

    def release(self) -> None:
        """Hand a slot to the next in line."""
        for priority in Priority:
            queue = self._queues[priority]
            if queue:
                queue.popleft().set()
                return
        self._free += 1

    def of(self, priority: Priority) -> PrioritySlots:
        """The slots for requests of one priority."""
        return PrioritySlots(self, priority)


class PrioritySlots:
    """Slots as one run sees them: ``async with slots`` holds one."""

    def __init__(self, shared: ConnectionSlots, priority: Priority) -> None:
        self.shared = shared
        self.priority = priority

    async def __aenter__(self) -> None:
        await self.shared.acquire(self.priority)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shared.release()
