"""The data of a PCD file as columns, a few thousand points at a time, in all three encodings.

A piece of 16,384 points stays in a core's cache between the copy out of the file and the copy
into the caller's arrays: that is twice as fast as a table of all points.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.pointcloud.lzf_data import decompress_lzf
from nersemble_async.formats.pointcloud.pcd_header import PcdField, PcdHeader

Columns = Mapping[str, npt.NDArray[np.generic]]

_PIECE_POINTS = 1 << 14
_PIECE_BYTES = 1 << 20
_NUMPY_KINDS = {"F": "f", "I": "i", "U": "u"}


def iter_columns(
    file: io.BufferedReader, path: Path, header: PcdHeader, names: Collection[str]
) -> Iterator[tuple[slice, Columns]]:
    """Read from the first byte of data on; ``path`` is for messages.

    Yields:
        Which points, and for each of ``names`` a column (M,): the first element of its field,
        in the dtype that the header names. A column may be a view of memory that the next piece
        overwrites.

    Raises:
        DecodeError: the data ends early, is damaged, or is text that is not a table of numbers.
    """
    if header.encoding == "ascii":
        return _text_columns(file, path, header, names)
    if header.encoding == "binary_compressed":
        return _compressed_columns(file, path, header, names)
    return _binary_columns(file, path, header, names)


def _binary_columns(
    file: io.BufferedReader, path: Path, header: PcdHeader, names: Collection[str]
) -> Iterator[tuple[slice, Columns]]:
    """Points one after another, each with its fields packed in the header's order."""
    point_bytes = header.point_bytes
    places: dict[str, tuple[str, int]] = {}
    offset = 0
    for field in header.fields:
        places[field.name] = _dtype_of(field), offset
        offset += field.size_bytes * field.count
    buffer = np.empty(min(header.n_points, _PIECE_POINTS) * point_bytes, np.uint8)
    for rows in _pieces_of(header.n_points):
        n_rows = rows.stop - rows.start
        piece = buffer[: n_rows * point_bytes]
        _read_into(file, piece, path)
        yield (
            rows,
            {
                name: np.ndarray((n_rows,), dtype, piece, offset, (point_bytes,))
                for name, (dtype, offset) in places.items()
                if name in names
            },
        )


def _compressed_columns(
    file: io.BufferedReader, path: Path, header: PcdHeader, names: Collection[str]
) -> Iterator[tuple[slice, Columns]]:
    """Two lengths, then LZF of the fields one after another, each of all points."""
    n_points = header.n_points
    expected_bytes = n_points * header.point_bytes
    compressed_bytes, _ = struct.unpack("<II", file.read(8))
    compressed = np.empty(compressed_bytes, np.uint8)
    _read_into(file, compressed, path)
    data = decompress_lzf(compressed, expected_bytes, path)
    del compressed
    columns: dict[str, npt.NDArray[np.generic]] = {}
    offset = 0
    for field in header.fields:
        field_bytes = field.size_bytes * field.count
        if field.name in names:
            columns[field.name] = np.ndarray(
                (n_points,), _dtype_of(field), data, offset, (field_bytes,)
            )
        offset += field_bytes * n_points
    for rows in _pieces_of(n_points):
        yield rows, {name: column[rows] for name, column in columns.items()}


def _text_columns(
    file: io.BufferedReader, path: Path, header: PcdHeader, names: Collection[str]
) -> Iterator[tuple[slice, Columns]]:
    """A line for each point. Decimal numbers, ``nan`` and ``inf``; C's octal and hex are none.

    Read as float64 first, as open3d does, so that the rounding to float32 is the same.
    """
    places: dict[str, tuple[str, int]] = {}
    n_elements = 0
    for field in header.fields:
        places[field.name] = _dtype_of(field), n_elements
        n_elements += field.count
    n_read = 0
    while piece := file.read(_PIECE_BYTES):
        text = (piece + file.readline()).decode("latin-1")
        n_lines = text.count("\n") + (not text.endswith("\n"))
        rows = slice(n_read, n_read + n_lines)
        where = f"the points {rows.start} to {rows.stop - 1}"
        if not text.strip():
            raise DecodeError(str(path), f"{where} are empty lines")
        try:
            table = np.loadtxt(io.StringIO(text), np.float64, comments=None, ndmin=2)
        except ValueError as error:
            raise DecodeError(str(path), f"{where} are no table of numbers: {error}") from None
        if table.shape != (n_lines, n_elements) or rows.stop > header.n_points:
            raise DecodeError(
                str(path),
                f"{where}: {n_lines} lines of {n_elements} numbers are expected, "
                f"not {len(table)} of {table.shape[1]}",
            )
        try:
            columns = {
                name: _numbers_as(table[:, place], dtype)
                for name, (dtype, place) in places.items()
                if name in names
            }
        except ValueError as error:
            raise DecodeError(str(path), f"{where}: {error}") from None
        yield rows, columns
        n_read = rows.stop
    if n_read != header.n_points:
        raise DecodeError(str(path), f"{header.n_points} points promised, {n_read} there")


def _numbers_as(column: npt.NDArray[np.float64], dtype: str) -> npt.NDArray[np.generic]:
    if np.dtype(dtype).kind != "f":
        info = np.iinfo(dtype)
        in_range = (column >= float(info.min)) & (column < float(info.max) + 1.0)
        if not (in_range & (column == np.trunc(column))).all():
            raise ValueError(f"a number is no {info.dtype.name}, as the header says")
    return column.astype(dtype)


def _read_into(file: io.BufferedReader, buffer: npt.NDArray[np.uint8], path: Path) -> None:
    if file.readinto(buffer.data) != len(buffer):
        raise DecodeError(str(path), "the file became shorter while it was read")


def _pieces_of(n_points: int) -> Iterator[slice]:
    for start in range(0, n_points, _PIECE_POINTS):
        yield slice(start, min(start + _PIECE_POINTS, n_points))


def _dtype_of(field: PcdField) -> str:
    return f"<{_NUMPY_KINDS[field.kind]}{field.size_bytes}"
