"""The header of a PCD file, and whether the file's size agrees with it; no arrays, no NumPy.

Source of the format: https://pointclouds.org/documentation/tutorials/pcd_file_format.html and the
files that open3d writes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nersemble_async.errors import DecodeError

_MAX_HEADER_BYTES = 4096
_MAX_LINE_BYTES = 1024
_MAX_POINTS = 1 << 32
_KEYWORDS = ("VERSION", "FIELDS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS")
_ENCODINGS = ("ascii", "binary", "binary_compressed")
_SIZES_BYTES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
_PADDING = "_"
_MIB = 1 << 20

LZF_MAX_RATIO = 88
"""What LZF can gain at most: three bytes that refer back to 264."""


@dataclass(frozen=True, slots=True)
class PcdField:
    """One column of a PCD file."""

    name: str
    kind: str
    """``F`` float, ``I`` signed or ``U`` unsigned integer."""
    size_bytes: int
    """Of one element."""
    count: int
    """Elements for each point, nearly always 1."""


@dataclass(frozen=True, slots=True)
class PcdHeader:
    """What a PCD file says of itself before its data."""

    fields: tuple[PcdField, ...]
    """In the order of the file."""
    n_points: int
    encoding: str
    """``ascii``, ``binary`` (points one after another) or ``binary_compressed`` (LZF)."""
    header_bytes: int
    """Where the data begins."""

    @property
    def point_bytes(self) -> int:
        """Of one point in ``binary`` data."""
        return sum(field.size_bytes * field.count for field in self.fields)


def read_pcd_header(file: BinaryIO, path: Path) -> PcdHeader:
    """Read the header and leave ``file`` at the first byte of data; ``path`` is for messages.

    Raises:
        DecodeError: not a PCD header; at most 4 KiB are read before that is clear.
    """
    lines: dict[str, list[str]] = {}
    read_bytes = 0
    while True:
        line = file.readline(_MAX_LINE_BYTES)
        read_bytes += len(line)
        if not line.endswith(b"\n") or read_bytes > _MAX_HEADER_BYTES:
            raise DecodeError(str(path), "not a PCD file: no DATA line in a header of sane length")
        words = line.decode("latin-1").split()
        if not words or words[0].startswith("#"):
            continue
        keyword, values = words[0], words[1:]
        if keyword in lines or keyword not in (*_KEYWORDS, "DATA"):
            raise DecodeError(str(path), f"not a PCD header line: {line[:40]!r}")
        lines[keyword] = values
        if keyword == "DATA":
            break
    try:
        return _header_from_lines(lines, read_bytes)
    except ValueError as error:
        raise DecodeError(str(path), f"PCD header: {error}") from None


def check_pointcloud(path: Path) -> PcdHeader:
    """Check that the file's length is what its header promises; the data itself is not parsed.

    ``binary``: header + points · bytes per point. ``binary_compressed``: header + 8 + compressed
    length, and the uncompressed length fits the points. ``ascii``: one line for each point (the
    whole file is read, in pieces).

    Raises:
        DecodeError: a broken header, or a length that contradicts it.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return read_checked_header(file, path)


def read_checked_header(file: BinaryIO, path: Path) -> PcdHeader:
    """What `check_pointcloud` checks, of an open file that is left at the first byte of data.

    Afterwards the file is long enough for what its header promises: memory for that many points
    may be taken.
    """
    header = read_pcd_header(file, path)
    file_bytes = file.seek(0, 2)
    file.seek(header.header_bytes)
    if header.encoding == "ascii":
        _check_lines(file, path, header)
    else:
        expected_bytes = header.header_bytes + _promised_bytes(file, path, header)
        if file_bytes != expected_bytes:
            raise DecodeError(
                str(path),
                f"header and points are {expected_bytes} bytes, the file has {file_bytes}",
            )
    file.seek(header.header_bytes)
    return header


def _check_lines(file: BinaryIO, path: Path, header: PcdHeader) -> None:
    n_lines = _count_lines(file)
    if n_lines != header.n_points:
        raise DecodeError(
            str(path), f"{header.n_points} points promised, {n_lines} lines of them there"
        )


def _promised_bytes(file: BinaryIO, path: Path, header: PcdHeader) -> int:
    """How long the data is, by the header and, where it is compressed, the lengths before it."""
    points_bytes = header.n_points * header.point_bytes
    if header.encoding == "binary":
        return points_bytes
    lengths = file.read(8)
    if len(lengths) < struct.calcsize("<II"):
        raise DecodeError(str(path), "the compressed data has no lengths")
    compressed_bytes: int
    uncompressed_bytes: int
    compressed_bytes, uncompressed_bytes = struct.unpack("<II", lengths)
    if uncompressed_bytes != points_bytes:
        raise DecodeError(
            str(path),
            f"{header.n_points} points are {points_bytes} bytes, "
            f"the compressed data holds {uncompressed_bytes}",
        )
    if uncompressed_bytes > LZF_MAX_RATIO * compressed_bytes:
        raise DecodeError(
            str(path), f"{compressed_bytes} compressed bytes cannot hold {uncompressed_bytes}"
        )
    return len(lengths) + compressed_bytes


def _header_from_lines(lines: dict[str, list[str]], header_bytes: int) -> PcdHeader:
    missing = [k for k in ("FIELDS", "SIZE", "TYPE", "WIDTH", "HEIGHT", "POINTS") if k not in lines]
    if missing:
        raise ValueError(f"no {missing[0]} line")
    names, kinds = lines["FIELDS"], lines["TYPE"]
    sizes_bytes = [_number(word, 8) for word in lines["SIZE"]]
    counts = [_number(word, 1024) for word in lines.get("COUNT", ["1"] * len(names))]
    if not len(names) == len(sizes_bytes) == len(kinds) == len(counts):
        raise ValueError("FIELDS, SIZE, TYPE and COUNT have different lengths")
    for name, kind, size_bytes, count in zip(names, kinds, sizes_bytes, counts, strict=True):
        if size_bytes not in _SIZES_BYTES.get(kind, ()) or count < 1:
            raise ValueError(f"field {name[:20]!r} has no such type")
    read_names = [name for name in names if name != _PADDING]  # PCL pads with many of them
    if len(set(read_names)) != len(read_names) or not {"x", "y", "z"} <= set(names):
        raise ValueError("the fields must be distinct and hold x, y and z")
    n_points, width, height = (_number_in(lines, k) for k in ("POINTS", "WIDTH", "HEIGHT"))
    if width * height != n_points:
        raise ValueError(f"WIDTH {width} · HEIGHT {height} is not POINTS {n_points}")
    encoding = " ".join(lines["DATA"])
    if encoding not in _ENCODINGS:
        raise ValueError(f"unknown DATA {encoding[:20]!r}")
    fields = map(PcdField, names, kinds, sizes_bytes, counts)
    return PcdHeader(tuple(fields), n_points, encoding, header_bytes)


def _number_in(lines: dict[str, list[str]], keyword: str) -> int:
    if len(lines[keyword]) != 1:
        raise ValueError(f"{keyword} is not one number")
    return _number(lines[keyword][0], _MAX_POINTS)


def _number(word: str, largest: int) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= len(str(largest))):
        raise ValueError(f"{word[:20]!r} is not a number in range")
    if int(word) > largest:
        raise ValueError(f"{word} is not a number in range")
    return int(word)


def _count_lines(file: BinaryIO) -> int:
    n_lines, last = 0, b"\n"
    while piece := file.read(_MIB):
        n_lines += piece.count(b"\n")
        last = piece[-1:]
    return n_lines + (last != b"\n")
