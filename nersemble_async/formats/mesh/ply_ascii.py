"""The tables of an ASCII PLY: a row a line, each with exactly the numbers that it should have."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nersemble_async.formats.mesh.ply_header import PlyElement, PlyHeader, PlyProperty
from nersemble_async.formats.mesh.ply_table import LEAST_CORNERS, PlyTable, Polygons

_ALLOWED = b"0123456789+-.eEnNaAiIfFtTyY \t\r\n"  # of numbers, "nan" and "infinity"
_MOST_EXACT = float(1 << 53)

Numbers = npt.NDArray[np.float64]


def read_ascii_tables(
    data: bytes, header: PlyHeader, wanted: Mapping[str, tuple[str, ...]]
) -> dict[str, PlyTable]:
    """The wanted properties of each element named in ``wanted``.

    Raises:
        ValueError: too few or too many lines, or numbers in a line; says which.
    """
    body = data[header.size_bytes :]
    if body.translate(None, _ALLOWED):
        raise ValueError("its data holds more than numbers")
    lines = body.decode("ascii").rstrip().splitlines()
    n_rows = sum(element.length for element in header.elements)
    if len(lines) != n_rows:
        raise ValueError(f"it promises {n_rows} lines of data and has {len(lines)}")
    tables: dict[str, PlyTable] = {}
    at = 0
    for element in header.elements:
        rows = lines[at : at + element.length]
        at += element.length
        try:
            tables[element.name] = _read(rows, element, wanted.get(element.name, ()))
        except ValueError as error:
            raise ValueError(f"element {element.name[:40]}: {error}") from None
    return tables


def _read(rows: list[str], element: PlyElement, wanted: tuple[str, ...]) -> PlyTable:
    groups = _groups(rows, element)
    columns: dict[str, npt.NDArray[np.generic]] = {}
    lists: dict[str, Polygons] = {}
    for one in element.properties:
        if one.name not in wanted:
            continue
        parts = [group[one.name] for group in groups]
        if one.count_kind is None:
            if len(parts) > 1:
                raise ValueError("it has lists of different lengths")
            columns[one.name] = _column(parts[0][:, 0], one)
            continue
        polygons = [_integers(part, one) for part in parts]
        fewest = min(part.shape[1] for part in polygons)
        if fewest < LEAST_CORNERS:
            raise ValueError(f"a face has {fewest} corners")
        lists[one.name] = polygons[0] if len(polygons) == 1 else polygons
    return PlyTable(columns, lists)


def _groups(rows: list[str], element: PlyElement) -> list[dict[str, Numbers]]:
    """The rows, by runs of rows whose lists are as long; one group where there are no lists.

    Rows of up to four corners are put together whatever stands between them: their triangles come
    first anyway, in the order of the file for each number of corners.
    """
    if not rows:
        return [{one.name: np.zeros((0, LEAST_CORNERS)) for one in element.properties}]
    values = _table(rows)
    if values is not None:
        group = _split(values, _sizes(values[0], element), element)
        if group is not None:
            return [group]
    runs: dict[tuple[tuple[int, ...], int], list[Numbers]] = {}
    run = 0
    last: tuple[int, ...] | None = None
    for row in rows:
        numbers = np.array([float(word) for word in row.split()])
        sizes = _sizes(numbers, element)
        run += sizes != last
        last = sizes
        is_simple = len(sizes) == 1 and sizes[0] <= LEAST_CORNERS + 1
        runs.setdefault((sizes, -1 if is_simple else run), []).append(numbers)
    groups = []
    for (run_sizes, _), values_of_run in runs.items():
        group = _split(np.vstack(values_of_run), run_sizes, element)
        if group is None:
            raise ValueError("its lists differ")
        groups.append(group)
    return groups


def _table(rows: list[str]) -> Numbers | None:
    """All rows at once, quickly; None where they are not all of one length."""
    if not all(map(str.strip, rows)):
        return None
    try:
        return np.loadtxt(rows, np.float64, comments=None, ndmin=2)
    except ValueError:
        return None


def _sizes(row: Numbers, element: PlyElement) -> tuple[int, ...]:
    """How long each list of this row is; the row has exactly so many numbers."""
    sizes: list[int] = []
    at = 0
    for one in element.properties:
        if one.count_kind is not None:
            size = float(row[at]) if at < len(row) else 0.0
            if not (0 <= size <= len(row) and size.is_integer()):
                raise ValueError(f"a list of {size} numbers")
            sizes.append(int(size))
            at += int(size)
        at += 1
    if at != len(row):
        raise ValueError(f"a line has {len(row)} numbers, not {at}")
    return tuple(sizes)


def _split(
    values: Numbers, sizes: tuple[int, ...], element: PlyElement
) -> dict[str, Numbers] | None:
    """The columns of each property; None where not all rows have lists of these sizes."""
    columns: dict[str, Numbers] = {}
    at = 0
    remaining = iter(sizes)
    for one in element.properties:
        n_numbers = 1
        if one.count_kind is not None:
            n_numbers = next(remaining)
            if (values[:, at] != n_numbers).any():
                return None
            at += 1
        columns[one.name] = values[:, at : at + n_numbers]
        at += n_numbers
    return columns


def _column(values: Numbers, one: PlyProperty) -> npt.NDArray[np.generic]:
    """As the property's type has them, and be it integers."""
    if one.kind[0] != "f":
        return _integers(values, one)
    with np.errstate(over="ignore"):
        return values.astype(one.kind)


def _integers(values: Numbers, one: PlyProperty) -> npt.NDArray[np.integer]:
    dtype: np.dtype[np.integer] = np.dtype(one.kind)
    limits = np.iinfo(dtype)
    is_in_range = (values >= limits.min) & (values <= limits.max) & (abs(values) <= _MOST_EXACT)
    if not (is_in_range & (np.floor(values) == values)).all():
        raise ValueError(f"a number of {one.name[:40]} is no integer of its type")
    return values.astype(dtype)
