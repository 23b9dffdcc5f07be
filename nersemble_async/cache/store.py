"""The root folder: where files, part files and records lie, and what is there. Blocking.

The visible tree is the official toolkit's; everything of ours lies in ``.nersemble_async``.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from nersemble_async.cache.block_checksums import BLOCK_BYTES, unpack_checksums
from nersemble_async.cache.disk import move_file, sync_folder
from nersemble_async.cache.extents import ExtentSet
from nersemble_async.cache.journal import JournalExtent, RemoteIdentity, read_journal
from nersemble_async.cache.locking import require_locks
from nersemble_async.cache.partial_file import PartialFile
from nersemble_async.cache.records import FileRecord, RecordLog
from nersemble_async.errors import CacheError

STATE_FOLDER = ".nersemble_async"


class LocalState(Enum):
    """What is on disk of a file."""

    COMPLETE = "complete"
    """Under its final name with a record that its size and time still fit."""
    UNRECORDED = "unrecorded"
    """Under its final name, but never recorded, or touched since: to be checked."""
    PARTIAL = "partial"
    """A part file with a journal."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """What is on disk of one file."""

    path: str
    state: LocalState
    local_bytes: int
    """Of the complete or unrecorded file, or what the journal of the part file claims."""
    size_bytes: int | None
    """The full size, where it is known."""
    record: FileRecord | None


class Store:
    """One root. Making it creates nothing; the first write does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state_folder = root / STATE_FOLDER
        self.records = RecordLog(self.state_folder / "records.jsonl")

    def target(self, path: str) -> Path:
        """Where a file stands when it is complete."""
        return self.root / path

    def _flat(self, folder: str, path: str, suffix: str) -> Path:
        # One flat folder: no tree to make and to clear away. Paths hold no percent signs.
        return self.state_folder / folder / (path.replace("/", "%2F") + suffix)

    def part(self, path: str) -> Path:
        """Where its bytes are gathered."""
        return self._flat("parts", path, ".part")

    def journal(self, path: str) -> Path:
        """Where it stands which bytes are gathered."""
        return self._flat("parts", path, ".journal")

    def quarantine(self, path: str) -> Path:
        """Where bytes are moved that contradict the evidence for them (the newest such copy)."""
        return self._flat("quarantine", path, "")

    def open_partial(self, path: str) -> PartialFile:
        """The part file, locked.

        Raises:
            CacheLockedError: another live process writes it.
        """
        return PartialFile(self.part(path), self.journal(path))

    def look(self, path: str) -> LocalFile:
        """What is on disk of a file; no hashing, a stat or two."""
        record = self.records.get(path)
        try:
            stat = self.target(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return self._look_at_part(path, record)
        known = record is not None and record.matches(stat)
        state = LocalState.COMPLETE if known else LocalState.UNRECORDED
        size = stat.st_size if known else None
        return LocalFile(path, state, stat.st_size, size, record)

    def look_at(self, paths: Sequence[str]) -> list[LocalFile]:
        """`look` at several files, in their order."""
        return [self.look(path) for path in paths]

    def _look_at_part(self, path: str, record: FileRecord | None) -> LocalFile:
        journal = read_journal(self.journal(path))
        if journal is None or not self.part(path).exists():
            return LocalFile(path, LocalState.MISSING, 0, None, record)
        identity, extents = journal
        claimed = ExtentSet()  # what was lost and fetched again is claimed twice
        for extent in extents:
            claimed.add(extent.start, extent.stop)
        here_bytes = claimed.total_bytes
        return LocalFile(path, LocalState.PARTIAL, here_bytes, identity.size_bytes, record)

    def free_bytes(self) -> int:
        """Room on the root's file system for an ordinary user."""
        folder = self.root
        while not folder.exists():
            folder = folder.parent
        stat = os.statvfs(folder)
        return stat.f_bavail * stat.f_frsize

    def make_ready(self) -> None:
        """Create the root, and see whether it can be used.

        Raises:
            CacheError: it cannot be written to, or has no file locks; says why.
        """
        try:
            parts = self.state_folder / "parts"
            parts.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=parts, suffix=".probe") as probe:
                require_locks(probe.fileno(), str(self.root))
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise CacheError(f"{self.root} cannot be written to: {why}") from error

    def sweep(self) -> None:
        """Remove journals without a part file: a kill came between a rename and its tidying up."""
        parts = self.state_folder / "parts"
        with contextlib.suppress(OSError):
            for journal in list(parts.glob("*.journal")):
                # A live one's part file was there before it.
                if not journal.with_suffix(".part").exists():
                    journal.unlink(missing_ok=True)

    def visible_files(self, task: str) -> list[str]:
        """Every file below ``{root}/{task}``, as paths relative to the root, sorted."""
        found: list[str] = []
        for folder, _, names in os.walk(self.root / task):
            relative = Path(folder).relative_to(self.root).as_posix()
            found.extend(f"{relative}/{name}" for name in names)
        return sorted(found)

    def set_aside(self, path: str) -> None:
        """Move a file that contradicts its evidence from its final name into the quarantine."""
        move_file(self.target(path), self.quarantine(path))

    def reopen_for_repair(self, record: FileRecord, damaged: set[int]) -> None:
        """Turn a damaged file back into a part file that lacks only its damaged blocks.

        The damaged file leaves its final name first, so that nothing wrong stands there.
        """
        target = self.target(record.path)
        size = target.stat().st_size
        extents = [
            JournalExtent(start, min(start + BLOCK_BYTES, record.size_bytes), checksum)
            for index, checksum in enumerate(unpack_checksums(record.blocks))
            if index not in damaged and (start := index * BLOCK_BYTES) < size
        ]
        identity = RemoteIdentity(record.size_bytes, record.etag, record.last_modified)
        with self.open_partial(record.path) as part:
            part.take_over(target, identity, extents)
            sync_folder(target.parent)
