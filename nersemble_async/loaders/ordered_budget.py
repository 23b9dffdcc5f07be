"""Memory for items that are made ahead of their turn: bounded, and never stuck."""

from __future__ import annotations

import anyio


class OrderedBudget:
    """Bytes held by items 0, 1, 2, … between being made and being handed out in that order.

    The item whose turn it is always gets its bytes, however many others hold: so nothing waits
    for ever, and never more than the limit and one item is held.

    Args:
        limit_bytes: for all items together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: dict[int, int] = {}
        self._turn = 0
        self._changed = anyio.Event()

    @property
    def held_bytes(self) -> int:
        """What all items hold now."""
        return sum(self._held.values())

    async def take(self, item: int, size_bytes: int) -> None:
        """Wait until the item may hold so many bytes; what it held before is part of them."""
        while not self.try_take(item, size_bytes):
            await self._changed.wait()

    def try_take(self, item: int, size_bytes: int) -> bool:
        """`take` where that needs no waiting; whether it did."""
        others_bytes = self.held_bytes - self._held.get(item, 0)
        if item != self._turn and others_bytes + size_bytes > self._limit_bytes:
            return False
        shrunk = size_bytes < self._held.get(item, 0)
        self._held[item] = size_bytes
        if shrunk:
            self._notify()
        return True

    def hand_out(self, item: int) -> None:
        """The item whose turn it was belongs to its user now, and the next one's turn begins."""
        self._held.pop(item, None)
        self._turn = item + 1
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
