"""Values in memory, the least recently used dropped beyond a limit in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from nersemble_async.cache.forking import reset_on_fork

V = TypeVar("V")


class RamCache(Generic[V]):
    """Any thread may call any method; a forked child begins with an empty one.

    A value is handed to several threads at once: it has to be one that they may share.

    Args:
        limit_bytes: of all values together; 0 keeps none.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.reset_in_child()
        reset_on_fork(self)

    def reset_in_child(self) -> None:
        """Empty, with a lock that nobody holds."""
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Of all values, as they were stated."""
        return self._held_bytes

    def get(self, key: Hashable) -> V | None:
        """The value, from now on the most recently used."""
        with self._lock:
            entry = self._values.get(key)
            if entry is None:
                return None
            self._values.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, value: V, size_bytes: int) -> None:
        """Keep a value; one that is larger than the limit is not kept."""
        if size_bytes > self.limit_bytes:
            return
        with self._lock:
            old = self._values.pop(key, None)
            self._held_bytes += size_bytes - (0 if old is None else old[1])
            self._values[key] = value, size_bytes
            while self._held_bytes > self.limit_bytes:
                _, (_, dropped_bytes) = self._values.popitem(last=False)
                self._held_bytes -= dropped_bytes

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._values.clear()
            self._held_bytes = 0
