"""The last steps of a file, blocking: evidence, fsync, rename, record."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from nersemble_async.cache.block_checksums import BLOCK_BYTES, block_checksum, pack_checksums
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.partial_file import PartialFile
from nersemble_async.cache.records import FileRecord, now
from nersemble_async.cache.store import Store
from nersemble_async.errors import CacheError, IntegrityError
from nersemble_async.fetch.integrity import grade_file
from nersemble_async.fetch.plan import PlannedFile


def conclude(
    store: Store, file: PlannedFile, part: PartialFile, published_sha256: str | None
) -> FileRecord:
    """Check a complete part file, hashed but for a step, give it its final name and record it.

    Raises:
        IntegrityError: something contradicts the bytes; the part file is as it was.
        DiskFullError: the file system had no room for them after all.
    """
    identity = part.identity or RemoteIdentity(None)
    size = part.present_bytes if identity.size_bytes is None else identity.size_bytes
    part.hash_rest()
    sha256, blocks = part.complete(size)
    record = store.records.get(file.path)
    if record is not None and record.matches(part.stat()):
        record = None  # our own, of a run that was killed before the rename: no evidence
    known = (
        None
        if record is None
        else RemoteIdentity(record.size_bytes, record.etag, record.last_modified)
    )
    grade = grade_file(
        file,
        part.location,
        sha256,
        published_sha256,
        record,
        server_says_unchanged=known is not None and known.same_representation(identity),
    )
    stat = part.sync(size)
    fresh = FileRecord(
        path=file.path,
        size_bytes=size,
        sha256=sha256,
        blocks=blocks,
        grade=str(grade),
        etag=identity.etag,
        last_modified=identity.last_modified,
        mtime_ns=stat.st_mtime_ns,
        recorded_at=now(),
    )
    # The record before the name: whoever finds the name finds the record too, and does not fetch
    # the file again. A record without its file says nothing.
    store.records.put(fresh)
    part.publish(store.target(file.path))
    return fresh


class FileHasher:
    """sha-256 and block checksums of a file on disk, some MiB a step; a context manager."""

    def __init__(self, location: Path) -> None:
        self._file = location.open("rb")  # buffered: a read is short only at the end
        self._sha256 = hashlib.sha256()
        self._blocks: list[str] = []
        self.size_bytes = 0
        self.stat = os.fstat(self._file.fileno())
        """Of the file that is read, whatever stands under its name by now."""

    def require_unchanged(self, path: str, target: Path) -> None:
        """The file under the name is the one that was read, and was not written to meanwhile.

        Raises:
            CacheError: it is not; nothing can be said of it now.
        """
        there = target.stat()
        read = (self.stat.st_ino, self.size_bytes, self.stat.st_mtime_ns)
        if (there.st_ino, there.st_size, there.st_mtime_ns) != read:
            raise CacheError(f"{path}: it changed while it was read; run the command again")

    def step(self) -> bool:
        """Hash up to 8 MiB.

        Returns:
            Whether there is more.
        """
        for _ in range(8):
            block = self._file.read(BLOCK_BYTES)
            while (
                block
                and len(block) < BLOCK_BYTES
                and (more := self._file.read(BLOCK_BYTES - len(block)))
            ):
                block += more
            if not block:
                return False
            self._sha256.update(block)
            self._blocks.append(block_checksum(block))
            self.size_bytes += len(block)
        return True

    @property
    def sha256(self) -> str:
        """Of what was read so far, hex."""
        return self._sha256.hexdigest()

    @property
    def blocks(self) -> str:
        """Packed checksums of what was read so far."""
        return pack_checksums(self._blocks)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def require_size(path: str, size_bytes: int, identity: RemoteIdentity) -> None:
    """Compare a file's length with the server's, where the server says one.

    Raises:
        IntegrityError: they differ.
    """
    if identity.size_bytes not in (None, size_bytes):
        there = f"{identity.size_bytes:,}"
        raise IntegrityError(path, f"it has {size_bytes:,} bytes here and {there} on the server")


def adopt(
    store: Store,
    file: PlannedFile,
    hasher: FileHasher,
    identity: RemoteIdentity,
    published_sha256: str | None,
) -> FileRecord:
    """Check and record a file that stands under its final name already.

    Args:
        store: the root.
        file: the planned file.
        hasher: having read all of it.
        identity: what the server says of it now; a size of None says nothing.
        published_sha256: or None.

    Raises:
        IntegrityError: something contradicts the bytes.
    """
    require_size(file.path, hasher.size_bytes, identity)
    target = store.target(file.path)
    hasher.require_unchanged(file.path, target)
    grade = grade_file(
        file,
        target,
        hasher.sha256,
        published_sha256,
        store.records.get(file.path),
        server_says_unchanged=True,
    )
    record = FileRecord(
        path=file.path,
        size_bytes=hasher.size_bytes,
        sha256=hasher.sha256,
        blocks=hasher.blocks,
        grade=str(grade),
        etag=identity.etag,
        last_modified=identity.last_modified,
        mtime_ns=hasher.stat.st_mtime_ns,
        recorded_at=now(),
    )
    store.records.put(record)
    return record
