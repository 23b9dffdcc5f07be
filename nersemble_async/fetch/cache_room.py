"""Room within the cache limit for files on demand: who gets it next, and for how long one waits."""

from __future__ import annotations

import bisect

import anyio

from nersemble_async.cache.eviction import Room, TransientFiles
from nersemble_async.errors import CacheError
from nersemble_async.workers import run_blocking

_POLL_SECONDS = 0.2
"""Other processes do not tell when they let go of a file."""
ROOM_WAIT_SECONDS = 60.0
"""For so long nothing may come free, with nothing on its way, until a file is given up."""


class NoRoomYetError(CacheError):
    """A transfer turned out to need more room than there is; it is to begin again when there is.

    Control flow within `fetch`: nobody outside sees it.
    """

    def __init__(self, path: str, size_bytes: int) -> None:
        super().__init__(f"{path}: there is no room for it within the cache limit now")
        self.size_bytes = size_bytes


class CacheRoom:
    """Reserves bytes for transient files of one process, in the order in which they were asked for.

    In order, so that a stream that reads ahead always has its earliest files, whose users go on
    and let go of them. Whoever waits for room holds no connection.

    Args:
        files: the transient files of the root.
        threads: for blocking work.
        limit_bytes: of all transient files together; None is unlimited.
    """

    def __init__(
        self, files: TransientFiles, threads: anyio.CapacityLimiter, limit_bytes: int | None
    ) -> None:
        self._files = files
        self._threads = threads
        self._limit_bytes = limit_bytes
        self._waiting: list[int] = []
        self._changed = anyio.Event()
        self._running = 0
        self.wait_seconds = ROOM_WAIT_SECONDS

    def changed(self) -> None:
        """Something may have come free."""
        self._changed.set()
        self._changed = anyio.Event()

    def transfer_begins(self) -> None:
        """A file is on its way: as long as one is, waiting makes sense."""
        self._running += 1

    def transfer_ends(self) -> None:
        """It is no more."""
        self._running -= 1
        self.changed()

    async def reserve(self, turn: int, path: str, size_bytes: int) -> None:
        """Wait until ``size_bytes`` may be fetched, evicting what is not in use.

        Args:
            turn: the lowest of those waiting is served first; no two are alike.
            path: the file; pinned.
            size_bytes: as far as it is known.

        Raises:
            CacheError: it can never fit, or everything is in use and nobody lets go.
        """
        if await self._needs_none(path, size_bytes):
            return
        bisect.insort(self._waiting, turn)
        try:
            await self._wait_for_room(turn, path, size_bytes)
        finally:
            self._waiting.remove(turn)
            self.changed()

    async def _wait_for_room(self, turn: int, path: str, size_bytes: int) -> None:
        since = anyio.current_time()
        while True:
            changed = self._changed
            if self._waiting[0] == turn:
                room = await self._ask(path, size_bytes)
                if room is Room.RESERVED:
                    return
                if room is Room.EVICTED:
                    continue
            if self._running or self._waiting[0] != turn:
                since = anyio.current_time()
            elif anyio.current_time() - since >= self.wait_seconds:
                raise CacheError(
                    f"{path}: the limit for files that are fetched on demand, "
                    f"{self._limit_bytes:,} bytes, is full of files in use; close some of "
                    "them, or raise cache_limit (NERSEMBLE_CACHE_LIMIT)"
                )
            with anyio.move_on_after(_POLL_SECONDS):
                await changed.wait()
                since = anyio.current_time()
                continue
            # Another process may have fetched just this file, and cannot evict it: it is pinned
            # here. Not in turn, since those before it may wait for it to be used.
            if await self._needs_none(path, size_bytes):
                return

    async def _needs_none(self, path: str, size_bytes: int) -> bool:
        return await run_blocking(self._threads, self._files.needs_no_room, path, size_bytes)

    async def resize(self, path: str, size_bytes: int) -> None:
        """Its size is known now, before its first byte is written.

        Raises:
            NoRoomYetError: there is not that much room at once; nothing is reserved any more.
            CacheError: it can never fit.
        """
        room = Room.EVICTED
        while room is Room.EVICTED:
            room = await run_blocking(
                self._threads, self._files.resize, path, size_bytes, self._limit_bytes
            )
        if room is Room.FULL:
            raise NoRoomYetError(path, size_bytes)

    async def _ask(self, path: str, size_bytes: int) -> Room:
        return await run_blocking(
            self._threads, self._files.reserve, path, size_bytes, self._limit_bytes
        )
