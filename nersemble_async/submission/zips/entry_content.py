"""The content of one entry of a zip, in pieces; nothing that the zip says is believed."""

from __future__ import annotations

import itertools
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from types import MappingProxyType

from nersemble_async.benchmark.spec import FileKind
from nersemble_async.errors import SubmissionError
from nersemble_async.submission.zips.zip_directory import LOCAL_HEADER, ZipEntry

MOST_BYTES: Mapping[str, int] = MappingProxyType(
    {f".{FileKind.MP4}": 4 << 30, f".{FileKind.PLY}": 512 << 20, f".{FileKind.NPY}": 1 << 20}
)
"""Of an entry's content, by suffix. A lossless video has 2 GB, a mesh of 10 million faces 0.2."""
MOST_BYTES_OF_OTHERS = 1 << 30
MOST_RATIO = 200
"""Of a deflated entry's content to its bytes in the zip; meshes have 2 to 4, videos 1.1."""

_FREE_RATIO_BYTES = 1 << 20
"""Up to so many bytes of content any ratio will do."""
_PIECE_BYTES = 1 << 20

_SIGNATURE = b"PK\x03\x04"
_ENCRYPTED, _PATCHED, _STRONGLY_ENCRYPTED, _MASKED = 1 << 0, 1 << 5, 1 << 6, 1 << 13
_SIZES_FOLLOW, _IS_UTF_8 = 1 << 3, 1 << 11
_IN_ZIP64 = 0xFFFFFFFF


class EntryError(SubmissionError):
    """An entry's content cannot be had.

    Attributes:
        entry: its path inside the zip.
        rule: which rule it breaks, an id of `nersemble_async.submission.rules.RULES`:
            ``crc-error``, ``unreadable-entry`` or ``too-large``.
        found: what is there.
        expected: what would do.
    """

    def __init__(self, entry: str, rule: str, found: str, expected: str) -> None:
        super().__init__(entry, rule, found, expected)
        self.entry = entry
        self.rule = rule
        self.found = found
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.entry!r} in the zip: {self.found}; expected is {self.expected}"


def content_pieces(descriptor: int, entry: ZipEntry, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The content in pieces of up to 1 MiB; what is wrong is raised at the latest at the end.

    Never more bytes than the directory says.

    Raises:
        EntryError: while iterating; damaged, encrypted or of an unusual compression.
        OSError: while iterating; the file cannot be read.
    """
    offset = _content_offset(descriptor, entry, info)
    pieces = _stored_pieces(descriptor, offset, entry)
    if not entry.is_stored:
        pieces = _inflated(pieces, entry)
    crc32, size_bytes = 0, 0
    for piece in pieces:
        size_bytes += len(piece)
        if size_bytes > entry.size_bytes:
            raise _damaged(entry, "more bytes than the zip's directory says")
        crc32 = zlib.crc32(piece, crc32)
        yield piece
    if size_bytes != entry.size_bytes:
        raise _damaged(entry, f"{size_bytes:,} bytes")
    if crc32 != entry.crc32:
        raise _damaged(entry, f"bytes with the CRC {crc32:08x}")


def check_size(entry: ZipEntry, most_bytes: int | None = None) -> None:
    """Whether as much as the directory promises is wanted.

    Raises:
        EntryError: more than ``most_bytes`` (None: than its suffix allows), or made of too few.
    """
    if most_bytes is None:
        suffix = PurePosixPath(entry.name).suffix.lower()
        most_bytes = MOST_BYTES.get(suffix, MOST_BYTES_OF_OTHERS)
    if entry.size_bytes > most_bytes:
        found, expected = f"{entry.size_bytes:,} bytes", f"at most {most_bytes:,} bytes"
        raise EntryError(entry.name, "too-large", found, expected)
    most_inflated = max(_FREE_RATIO_BYTES, MOST_RATIO * entry.compressed_bytes)
    if not entry.is_stored and entry.size_bytes > most_inflated:
        found = f"{entry.size_bytes:,} bytes made of {entry.compressed_bytes:,}"
        expected = f"content that compresses to no less than 1/{MOST_RATIO}"
        raise EntryError(entry.name, "too-large", found, expected)


def _content_offset(descriptor: int, entry: ZipEntry, info: zipfile.ZipInfo) -> int:
    """Where the content begins: behind the entry's own header, which says what the directory does.

    A reader that goes by the one would otherwise see another file than one that goes by the other.
    """
    flags = info.flag_bits
    if flags & (_ENCRYPTED | _STRONGLY_ENCRYPTED | _MASKED):
        raise unreadable(entry, "it is encrypted")
    if flags & _PATCHED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise unreadable(entry, f"it is compressed by method {info.compress_type}")
    header = os.pread(descriptor, LOCAL_HEADER.size, entry.header_offset)
    if len(header) < LOCAL_HEADER.size or not header.startswith(_SIGNATURE):
        raise unreadable(entry, "its own header is not where the directory says")
    (_, _, own_flags, method, _, _, *sizes, name_bytes, extra_bytes) = LOCAL_HEADER.unpack(header)
    name = os.pread(descriptor, name_bytes, entry.header_offset + LOCAL_HEADER.size)
    told = (entry.crc32, entry.compressed_bytes, entry.size_bytes)
    differ = method != info.compress_type or own_flags & _ENCRYPTED
    differ |= _name(name, own_flags) != info.orig_filename
    if not own_flags & _SIZES_FOLLOW:
        differ |= any(own not in (of, _IN_ZIP64) for own, of in zip(sizes, told, strict=True))
    if differ:
        raise unreadable(entry, "its own header contradicts the directory")
    return entry.header_offset + LOCAL_HEADER.size + int(name_bytes) + int(extra_bytes)


def _name(name: bytes, flags: int) -> str | None:
    with suppress(UnicodeDecodeError):
        return name.decode("utf-8" if flags & _IS_UTF_8 else "cp437")
    return None


def _stored_pieces(descriptor: int, offset: int, entry: ZipEntry) -> Iterator[bytes]:
    """The content's bytes as they stand in the zip."""
    end = offset + entry.compressed_bytes
    while offset < end:
        piece = os.pread(descriptor, min(_PIECE_BYTES, end - offset), offset)
        if not piece:
            raise _damaged(entry, "an end of the file before the entry's")
        offset += len(piece)
        yield piece


def _inflated(pieces: Iterable[bytes], entry: ZipEntry) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    # At the end nothing is given to it: all may be in it while the piece before was full.
    for piece in itertools.chain(pieces, [b""]):
        rest = piece
        while not inflater.eof:
            try:
                inflated = inflater.decompress(rest, _PIECE_BYTES)
            except zlib.error:
                raise _damaged(entry, "bytes that do not decompress") from None
            rest = inflater.unconsumed_tail
            if inflated:
                yield inflated
            elif not rest:
                break
    if not inflater.eof:
        raise _damaged(entry, "compressed bytes that are cut off")
    if inflater.unused_data:
        raise _damaged(entry, "bytes behind the end of the compressed ones")


def _damaged(entry: ZipEntry, found: str) -> EntryError:
    expected = f"{entry.size_bytes:,} bytes with the CRC {entry.crc32:08x}"
    return EntryError(entry.name, "crc-error", found, expected)


def unreadable(entry: ZipEntry, found: str) -> EntryError:
    """The error of an entry of which nothing can be read."""
    expected = "an entry that is stored or deflated, on its own and not encrypted"
    return EntryError(entry.name, "unreadable-entry", found, expected)
