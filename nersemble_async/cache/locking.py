"""Advisory file locks that die with their process, on one machine and over NFS.

``flock`` is used: since Linux 2.6.12 an NFS client turns it into a lock at the server, and the
kernel lets go of it when the process ends, however it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nersemble_async.errors import CacheError, CacheLockedError

_UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


def _flock(descriptor: int, operation: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        locked = True
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            raise CacheError(
                f"{name}: this file system offers no file locks ({os.strerror(error.errno)}), so "
                "two processes could write one file. Put the root on another file system, or "
                "mount this one with locks (Lustre: -o flock)"
            ) from error
        raise
    else:
        return
    if locked:
        raise CacheLockedError(f"{name} is being written by another process")


def require_locks(descriptor: int, name: str) -> None:
    """Try a lock on an open file that nobody else knows.

    Raises:
        CacheError: the file system has no locks.
    """
    _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, name)


def open_locked(path: Path) -> int:
    """Open ``path`` for reading and writing (created if missing) and lock it exclusively.

    Returns:
        A descriptor, for `close_locked`.

    Raises:
        CacheLockedError: another live process holds it.
        CacheError: the file system has no locks.
    """
    return _open_with_lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)


def open_shared(path: Path) -> int:
    """`open_locked` with a lock that others may hold too, as long as theirs is shared."""
    return _open_with_lock(path, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _open_with_lock(path: Path, operation: int) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _flock(descriptor, operation, path.name)
            # Its last holder may have renamed or removed the file between our open and lock.
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    mine = os.fstat(descriptor)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)


def close_locked(descriptor: int, process: int) -> None:
    """Close a descriptor and let go of its lock, also where a forked child has a copy of it.

    Closing alone leaves the lock with the copy, for as long as the child lives: a DataLoader's
    worker would lock its parent out.

    Args:
        descriptor: from `open_locked` or `open_shared`, or locked otherwise.
        process: that locked it. Another one has the copy: it closes that and no more.
    """
    try:
        if process == os.getpid():
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@contextmanager
def append_lock(descriptor: int) -> Iterator[None]:
    """Hold the exclusive lock on an open log while one record is appended (microseconds)."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
