"""The directory of a zip as data; the standard library parses it, within limits."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nersemble_async.errors import SubmissionError

MOST_ENTRIES = 100_000
"""A benchmark has 1,564 at most; others may lie beside them."""
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
"""What stands before each entry's name and content, besides in the directory.

Signature, version, flags, method, time, date, CRC, compressed size, size, lengths of name and
extra fields. Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3.7)
"""

_MOST_DIRECTORY_BYTES = 8 << 20
_BROKEN = (
    zipfile.BadZipFile,
    struct.error,
    ValueError,  # of Unicode too
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)
_SEEKING_NOWHERE = (errno.EINVAL, errno.EOVERFLOW)


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """What a zip's directory says of an entry; it may lie."""

    name: str
    """The path, as it stands: it may lead anywhere, hold NUL or be there twice."""
    size_bytes: int
    """Of the content."""
    compressed_bytes: int
    """Of the content in the zip."""
    crc32: int
    header_offset: int
    """First byte of the entry's own header in the file."""
    is_stored: bool
    """Whether the content stands in the zip as it is."""
    is_folder: bool
    position: int
    """In the directory, from 0."""


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """All that is known without reading an entry."""

    entries: tuple[ZipEntry, ...]
    """In the directory's order; duplicates and folders included."""
    infos: tuple[zipfile.ZipInfo, ...]
    """The same, as the standard library has them."""
    misplaced: Mapping[int, str]
    """By position: why an entry's bytes cannot be its own."""


def read_directory(path: Path, descriptor: int) -> ZipDirectory:
    """What an open zip says that it holds.

    Raises:
        SubmissionError: not a zip, cut off, or with more than 100,000 entries.
        OSError: the file cannot be read.
    """
    infos, directory_offset = _read_infos(path, descriptor)
    entries = tuple(_entry(info, position) for position, info in enumerate(infos))
    return ZipDirectory(entries, tuple(infos), _misplaced(entries, directory_offset))


class _DirectoryReader(io.FileIO):
    """A file for zipfile, which reads as many bytes at once as the zip tells it to."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MOST_DIRECTORY_BYTES:
            raise zipfile.BadZipFile("its directory is larger than that of any submission")
        return super().read(-1 if size is None else size) or b""


def _read_infos(path: Path, descriptor: int) -> tuple[list[zipfile.ZipInfo], int]:
    """Entries in the directory's order, and where the directory begins."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise SubmissionError(f"{path} is no file")
    try:
        with (
            _DirectoryReader(descriptor, closefd=False) as file,
            zipfile.ZipFile(file) as archive,
        ):
            infos, directory_offset = archive.infolist(), archive.start_dir
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SubmissionError(f"{path} is not a readable zip: {reason}") from None
    except OSError as error:
        if error.errno not in _SEEKING_NOWHERE:
            raise
        raise SubmissionError(f"{path} is not a readable zip: it is cut off") from None
    if len(infos) > MOST_ENTRIES:
        raise SubmissionError(
            f"{path} has {len(infos):,} entries, more than the {MOST_ENTRIES:,} that are read"
        )
    return infos, directory_offset


def _entry(info: zipfile.ZipInfo, position: int) -> ZipEntry:
    # zipfile ends a name at its first NUL.
    name = info.orig_filename if "\0" in info.orig_filename else info.filename
    return ZipEntry(
        name=name,
        size_bytes=info.file_size,
        compressed_bytes=info.compress_size,
        crc32=info.CRC,
        header_offset=info.header_offset,
        is_stored=info.compress_type == zipfile.ZIP_STORED,
        is_folder=name.endswith("/"),
        position=position,
    )


def _misplaced(entries: Sequence[ZipEntry], directory_offset: int) -> dict[int, str]:
    """By position: the entries whose bytes belong to others too, or lie where no entry can."""
    reasons: dict[int, str] = {}
    before: ZipEntry | None = None
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        own_end = entry.header_offset + LOCAL_HEADER.size + entry.compressed_bytes
        if entry.header_offset < 0 or own_end > directory_offset:
            reasons[entry.position] = "it reaches beyond the end of all entries"
        elif before is not None and entry.header_offset < end:
            reasons[entry.position] = "its bytes are another entry's too"
            reasons.setdefault(before.position, "its bytes are another entry's too")
        if own_end > end:
            before, end = entry, own_end
    return reasons
