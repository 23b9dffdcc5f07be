"""The records of a zip with stored entries, Zip64 where numbers are large. Pure.

Source: PKWARE APPNOTE 6.3.10, §4.3 (records) and §4.5.3 (Zip64 extra field). Every entry's date
is the first that a zip can hold, so that the same predictions make the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_END_64_LOCATOR = struct.Struct("<4sIQI")

_STORED = 0
_FIRST_DATE = (1 << 5) | 1
"""1 January 1980."""
_PLAIN_VERSION, _ZIP64_VERSION = 20, 45
_MADE_ON_UNIX = 3 << 8
_MODE = 0o100644 << 16
_IN_EXTRA_32, _IN_EXTRA_16 = 0xFFFFFFFF, 0xFFFF
_ZIP64_EXTRA = 1

ZIP64_FROM = 0x7FFFFFFF
"""Sizes and offsets above it are written as Zip64: some readers take 32-bit numbers as signed."""
_MOST_ENTRIES = 0xFFFE


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One file in a zip, its bytes as they are."""

    name: str
    """ASCII, with forward slashes."""
    offset: int
    """Of its local header, in the zip."""
    size_bytes: int
    crc32: int

    @property
    def data_offset(self) -> int:
        """Where its bytes begin."""
        return self.offset + local_header_bytes(self.name, self.size_bytes)

    @property
    def end(self) -> int:
        """Behind its last byte."""
        return self.data_offset + self.size_bytes


def _is_large(number: int) -> bool:
    return number > ZIP64_FROM


def local_header_bytes(name: str, size_bytes: int) -> int:
    """Length of `local_header`."""
    return _LOCAL.size + len(name) + (20 if _is_large(size_bytes) else 0)


def local_header(entry: StoredEntry) -> bytes:
    """What stands before an entry's bytes."""
    size, extra, version = entry.size_bytes, b"", _PLAIN_VERSION
    if _is_large(size):
        extra = struct.pack("<2H2Q", _ZIP64_EXTRA, 16, size, size)
        size, version = _IN_EXTRA_32, _ZIP64_VERSION
    name = entry.name.encode("ascii")
    fixed = _LOCAL.pack(
        *(b"PK\3\4", version, 0, _STORED, 0, _FIRST_DATE),
        *(entry.crc32, size, size, len(name), len(extra)),
    )
    return fixed + name + extra


def _central_header(entry: StoredEntry) -> bytes:
    size, offset = entry.size_bytes, entry.offset
    large: list[int] = []
    if _is_large(size):
        large += [size, size]
        size = _IN_EXTRA_32
    if _is_large(offset):
        large.append(offset)
        offset = _IN_EXTRA_32
    extra = struct.pack(f"<2H{len(large)}Q", _ZIP64_EXTRA, 8 * len(large), *large) if large else b""
    version = _ZIP64_VERSION if large else _PLAIN_VERSION
    name = entry.name.encode("ascii")
    fixed = _CENTRAL.pack(
        *(b"PK\1\2", _MADE_ON_UNIX | version, version, 0, _STORED, 0, _FIRST_DATE),
        *(entry.crc32, size, size, len(name), len(extra), 0, 0, 0, _MODE, offset),
    )
    return fixed + name + extra


def central_directory(entries: Sequence[StoredEntry], offset: int) -> bytes:
    """The list of all entries, and the zip's end; stands at ``offset``, behind the last entry."""
    listed = b"".join(map(_central_header, entries))
    n, size = len(entries), len(listed)
    end = b""
    if n > _MOST_ENTRIES or _is_large(offset) or _is_large(size):
        end = _END_64.pack(
            *(b"PK\6\6", _END_64.size - 12, _MADE_ON_UNIX | _ZIP64_VERSION, _ZIP64_VERSION),
            *(0, 0, n, n, size, offset),
        ) + _END_64_LOCATOR.pack(b"PK\6\7", 0, offset + size, 1)
        n, size, offset = min(n, _IN_EXTRA_16), min(size, _IN_EXTRA_32), min(offset, _IN_EXTRA_32)
    return listed + end + _END.pack(b"PK\5\6", 0, 0, n, n, size, offset, 0)
