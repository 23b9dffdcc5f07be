"""The journal beside a part file: which remote file it is, and which bytes of it are here.

A JSON line for the remote file's identity, then one line for each extent written:
``[start, length, checksum]``. The data is written before its line. A line is a claim: it is
believed only after the extent was read again and its checksum agrees, so that neither a torn
line nor data that a power loss took from the page cache can do harm.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

_VERSION = 1


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
    """What a journal claims; None where there is none, or its first line does not parse.

    Lines that do not parse are passed over: a crash tore them.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    try:
        header = json.loads(lines[0])
        if header["version"] != _VERSION:
            return None
        size = header["size"]
        identity = RemoteIdentity(
            None if size is None else int(size), header["etag"], header["last_modified"]
        )
    except (ValueError, KeyError, TypeError):
        return None
    extents: list[JournalExtent] = []
    # The last piece has no newline behind it: empty, or torn.
    for line in lines[1:-1]:
        try:
            start, length, checksum = json.loads(line)
            extent = JournalExtent(int(start), int(start) + int(length), str(checksum))
        except (ValueError, TypeError):
            continue
        inside = identity.size_bytes is None or extent.stop <= identity.size_bytes
        if inside and 0 <= extent.start < extent.stop:
            extents.append(extent)
    return identity, extents


def write_journal(path: Path, identity: RemoteIdentity, extents: list[JournalExtent]) -> None:
    """Replace a journal as a whole, atomically and durably."""
    partial = path.with_name(path.name + ".new")
    with partial.open("wb") as file:
        file.write(header_line(identity))
        file.writelines(map(extent_line, extents))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
