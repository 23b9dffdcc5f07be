"""Many videos encoded at once by a few threads: each video a lane, its frames one after another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")

_MOST_WAITING = 2
"""Items of a lane that wait: one is enough to keep its thread busy, two to bridge a slow frame."""


class EncodingPool:
    """A bounded number of threads; `close` waits for what is under way."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="nersemble-encode")

    def submit(self, work: Callable[[], None]) -> None:
        """Have it done by one of the threads; it must not fail."""
        self._executor.submit(work)

    def close(self) -> None:
        """Wait until all is done; nothing can be submitted any more."""
        self._executor.shutdown(wait=True)


class Lane(Generic[Item]):
    """Items handled one after another, in order, while whoever brings them goes on.

    Args:
        pool: whose threads handle them.
        handle: is called with each. What it raises is raised by the next `put` or `join`, and what
            waits is dropped.
    """

    def __init__(self, pool: EncodingPool, handle: Callable[[Item], None]) -> None:
        self._pool = pool
        self._handle = handle
        self._waiting: deque[Item] = deque()
        self._changed = threading.Condition()
        self._in_hand = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> None:
        """Bring an item; waits where enough are waiting already."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or len(self._waiting) < _MOST_WAITING)
            self._raise()
            if not self._waiting and not self._in_hand:
                # First, so that a Ctrl-C amid it leaves no item that nobody comes for.
                self._pool.submit(self._work)
            self._waiting.append(item)

    def join(self) -> None:
        """Wait until everything is handled."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._in_hand)
            self._raise()

    def drop(self) -> None:
        """Forget what waits, and wait for what is in hand."""
        with self._changed:
            self._waiting.clear()
            self._changed.wait_for(lambda: not self._in_hand)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        """One item; then the other lanes have their turn."""
        with self._changed:
            if self._in_hand or not self._waiting:
                return  # dropped, or called for twice
            self._in_hand = True
            taken = [self._waiting.popleft()]
            self._changed.notify_all()
        error: BaseException | None = None
        try:
            while taken:
                self._handle(taken.pop())
        except Exception as raised:  # noqa: BLE001 -- raised where the next item is brought
            error = raised
        with self._changed:
            self._in_hand = False
            try:
                if self._waiting and error is None:
                    self._pool.submit(self._work)
            except RuntimeError as raised:  # the interpreter ends: nobody comes for what waits
                error = raised
            if error is not None:
                self._error = error
                self._waiting.clear()
            self._changed.notify_all()
