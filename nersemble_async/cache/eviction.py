"""Files that were fetched on demand: kept within a limit, least recently used first out. Blocking.

Such a file is *transient*: it stands in `TransientLog` from before its first byte arrives until it
is evicted, or kept. Whatever does not stand there (it was there before, or the user fetched it)
is never evicted and counts for nothing. What somebody has pinned is not evicted either.

Evicting takes, in this order, the log's lock, the pin and the part file's lock; then the file, its
part file and its record go, and the log's line last. A process that dies in between leaves a line
of which little or nothing is on disk, and the next eviction comes to it again; at no instant does
a record stand for a file that looks complete and is not.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto

from nersemble_async.cache.locking import open_locked
from nersemble_async.cache.pins import FilePin, exclusive, sweep_pins
from nersemble_async.cache.store import LocalFile, LocalState, Store
from nersemble_async.cache.transient_log import TransientLog
from nersemble_async.errors import CacheError, CacheLockedError

_MOST_EVICTED = 16
"""Files in one call: a call stays short, and so does the time for which others are locked out."""


READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""Where nothing can be written nothing is evicted: what is there can be used as it is."""


class Room(Enum):
    """What came of asking for room."""

    RESERVED = auto()
    """It counts from now on (or need not: the file is not transient)."""
    EVICTED = auto()
    """Something was evicted, but there is more to do: ask again at once."""
    FULL = auto()
    """Everything that could go is in use."""


class TransientFiles:
    """The transient files of one root, shared by processes. Any thread may call any method."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._log = TransientLog(store.state_folder / "transient.jsonl")
        self._pins = store.state_folder / "pins"

    def pin(self, path: str) -> FilePin:
        """A pin for a file; not held yet."""
        return FilePin(self._pins / path.replace("/", "%2F"))

    def sweep(self) -> None:
        """Remove what killed processes left behind of their pins (the locks died with them)."""
        sweep_pins(self._pins)

    def usage(self) -> tuple[int, int]:
        """How many transient files there are, and the bytes that they count for."""
        self._log.refresh()
        return len(self._log.all()), self._log.total_bytes

    def all(self) -> dict[str, int]:
        """The bytes that each transient file counts for, least recently used first."""
        self._log.refresh()
        return self._log.all()

    def keep(self, paths: Iterable[str]) -> None:
        """The user wants these: they are transient no longer. Costs next to nothing if none is."""
        self._log.refresh()
        ours = [path for path in paths if self._log.get(path) is not None]
        if ours:
            with self._log.locked():
                for path in ours:
                    self._log.remove(path)
                self._log.sync()

    def keep_and_look(
        self, paths: Sequence[str], look: Callable[[Sequence[str]], list[LocalFile]]
    ) -> list[LocalFile]:
        """`keep`, and look at the files, at one instant: what is there then is not evicted."""
        while True:
            if not self._log.exists():
                found = look(paths)
                if not self._log.exists():  # else a loader has begun meanwhile
                    return found
                continue
            try:
                with self._log.locked():
                    for path in paths:
                        self._log.remove(path)
                    return look(paths)
            except OSError as error:
                if error.errno not in READ_ONLY:
                    raise
                return look(paths)

    def touch(self, path: str) -> None:
        """A file was used: of all transient ones it goes last now."""
        self._log.refresh()
        if self._log.get(path) is None or self._log.newest == path:
            return
        # Only the order depends on it: a root that can only be read does without.
        with contextlib.suppress(OSError), self._log.locked():
            size = self._log.get(path)
            if size is not None:
                self._log.put(path, size)

    def needs_no_room(self, path: str, size_bytes: int) -> bool:
        """Whether so much is reserved for a file already, or it has come meanwhile."""
        self._log.refresh()
        counted = self._log.get(path)
        return (counted is not None and counted >= size_bytes) or self._store.target(path).exists()

    def resize(self, path: str, size_bytes: int, limit_bytes: int | None) -> Room:
        """`reserve` for a file whose size is known now, before a byte of it is written.

        The caller holds its part file: nobody else fetches it.

        Where that is more than there is room for, it has nothing reserved any more: whoever waits
        holds nothing that another one waits for.
        """
        self._log.refresh()
        if self._log.get(path) in (None, size_bytes):
            return Room.RESERVED
        room = self.reserve(path, size_bytes, limit_bytes, exactly=True)
        if room is Room.FULL:
            with self._log.locked():
                if self._log.get(path) is not None:
                    self._log.put(path, 0)
        return room

    def reserve(
        self, path: str, size_bytes: int, limit_bytes: int | None, *, exactly: bool = False
    ) -> Room:
        """Count ``size_bytes`` for a file that is about to be fetched, evicting for it.

        What is reserved for it already stays, unless ``exactly`` so much is meant.

        The file must be pinned. One of which something is here already and that is not transient
        does not become so.

        Raises:
            CacheError: it alone is larger than the limit.
        """
        with self._log.locked():
            counted = self._log.get(path)
            if counted is None and self._store.look(path).state is not LocalState.MISSING:
                return Room.RESERVED
            if counted is not None and not exactly:  # another process may be fetching it
                size_bytes = max(size_bytes, counted)
            if limit_bytes is not None:
                if size_bytes > limit_bytes:
                    raise CacheError(
                        f"{path}: it has {size_bytes:,} bytes, more than the whole limit for files "
                        f"that are fetched on demand, {limit_bytes:,} (cache_limit, "
                        "NERSEMBLE_CACHE_LIMIT); raise it, or fetch the file on purpose"
                    )
                room = self._make_room(path, size_bytes - (counted or 0), limit_bytes)
                if room is not Room.RESERVED:
                    return room
            self._log.put(path, size_bytes)
            if counted is None and self._store.target(path).exists():
                # Somebody who fetched it on purpose may have looked for this line before it stood.
                self._log.remove(path)
            return Room.RESERVED

    def settle(self, path: str) -> None:
        """Count what a fetched file has; nothing, and forget it, where nothing came of it.

        To be called when the caller's own pin is gone, where it may have failed.
        """
        self._log.refresh()
        if self._log.get(path) in (None, self._store.look(path).local_bytes):
            return
        with self._log.locked():
            local = self._store.look(path)
            if self._log.get(path) is None:
                return
            if local.state is LocalState.MISSING:
                self._evict(path)
            elif local.state is not LocalState.PARTIAL:  # the rest of a part may be on its way
                self._log.put(path, local.local_bytes)

    # ---- within the log's lock ----------------------------------------------------------------

    def _make_room(self, path: str, more_bytes: int, limit_bytes: int) -> Room:
        evicted = 0
        for victim in self._log.all():
            if self._log.total_bytes + more_bytes <= limit_bytes:
                return Room.RESERVED
            if evicted == _MOST_EVICTED:
                return Room.EVICTED
            if victim != path:
                evicted += self._evict(victim)
        fits = self._log.total_bytes + more_bytes <= limit_bytes
        return Room.RESERVED if fits else Room.FULL

    def _evict(self, path: str) -> bool:
        """Remove a transient file and all that is known of it; False where somebody is at it."""
        store = self._store
        part = store.part(path)
        part.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(CacheLockedError), exclusive(self.pin(path).location):
            descriptor = open_locked(part)  # nobody publishes it meanwhile
            try:
                store.target(path).unlink(missing_ok=True)
                store.journal(path).unlink(missing_ok=True)
                part.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
            store.records.refresh()  # another process may have recorded it
            store.records.remove(path)
            self._log.remove(path)
            return True
        return False
