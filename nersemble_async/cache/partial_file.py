"""One file on its way in: part file, journal, running sha-256, and the rename at the end.

Every method blocks and is meant for a worker thread; none does more than a few MiB of work, but
`sync`. An OSError of the system goes through as it is, see `cache.disk.disk_error`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from nersemble_async.cache.block_checksums import (
    BLOCK_BYTES,
    block_checksum,
    block_count,
    pack_checksums,
)
from nersemble_async.cache.disk import move_file, require_room, sync_folder, write_all
from nersemble_async.cache.extents import ByteRange, ExtentSet
from nersemble_async.cache.journal import (
    JournalExtent,
    RemoteIdentity,
    append_line,
    extent_line,
    open_journal,
    read_journal,
    write_journal,
)
from nersemble_async.cache.locking import close_locked, open_locked

MAX_STEP_BYTES = 4 * BLOCK_BYTES


class PartialFile:
    """A part file that this process alone may write; a context manager that keeps its state.

    Leaving it without `publish` keeps what was received for a later run (nothing received: no
    trace is left).

    Raises:
        CacheLockedError: on construction, another live process writes this file.
    """

    def __init__(self, part: Path, journal: Path) -> None:
        part.parent.mkdir(parents=True, exist_ok=True)
        self._part = part
        self._journal = journal
        self._process, self._descriptor = os.getpid(), open_locked(part)
        self._journal_descriptor: int | None = None
        self._lock = threading.Lock()
        self._hash_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._published = False
        self._claims: list[JournalExtent] = []
        self.identity: RemoteIdentity | None = None
        self._clear()
        claimed = read_journal(journal)
        if claimed is None:
            os.ftruncate(self._descriptor, 0)
        else:
            self.identity, extents = claimed
            self._claim(extents)

    def _clear(self) -> None:
        self.identity = None
        self._present = ExtentSet()
        self._block_checksums: dict[int, str] = {}
        self._sha256 = hashlib.sha256()
        self._hashed_bytes = 0

    def _claim(self, extents: list[JournalExtent]) -> None:
        # Taken from the end: in the order of the file, so that hashing follows along.
        self._claims = sorted(extents, key=lambda extent: extent.start, reverse=True)

    # ---- state ------------------------------------------------------------------------------

    @property
    def location(self) -> Path:
        """Where the bytes lie."""
        return self._part

    def stat(self) -> os.stat_result:
        """Of the part file."""
        return os.fstat(self._descriptor)

    @property
    def present_bytes(self) -> int:
        """How many bytes are here (after `recheck`)."""
        with self._lock:
            return self._present.total_bytes

    def missing(self) -> list[ByteRange]:
        """What is not here yet, in order.

        Raises:
            ValueError: the size is not known.
        """
        if self.identity is None or self.identity.size_bytes is None:
            raise ValueError("the size of the file is not known")
        with self._lock:
            return self._present.missing(self.identity.size_bytes)

    # ---- resuming -----------------------------------------------------------------------------

    @property
    def unchecked(self) -> bool:
        """Whether the journal claims more than `recheck` has looked at."""
        return bool(self._claims)

    def recheck(self) -> None:
        """Read some of what the journal claims (at most 8 MiB) and believe what agrees."""
        budget = 8 * BLOCK_BYTES
        while self._claims and budget > 0:
            claim = self._claims.pop()
            data = os.pread(self._descriptor, claim.stop - claim.start, claim.start)
            budget -= len(data)
            if len(data) == claim.stop - claim.start and block_checksum(data) == claim.checksum:
                self._take_in(claim, data)

    def reset(self) -> None:
        """Forget everything: whatever was here is void."""
        self._clear()
        self._claims.clear()
        self._close_journal()
        self._journal.unlink(missing_ok=True)
        os.ftruncate(self._descriptor, 0)

    def begin(self, identity: RemoteIdentity) -> None:
        """Start anew for this remote file; whatever was here is void.

        Raises:
            DiskFullError: the file system has not that much room.
        """
        self.reset()
        self.identity = identity
        if identity.size_bytes is not None:
            require_room(self._descriptor, self._part.name, identity.size_bytes)

    # ---- writing ------------------------------------------------------------------------------

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Put ``data`` at ``offset``: the bytes, then their journal line. Must lie in one block."""
        if not data:
            return
        if offset // BLOCK_BYTES != (offset + len(data) - 1) // BLOCK_BYTES:
            raise ValueError("a write must stay inside one block")
        extent = JournalExtent(offset, offset + len(data), block_checksum(data))
        # One at a time: the kernel lets only one write into a file, and others would spin for it.
        with self._write_lock:
            write_all(self._descriptor, offset, data)
        self._append_journal(extent)
        self._take_in(extent, data)

    def _append_journal(self, extent: JournalExtent) -> None:
        with self._lock:
            if self._journal_descriptor is None:
                if self.identity is None:
                    raise ValueError("write before begin")
                self._journal_descriptor = open_journal(self._journal, self.identity)
            append_line(self._journal_descriptor, extent_line(extent))

    def _take_in(self, extent: JournalExtent, data: bytes | memoryview) -> None:
        """Account for an extent that is on disk; hash it now if it is next in line."""
        with self._lock:
            self._present.add(extent.start, extent.stop)
            whole_block = extent.stop % BLOCK_BYTES == 0 or extent.stop == self._size()
            if extent.start % BLOCK_BYTES == 0 and whole_block:
                self._block_checksums[extent.start] = extent.checksum
        if self._hash_lock.acquire(blocking=False):
            try:
                if self._hashed_bytes == extent.start:
                    self._sha256.update(data)
                    self._hashed_bytes = extent.stop
                self._hash_ahead(MAX_STEP_BYTES)
            finally:
                self._hash_lock.release()

    def _size(self) -> int | None:
        return None if self.identity is None else self.identity.size_bytes

    def _hash_ahead(self, budget: int) -> None:
        """Hash what lies on disk behind the hashed prefix (ranges arrive out of order)."""
        while budget > 0:
            with self._lock:
                end = self._present.covered_until(self._hashed_bytes)
            length = min(end - self._hashed_bytes, BLOCK_BYTES)
            if length == 0:
                return
            data = os.pread(self._descriptor, length, self._hashed_bytes)
            if len(data) != length:
                raise OSError(errno.EIO, "the part file is shorter than what was written to it")
            self._sha256.update(data)
            self._hashed_bytes += length
            budget -= length

    # ---- finishing ----------------------------------------------------------------------------

    @property
    def unhashed_bytes(self) -> int:
        """How many bytes are here that the running sha-256 does not cover yet."""
        return self.present_bytes - self._hashed_bytes

    def hash_rest(self) -> None:
        """Hash what is not hashed yet, at most `MAX_STEP_BYTES` of it."""
        with self._hash_lock:
            self._hash_ahead(MAX_STEP_BYTES)

    def complete(self, size_bytes: int) -> tuple[str, str]:
        """sha-256 (hex) of the whole and the packed block checksums; everything must be here.

        Raises:
            ValueError: bytes are missing, or not hashed yet.
        """
        if self._hashed_bytes != size_bytes or self.present_bytes != size_bytes:
            raise ValueError("the file is not complete")
        return self._sha256.hexdigest(), pack_checksums(
            self._checksum_of_block(index, size_bytes) for index in range(block_count(size_bytes))
        )

    def _checksum_of_block(self, index: int, size_bytes: int) -> str:
        start = index * BLOCK_BYTES
        known = self._block_checksums.get(start)
        if known is None:  # it came in several pieces
            length = min(BLOCK_BYTES, size_bytes - start)
            known = block_checksum(os.pread(self._descriptor, length, start))
        return known

    def sync(self, size_bytes: int) -> os.stat_result:
        """Cut to size and wait until the data is on the disk (some notice only here: no room).

        Returns:
            The stat that the file will have under its final name too.
        """
        if self.stat().st_size != size_bytes:
            os.ftruncate(self._descriptor, size_bytes)
        os.fsync(self._descriptor)
        return self.stat()

    def publish(self, target: Path) -> None:
        """Rename to the final name, durably, and close; after `sync` and verification."""
        move_file(self._part, target)
        self._published = True
        sync_folder(target.parent)
        self._journal.unlink(missing_ok=True)
        self.close()

    def quarantine(self, target: Path) -> None:
        """Move what was received to ``target``, out of the way, and start from nothing."""
        move_file(self._part, target)
        os.close(self._descriptor)
        self._descriptor = -1
        self._descriptor = open_locked(self._part)
        self._close_journal()
        self._journal.unlink(missing_ok=True)
        self._clear()

    def take_over(
        self, source: Path, identity: RemoteIdentity, extents: list[JournalExtent]
    ) -> None:
        """Make ``source`` the part file, of which ``extents`` are claimed to be right."""
        self.reset()
        # The journal first: it is only claims, and a kill between the two then loses nothing.
        write_journal(self._journal, identity, extents)
        move_file(source, self._part)
        os.close(self._descriptor)
        self._descriptor = -1
        self._descriptor = open_locked(self._part)
        if identity.size_bytes is not None:
            os.ftruncate(self._descriptor, identity.size_bytes)
        self.identity = identity
        self._claim(extents)

    # ---- lifetime -----------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the lock is gone."""
        return self._descriptor < 0

    def close(self) -> None:
        """Let go of the lock; keep what was received, or leave no trace where that is nothing."""
        self._close_journal()
        if self.closed:
            return
        if not self._published and not self._present and not self._claims:
            self._part.unlink(missing_ok=True)
            self._journal.unlink(missing_ok=True)
        descriptor, self._descriptor = self._descriptor, -1
        close_locked(descriptor, self._process)

    def _close_journal(self) -> None:
        if self._journal_descriptor is not None:
            os.close(self._journal_descriptor)
            self._journal_descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
