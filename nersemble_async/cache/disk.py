"""Plain file work that the cache needs: whole writes, durable renames, room, clear errors."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from nersemble_async.errors import CacheError, DiskFullError

_COPY_BYTES = 1 << 20


def write_all(descriptor: int, offset: int, data: bytes | memoryview) -> None:
    """Pwrite until everything is written (a nearly full disk takes less at a time)."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        offset += written
        rest = rest[written:]


def move_file(source: Path, target: Path) -> None:
    """Rename; across file systems (a linked folder) by a hidden copy beside ``target``.

    At no instant is ``target`` a part of the file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    else:
        return
    hidden = target.with_name(f".{target.name}.nersemble_async-partial")
    try:
        with source.open("rb") as reader, hidden.open("wb") as writer:
            shutil.copyfileobj(reader, writer, _COPY_BYTES)
            writer.flush()
            os.fsync(writer.fileno())
        shutil.copystat(source, hidden)
        hidden.replace(target)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise
    source.unlink()


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def require_room(descriptor: int, name: str, size_bytes: int) -> None:
    """Look whether the file system has room for a file; quotas are only seen when writing.

    posix_fallocate would reserve it, but glibc emulates that on NFS by writing every block, and
    on tmpfs it clears every page.

    Raises:
        DiskFullError: it has not.
    """
    stat = os.fstatvfs(descriptor)
    free_bytes = stat.f_bavail * stat.f_frsize
    if free_bytes < size_bytes:
        raise DiskFullError(f"{name}: {size_bytes:,} bytes are needed, {free_bytes:,} are free")


def disk_error(path: str, error: OSError | CacheError) -> CacheError:
    """Our error for one of the system's about a file in the root."""
    if isinstance(error, CacheError):
        return error
    why = os.strerror(error.errno) if error.errno else str(error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return (DiskFullError if full else CacheError)(f"{path}: {why}")
