"""What is opened and closed in threads, whatever is cancelled meanwhile.

A shielded scope does not hold against asyncio's own cancellation (`asyncio.timeout`, `TaskGroup`):
the task goes on at once, and its thread goes on alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

from nersemble_async.workers import run_blocking

T = TypeVar("T")


async def to_the_end(
    limiter: anyio.CapacityLimiter, close: Callable[[], None], wait: Callable[[], None]
) -> None:
    """Close something in a thread, and return or raise when it is closed.

    Args:
        limiter: for the thread.
        close: does it.
        wait: waits for ``close`` where that is under way in another thread, else closes too.
    """
    try:
        with anyio.CancelScope(shield=True):
            await run_blocking(limiter, close)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await run_blocking(limiter, wait)
        raise


class Opening(Generic[T]):
    """Something that is opened in a thread; closed again where the opening is cancelled.

    Attributes:
        opened: it; None before `enter`.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], None]) -> None:
        self.opened: T | None = None
        self._make = make
        self._close = close
        self._lock = threading.Lock()
        self._is_given_up = False

    async def enter(self, limiter: anyio.CapacityLimiter) -> None:
        """Open it."""
        try:
            with anyio.CancelScope(shield=True):
                await run_blocking(limiter, self._open)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await run_blocking(limiter, self._give_up)
            raise

    def _open(self) -> None:
        with self._lock:
            if not self._is_given_up:
                self.opened = self._make()

    def _give_up(self) -> None:
        with self._lock:
            self._is_given_up = True
            if self.opened is not None:
                self._close(self.opened)
