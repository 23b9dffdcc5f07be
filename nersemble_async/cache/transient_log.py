"""Which files were fetched on demand and when each was last used: `transient.jsonl`, shared.

One append-only log, as `records.jsonl` is: a line for each use, the newest line of a path counts,
and the order of these lines is the order of use. It is read and changed under one lock, so that
processes agree on what is there. A torn line is passed over: a file that is lost from the log is
merely never evicted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from nersemble_async.cache.locking import close_locked

_HEAD_BYTES = 64
_GARBAGE_LINES = 2000
"""The log is rewritten when so many of its lines are outdated, and more are than are not."""


class TransientLog:
    """The log at ``path``: size_bytes by path, least recently used first. Blocking, any thread.

    `put` and `remove` are allowed within `locked` only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._sizes: dict[str, int] = {}
        self._total_bytes = 0
        self._head = b""
        self._read_bytes = 0
        self._lines = 0
        self._descriptor = -1

    # ---- reading ------------------------------------------------------------------------------

    def get(self, path: str) -> int | None:
        """The bytes that a file counts for, as of the last look; None: it is not transient."""
        with self._lock:  # a use moves it to the end, for an instant it is nowhere
            return self._sizes.get(path)

    def all(self) -> dict[str, int]:
        """Everything as of the last look, least recently used first (a copy)."""
        with self._lock:
            return dict(self._sizes)

    @property
    def newest(self) -> str | None:
        """The file that was used last, as of the last look."""
        with self._lock:
            return next(reversed(self._sizes), None)

    @property
    def total_bytes(self) -> int:
        """What all of them count for together, as of the last look."""
        return self._total_bytes

    def exists(self) -> bool:
        """Whether anything was ever fetched on demand."""
        return self._path.exists()

    def refresh(self) -> None:
        """Take in what was appended since the last look, by whomever; creates nothing."""
        with self._lock:
            try:
                descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                self._forget()
                return
            try:
                self._read(descriptor)
            finally:
                os.close(descriptor)

    # ---- changing -----------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Within, everything is as the log says, and no other thread or process changes it."""
        with self._lock:
            process, descriptor = os.getpid(), self._open()
            try:
                self._read(descriptor)
                self._descriptor = descriptor
                if self._lines - len(self._sizes) > max(_GARBAGE_LINES, len(self._sizes)):
                    self._rewrite()
                yield
            finally:
                self._descriptor = -1
                close_locked(descriptor, process)

    def put(self, path: str, size_bytes: int) -> None:
        """A file is used now, and counts for so many bytes."""
        self._append({"path": path, "size_bytes": size_bytes})
        self._take(path, size_bytes)

    def remove(self, path: str) -> None:
        """A file is gone, or is to be kept."""
        if path in self._sizes:
            self._append({"path": path, "removed": True})
            self._take(path, None)

    def sync(self) -> None:
        """Wait until what was put and removed is on the disk."""
        os.fsync(self._descriptor)

    # ---- within -------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._head, self._read_bytes, self._lines = b"", 0, 0
        self._sizes.clear()
        self._total_bytes = 0

    def _take(self, path: str, size_bytes: int | None) -> None:
        self._total_bytes -= self._sizes.pop(path, 0)
        if size_bytes is not None:
            self._sizes[path] = size_bytes
            self._total_bytes += size_bytes

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._still_there(descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # another process rewrote the log between open and lock

    def _still_there(self, descriptor: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        return False

    def _read(self, descriptor: int) -> None:
        # A rewritten log begins with another head, whatever its inode.
        head = os.pread(descriptor, _HEAD_BYTES, 0)
        size = os.fstat(descriptor).st_size
        if head != self._head or size < self._read_bytes:
            self._forget()
            if len(head) < _HEAD_BYTES:
                return
            self._head = head
        data = bytearray()
        while piece := os.pread(descriptor, 1 << 20, self._read_bytes + len(data)):
            data += piece
        whole = data.rfind(b"\n") + 1
        self._read_bytes += whole
        for line in bytes(data[:whole]).split(b"\n"):
            if line:
                self._lines += 1
                self._take_line(line)

    def _take_line(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            fields = json.loads(line)
            path = fields["path"]
            if not isinstance(path, str):
                return
            if fields.get("removed"):
                self._take(path, None)
            elif type(fields["size_bytes"]) is int and fields["size_bytes"] >= 0 and _is_safe(path):
                self._take(path, fields["size_bytes"])

    def _append(self, fields: dict[str, object]) -> None:
        descriptor = self._descriptor
        if descriptor < 0:
            raise RuntimeError("TransientLog is changed outside of `locked`")
        size = os.fstat(descriptor).st_size
        data = _line(fields)
        if size == 0 or not self._head:
            if size:  # no head: not a log of ours, or torn at its very beginning
                os.ftruncate(descriptor, 0)
            self._head = _new_head()
            data = self._head + data
        elif os.pread(descriptor, 1, size - 1) != b"\n":
            data = b"\n" + data  # a crash tore the last line
        _write(descriptor, data)
        self._lines += 1
        self._read_bytes = os.fstat(descriptor).st_size

    def _rewrite(self) -> None:
        """Only the newest line of each path, in the same order; the lock goes over with it."""
        fresh = self._path.with_name(self._path.name + ".new")
        head = _new_head()
        with fresh.open("w+b") as out:
            out.write(head)
            for path, size_bytes in self._sizes.items():
                out.write(_line({"path": path, "size_bytes": size_bytes}))
            out.flush()
            os.fsync(out.fileno())
            fcntl.flock(out.fileno(), fcntl.LOCK_EX)
            fresh.replace(self._path)
            # The descriptor's number stays, and with it whose it is to close.
            os.dup2(out.fileno(), self._descriptor, inheritable=False)
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
        self._head, self._lines = head, len(self._sizes)
        self._read_bytes = os.fstat(self._descriptor).st_size


def _is_safe(path: str) -> bool:
    """Whether it is a file below the root: what the log says may be deleted."""
    return bool(path) and not path.startswith("/") and ".." not in PurePosixPath(path).parts


def _line(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _new_head() -> bytes:
    head = b'{"transient_files":"' + secrets.token_hex(16).encode() + b'"}'
    return head.ljust(_HEAD_BYTES - 1) + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    while data:  # a nearly full disk takes less at a time
        data = data[os.write(descriptor, data) :]
