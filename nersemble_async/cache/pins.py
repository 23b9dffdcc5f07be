"""Pins: a file that is in use, by this or another process, is not evicted. Blocking.

A pin is a shared lock on a small file beside the data; evicting takes the exclusive lock. The
kernel lets go of a dead process's locks. A pin file is there only while it is used: whoever lets
go last removes it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nersemble_async.cache.locking import close_locked, open_locked, open_shared
from nersemble_async.errors import CacheLockedError


class FilePin:
    """One user's hold on a file; any thread may call any method, in any order.

    Args:
        location: the pin file.
    """

    def __init__(self, location: Path) -> None:
        self.location = location
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._process = os.getpid()
        self._released = False

    def hold(self) -> bool:
        """Pin it.

        Returns:
            False where it is being evicted at this instant: try again soon.

        Raises:
            CacheError: the file system has no locks.
            OSError: the pin file cannot be made.
        """
        with self._lock:
            if self._released or self._descriptor is not None:
                return True
            try:
                self._descriptor = self._open()
            except CacheLockedError:
                return False
            return True

    def _open(self) -> int:
        try:
            return open_shared(self.location)
        except FileNotFoundError:  # no folder yet
            self.location.parent.mkdir(parents=True, exist_ok=True)
            return open_shared(self.location)

    def release(self) -> None:
        """Let go for good; the last one removes the pin file."""
        with self._lock:
            self._released = True
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            close_locked(descriptor, self._process)
            if self.location.exists():
                with contextlib.suppress(CacheLockedError), exclusive(self.location):
                    pass


@contextmanager
def exclusive(location: Path) -> Iterator[None]:
    """Within, nobody has the file pinned or can pin it; the pin file is gone afterwards.

    Raises:
        CacheLockedError: it is pinned.
    """
    location.parent.mkdir(parents=True, exist_ok=True)
    process, descriptor = os.getpid(), open_locked(location)
    try:
        yield
    finally:
        location.unlink(missing_ok=True)
        close_locked(descriptor, process)


def sweep_pins(folder: Path) -> None:
    """Remove the pin files that killed processes left."""
    with contextlib.suppress(OSError):
        for location in list(folder.iterdir()):
            with contextlib.suppress(CacheLockedError), exclusive(location):
                pass
