"""The journal beside ``NAME.zip.partial``: which entries are in it, whole.

A JSON line that says what the zip is for, then a line for each group of entries that belong
together. Data is written before its line. A line is a claim: it is believed only after the entry
was read again and its CRC agrees, so that neither a torn line nor data that a power loss took from
the page cache can do harm.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from nersemble_async.cache.disk import sync_folder
from nersemble_async.submission.zips.zip_records import StoredEntry, local_header

_VERSION = 1
_MOST_BYTES = 1 << 24
"""A submission of 1,564 entries takes 0.2 MB."""

_LARGEST = 1 << 62
_PIECE_BYTES = 1 << 20

Contents = Mapping[str, str | bool]
"""What the zip is for, such as the task: one that is gone on with has to be for the same."""


def header_line(contents: Contents) -> bytes:
    """The first line."""
    return json.dumps({"version": _VERSION, **contents}).encode() + b"\n"


def entries_line(entries: Iterable[StoredEntry]) -> bytes:
    """The line for entries that are written, all or none of which count."""
    fields = [[each.name, each.offset, each.size_bytes, each.crc32] for each in entries]
    return json.dumps(fields).encode() + b"\n"


def read_journal(path: Path) -> tuple[Contents, list[list[StoredEntry]]] | None:
    """What a journal claims; None where there is none, or its first line is damaged.

    Whatever the bytes are, this does not fail. Lines that are not as they were written are passed
    over: a crash tore them, or the disk lost them.

    Raises:
        OSError: the file is there but cannot be read.
    """
    try:
        with path.open("rb") as file:
            lines = file.read(_MOST_BYTES).split(b"\n")
    except FileNotFoundError:
        return None
    header = _parse(lines[0])
    if not isinstance(header, dict) or header.pop("version", None) != _VERSION:
        return None
    # The last piece has no newline behind it: empty, or torn.
    groups = [group for line in lines[1:-1] if (group := _entries(_parse(line)))]
    return header, groups


def lies_whole(descriptor: int, entry: StoredEntry) -> bool:
    """Whether the entry lies in the partial zip as the journal claims; reads all of it."""
    header = local_header(entry)
    if os.pread(descriptor, len(header), entry.offset) != header:
        return False
    crc32, n_bytes = 0, 0
    for piece in pieces_of(descriptor, entry):
        crc32 = zlib.crc32(piece, crc32)
        n_bytes += len(piece)
    return n_bytes == entry.size_bytes and crc32 == entry.crc32


def pieces_of(descriptor: int, entry: StoredEntry) -> Iterator[bytes]:
    """What lies where the entry's bytes are to be, in pieces; less of it where the file ends."""
    position = entry.data_offset
    while position < entry.end:
        piece = os.pread(descriptor, min(_PIECE_BYTES, entry.end - position), position)
        if not piece:
            return
        position += len(piece)
        yield piece


class Journal:
    """A journal that is written to, begun anew: a torn line of an earlier run is gone.

    Args:
        path: the file.
        contents: what the zip is for.
        groups: what is in it already.

    Raises:
        OSError: it cannot be written; so do the methods.
    """

    def __init__(
        self, path: Path, contents: Contents, groups: Iterable[Iterable[StoredEntry]]
    ) -> None:
        fresh = path.with_name(f"{path.name}.new")
        try:
            with fresh.open("wb") as file:
                file.write(header_line(contents))
                file.writelines(map(entries_line, groups))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._end = os.fstat(self._descriptor).st_size

    def append(self, group: Iterable[StoredEntry], *, sync: bool) -> None:
        """Claim entries that are written; where that fails, the journal is as before."""
        line = entries_line(group)
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            if sync:
                os.fdatasync(self._descriptor)
        except BaseException:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(line)

    def sync(self) -> None:
        """On to the disk, what was not."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """No line is written any more."""
        os.close(self._descriptor)


def _parse(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _entries(fields: object) -> list[StoredEntry]:
    if not isinstance(fields, list) or not all(map(_is_entry, fields)):
        return []
    return [StoredEntry(*each) for each in fields]


def _is_entry(fields: object) -> bool:
    if not isinstance(fields, list) or [type(each) for each in fields] != [str, int, int, int]:
        return False
    name: str = fields[0]
    *places, crc32 = fields[1:]
    fits = min(places) >= 0 and max(places) <= _LARGEST and 0 <= crc32 < 1 << 32
    return fits and name.isascii() and len(name) < 1 << 16
