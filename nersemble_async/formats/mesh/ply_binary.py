"""The tables of a binary PLY: views of its bytes where that can be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nersemble_async.formats.mesh.ply_header import PlyElement, PlyHeader
from nersemble_async.formats.mesh.ply_table import LEAST_CORNERS, PlyTable, Polygons

_MOST_ROW_BYTES = 1 << 30


def read_binary_tables(
    data: bytes, header: PlyHeader, wanted: Mapping[str, tuple[str, ...]]
) -> dict[str, PlyTable]:
    """The wanted properties of each element named in ``wanted``.

    Lists are as long in all rows as in the first; the file ends where its last element does.

    Raises:
        ValueError: otherwise.
    """
    order = ">" if header.encoding == "binary_big_endian" else "<"
    tables: dict[str, PlyTable] = {}
    offset = header.size_bytes
    for element in header.elements:
        table, offset = _read(data, offset, element, order, wanted.get(element.name, ()))
        tables[element.name] = table
    if offset != len(data):
        raise ValueError(f"{len(data) - offset} bytes stand after its last element")
    return tables


def _read(
    data: bytes, offset: int, element: PlyElement, order: str, wanted: tuple[str, ...]
) -> tuple[PlyTable, int]:
    sizes = _list_sizes(data, offset, element, order)
    fields: list[tuple[str, str]] = []
    row_bytes = 0
    for number, one in enumerate(element.properties):
        item_bytes = int(one.kind[1])
        if one.count_kind is None:
            fields.append((one.name, order + one.kind))
            row_bytes += item_bytes
            continue
        fields.append((f"{number} count", order + one.count_kind))
        row_bytes += int(one.count_kind[1])
        if sizes[one.name]:
            # As one block: five times as quick to gather as (n,) numbers.
            fields.append((one.name, f"V{sizes[one.name] * item_bytes}"))
            row_bytes += sizes[one.name] * item_bytes
    needed = element.length * row_bytes
    if needed > len(data) - offset or row_bytes > _MOST_ROW_BYTES:
        raise ValueError(
            f"{element.length} rows of element {element.name[:40]} need {needed} bytes, "
            f"{len(data) - offset} are there"
        )
    rows = np.frombuffer(data, np.dtype(fields), element.length, offset)
    columns: dict[str, npt.NDArray[np.generic]] = {}
    lists: dict[str, Polygons] = {}
    for number, one in enumerate(element.properties):
        if one.count_kind is None:
            if one.name in wanted:
                columns[one.name] = rows[one.name]
            continue
        size = sizes[one.name]
        is_other = rows[f"{number} count"] != size
        if is_other.any():
            row = int(np.argmax(is_other))
            raise ValueError(
                f"row {row} of element {element.name[:40]} lists {rows[f'{number} count'][row]} "
                f"numbers, the first {size}: binary files need the same in all"
            )
        if one.name in wanted:
            lists[one.name] = _gathered(rows, one.name, order + one.kind, size)
    return PlyTable(columns, lists), offset + needed


def _list_sizes(data: bytes, offset: int, element: PlyElement, order: str) -> dict[str, int]:
    """How long each list of the first row is; of an element without rows: three."""
    sizes: dict[str, int] = {}
    for one in element.properties:
        if one.count_kind is None:
            offset += int(one.kind[1])
            continue
        size = LEAST_CORNERS
        count_bytes = int(one.count_kind[1])
        if element.length:
            count = data[offset : offset + count_bytes]
            if len(count) < count_bytes:
                raise ValueError(f"it ends before the first row of element {element.name[:40]}")
            size = int.from_bytes(
                count, "little" if order == "<" else "big", signed=one.count_kind[0] == "i"
            )
            if not 0 <= size <= len(data):
                raise ValueError(f"element {element.name[:40]} lists {size} numbers")
        offset += count_bytes + size * int(one.kind[1])
        sizes[one.name] = size
    return sizes


def _gathered(
    rows: npt.NDArray[np.void], name: str, kind: str, size: int
) -> npt.NDArray[np.integer]:
    if size < LEAST_CORNERS:
        raise ValueError(f"its faces have {size} corners")
    numbers: npt.NDArray[np.integer] = np.ascontiguousarray(rows[name]).view(kind)
    return numbers.reshape(len(rows), size).astype(kind[1:], copy=False)
