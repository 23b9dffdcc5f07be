"""The journal beside a part file: which remote file it is, and which bytes of it are here.

A JSON line for the remote file's identity, then one line for each extent written:
``[start, length, checksum]``. The data is written before its line. A line is a claim: it is
believed only after the extent was read again and its checksum agrees, so that neither a torn
line nor data that a power loss took from the page cache can do harm.
"""

from __future__ import annotations

import errno
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from nersemble_async.cache.block_checksums import BLOCK_BYTES

_VERSION = 1
_EXTENT_LINE = re.compile(rb'\[([0-9]{1,19}),([0-9]{1,19}),"([0-9a-f]{16})"\]')
_MAX_OFFSET = 2**63 - 1
"""No file is longer: a larger number is damage."""


@dataclass(frozen=True, slots=True)
class RemoteIdentity:
    """What tells one representation of a remote file from another."""

    size_bytes: int | None
    """None where the server sends no length."""
    etag: str | None = None
    """A strong ETag, quotes included; a weak one is not kept."""
    last_modified: str | None = None
    """The Last-Modified header as sent, only where it is a strong validator (RFC 9110 §8.8.2.2)."""

    @property
    def validator(self) -> str | None:
        """What may stand in If-Range: the strong ETag, else the strong date, else nothing."""
        return self.etag or self.last_modified

    @property
    def resumable(self) -> bool:
        """Whether bytes that come later can be joined to bytes that are here."""
        return self.size_bytes is not None and self.validator is not None

    def same_representation(self, other: RemoteIdentity) -> bool:
        """Whether parts of the two may be joined: same size and the same strong validator."""
        return (
            self.size_bytes is not None
            and self.size_bytes == other.size_bytes
            and self.validator is not None
            and self.etag == other.etag
            and (self.etag is not None or self.last_modified == other.last_modified)
        )


@dataclass(frozen=True, slots=True)
class JournalExtent:
    """One write: bytes ``start`` to ``stop`` with their checksum."""

    start: int
    stop: int
    checksum: str


def header_line(identity: RemoteIdentity) -> bytes:
    """The first line of a journal."""
    fields = {
        "version": _VERSION,
        "size": identity.size_bytes,
        "etag": identity.etag,
        "last_modified": identity.last_modified,
    }
    return json.dumps(fields).encode() + b"\n"


def extent_line(extent: JournalExtent) -> bytes:
    """The line for one write."""
    length = extent.stop - extent.start
    return f'[{extent.start},{length},"{extent.checksum}"]\n'.encode()


def read_journal(path: Path) -> tuple[RemoteIdentity, list[JournalExtent]] | None:
    """What a journal claims; None where there is none, or its first line is damaged.

    Whatever the bytes are, this does not fail. Lines that are not exactly as they were written are
    passed over: a crash tore them, or the disk lost them.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    identity = _read_header(lines[0])
    if identity is None:
        return None
    # The last piece has no newline behind it: empty, or torn.
    extents = [extent for line in lines[1:-1] if (extent := _read_extent(line)) is not None]
    end = _MAX_OFFSET if identity.size_bytes is None else identity.size_bytes
    return identity, [extent for extent in extents if extent.stop <= end]


def _read_header(line: bytes) -> RemoteIdentity | None:
    try:
        fields = json.loads(line)
        version, size = fields["version"], fields["size"]
        etag, last_modified = fields["etag"], fields["last_modified"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    # `type` and not isinstance: JSON's true is no number.
    sized = size is None or (type(size) is int and 0 <= size <= _MAX_OFFSET)
    named = all(text is None or isinstance(text, str) for text in (etag, last_modified))
    if version != _VERSION or not sized or not named:
        return None
    return RemoteIdentity(size, etag, last_modified)


def _read_extent(line: bytes) -> JournalExtent | None:
    match = _EXTENT_LINE.fullmatch(line)
    if match is None:
        return None
    start, length, checksum = int(match[1]), int(match[2]), match[3].decode()
    # A write stays inside a block: nobody allocates for a length that damage made up.
    return JournalExtent(start, start + length, checksum) if 0 < length <= BLOCK_BYTES else None


def append_line(descriptor: int, line: bytes) -> None:
    """Write a whole line to an open journal.

    Raises:
        OSError: also where only a part of it fitted on the disk.
    """
    if os.write(descriptor, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def open_journal(path: Path, identity: RemoteIdentity) -> int:
    """Open a journal for appending, with its header where it is new.

    Returns:
        A descriptor.

    Raises:
        OSError: it cannot be written; a new one is not left behind without its header.
    """
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        # In an old one the last line may be torn: a new line ends it.
        append_line(descriptor, header_line(identity) if is_new else b"\n")
    except OSError:
        os.close(descriptor)
        if is_new:
            path.unlink(missing_ok=True)
        raise
    return descriptor


def write_journal(path: Path, identity: RemoteIdentity, extents: list[JournalExtent]) -> None:
    """Replace a journal as a whole, atomically and durably."""
    partial = path.with_name(path.name + ".new")
    with partial.open("wb") as file:
        file.write(header_line(identity))
        file.writelines(map(extent_line, extents))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
