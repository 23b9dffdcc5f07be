"""What is known of each finished file: one append-only log, `records.jsonl`, shared by processes.

The newest line of a path counts. Appending holds a file lock for microseconds, so processes on
one machine or over NFS may share a root; a line torn by a crash is passed over.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from nersemble_async.cache.block_checksums import block_count, unpack_checksums
from nersemble_async.cache.locking import append_lock

_GARBAGE_LINES = 2000
"""The log is rewritten on loading when this many of its lines are outdated."""

GRADES = ("size", "content", "recorded", "published")
"""What may stand in `FileRecord.grade`, weakest first: `EvidenceGrade` in lower case."""

_TEXTS = ("path", "sha256", "blocks", "grade", "recorded_at")
_TEXTS_OR_NONE = ("etag", "last_modified")
_NUMBERS = ("size_bytes", "mtime_ns")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A finished file."""

    path: str
    """Relative to the root, forward slashes, task first."""
    size_bytes: int
    sha256: str
    """Of the whole file, 64 hex digits."""
    blocks: str
    """XXH3-64 of each MiB, 16 hex digits a block."""
    grade: str
    """One of `GRADES`."""
    etag: str | None
    last_modified: str | None
    mtime_ns: int
    """Modification time on disk when it was recorded: tells whether the file was touched since."""
    recorded_at: str
    """UTC, ISO 8601."""

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Self:
        """The record of a line of the log.

        Raises:
            ValueError, TypeError, KeyError: the line is damaged, or of a later version.
        """
        typed = (
            all(isinstance(fields[name], str) for name in _TEXTS)
            and all(isinstance(fields[name], str | None) for name in _TEXTS_OR_NONE)
            and all(type(fields[name]) is int for name in _NUMBERS)  # JSON's true is no number
        )
        if not typed or fields["size_bytes"] < 0 or fields["grade"] not in GRADES:
            raise ValueError("not a record")
        record = cls(**fields)
        if len(unpack_checksums(record.blocks)) != block_count(record.size_bytes):
            raise ValueError("checksums of too many or too few blocks")
        return record

    def matches(self, stat: os.stat_result) -> bool:
        """Whether the file on disk still is as it was recorded, as far as a stat can tell."""
        return stat.st_size == self.size_bytes and stat.st_mtime_ns == self.mtime_ns

    def touched(self, stat: os.stat_result) -> FileRecord:
        """The same evidence for a file whose time changed but whose bytes were hashed anew."""
        return replace(self, mtime_ns=stat.st_mtime_ns, recorded_at=now())


def now() -> str:
    """The present in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class RecordLog:
    """The log at ``path``; `refresh` reads what other processes appended meanwhile.

    Blocking; any thread may call any method.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._records: dict[str, FileRecord] = {}
        self._inode = 0
        self._read_bytes = 0
        self._lines = 0
        self.refresh()
        if self._lines - len(self._records) > _GARBAGE_LINES:
            # It saves time and room, no more: a root that can only be read does without.
            with contextlib.suppress(OSError):
                self._rewrite()

    def get(self, path: str) -> FileRecord | None:
        """The newest record of a file."""
        return self._records.get(path)

    def all(self) -> dict[str, FileRecord]:
        """Every record by path (a copy)."""
        with self._lock:
            return dict(self._records)

    def refresh(self) -> None:
        """Take in what was appended since the last look, by whomever."""
        with self._lock:
            self._read_new_lines()

    def _read_new_lines(self) -> None:
        try:
            with self._path.open("rb") as log:
                stat = os.fstat(log.fileno())
                # Another file may have got the inode of the one that was read.
                if stat.st_ino != self._inode or stat.st_size < self._read_bytes:
                    self._inode, self._read_bytes, self._lines = stat.st_ino, 0, 0
                    self._records.clear()
                log.seek(self._read_bytes)
                data = log.read()
        except (FileNotFoundError, NotADirectoryError):
            return
        whole = data.rfind(b"\n") + 1
        self._read_bytes += whole
        for line in data[:whole].split(b"\n"):
            if line:
                self._lines += 1
                self._take(line)

    def _take(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            fields = json.loads(line)
            if not isinstance(fields, dict):
                return
            if fields.get("removed"):
                self._records.pop(fields["path"], None)
            else:
                record = FileRecord.from_fields(fields)
                self._records[record.path] = record

    def put(self, record: FileRecord) -> None:
        """Append a record."""
        self._append(asdict(record))
        with self._lock:
            self._records[record.path] = record

    def remove(self, path: str) -> None:
        """Forget a file (it turned out to be damaged)."""
        with self._lock:
            known = self._records.pop(path, None) is not None
        if known:
            self._append({"path": path, "removed": True})

    def _append(self, fields: dict[str, object]) -> None:
        line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o666)
            try:
                with append_lock(descriptor):
                    stat = os.fstat(descriptor)
                    if not self._still_there(stat):
                        continue  # another process rewrote the log between open and lock
                    if stat.st_size and os.pread(descriptor, 1, stat.st_size - 1) != b"\n":
                        line = b"\n" + line  # a crash tore the last line
                    while line:  # a nearly full disk takes less at a time
                        line = line[os.write(descriptor, line) :]
                    return
            finally:
                os.close(descriptor)

    def _still_there(self, stat: os.stat_result) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return there.st_ino == stat.st_ino

    def _rewrite(self) -> None:
        with self._path.open("r+b") as log, append_lock(log.fileno()):
            if not self._still_there(os.fstat(log.fileno())):
                return
            self.refresh()
            fresh = self._path.with_name(self._path.name + ".new")
            with fresh.open("wb") as out:
                for record in self._records.values():
                    out.write(json.dumps(asdict(record), separators=(",", ":")).encode() + b"\n")
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self._path)
        self._inode = 0
        self.refresh()
