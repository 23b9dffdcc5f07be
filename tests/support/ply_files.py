"""PLY files of every sort, by hypothesis: encodings, types, orders, polygons, other elements."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh
from hypothesis import strategies as st
from trimesh.exchange.ply import load_ply

_CODES = {
    "char": "b",
    "uchar": "B",
    "short": "h",
    "ushort": "H",
    "int": "i",
    "uint": "I",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "float": "f",
    "float32": "f",
    "double": "d",
    "float64": "d",
}
_INTEGERS = ("char", "uchar", "short", "ushort", "int", "uint", "int32", "uint8")
_FLOATS = ("float", "double", "float32", "float64")
_ENCODINGS = ("ascii", "binary_little_endian", "binary_big_endian")


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    rows: list[list[float]]
    count_kind: str | None = None


@dataclass(frozen=True)
class Table:
    name: str
    columns: list[Column]
    n_rows: int


def encoded(encoding: str, tables: list[Table], newline: str = "\n") -> bytes:
    """The file that holds these tables."""
    lines = ["ply", f"format {encoding} 1.0", "comment by a test", "obj_info none"]
    for table in tables:
        lines.append(f"element {table.name} {table.n_rows}")
        for column in table.columns:
            kind = f"list {column.count_kind} {column.kind}" if column.count_kind else column.kind
            lines.append(f"property {kind} {column.name}")
    lines.append("end_header")
    body = b"".join(_row(encoding, table, row) for table in tables for row in range(table.n_rows))
    return newline.join([*lines, ""]).encode() + body


def _row(encoding: str, table: Table, row: int) -> bytes:
    values: list[tuple[str, float]] = []
    for column in table.columns:
        if column.count_kind:
            values.append((column.count_kind, len(column.rows[row])))
        values += [(column.kind, value) for value in column.rows[row]]
    if encoding == "ascii":
        return (" ".join(repr(value) for _, value in values) + "\n").encode()
    order = ">" if "big" in encoding else "<"
    return b"".join(struct.pack(order + _CODES[kind], value) for kind, value in values)


def _numbers(kind: str) -> st.SearchStrategy[float]:
    if _CODES[kind] == "d":
        return st.floats(-1e9, 1e9)
    if _CODES[kind] == "f":
        return st.floats(-1024, 1024, width=32)
    return st.integers(0, 100)


@st.composite
def _column(draw: st.DrawFn, name: str, kinds: tuple[str, ...], n_rows: int) -> Column:
    kind = draw(st.sampled_from(kinds))
    rows = draw(st.lists(_numbers(kind), min_size=n_rows, max_size=n_rows))
    return Column(name, kind, [[value] for value in rows])


@st.composite
def tables(draw: st.DrawFn, *, mixed: bool) -> list[Table]:
    """A mesh with other properties and elements; polygons of several sizes where ``mixed``."""
    n_vertices = draw(st.integers(1, 6))
    names = draw(
        st.permutations(["x", "y", "z", *draw(st.sampled_from([(), ("q", "w"), ("nx",)]))])
    )
    kinds = draw(st.sampled_from([("float",), ("double",), _FLOATS, _FLOATS + _INTEGERS]))
    vertex = Table("vertex", [draw(_column(name, kinds, n_vertices)) for name in names], n_vertices)
    n_faces = draw(st.integers(1, 5))  # of some files without faces trimesh makes errors
    corners = [draw(st.integers(3, 6))] * n_faces
    if mixed:
        corners = draw(st.lists(st.integers(3, 6), min_size=n_faces, max_size=n_faces))
    indices = Column(
        draw(st.sampled_from(["vertex_indices", "vertex_index"])),
        draw(st.sampled_from(_INTEGERS)),
        [
            draw(st.lists(st.integers(0, n_vertices - 1), min_size=size, max_size=size))
            for size in corners
        ],
        draw(st.sampled_from(("uchar", "char", "int", "uint", "ushort"))),
    )
    others = [
        draw(_column(name, _FLOATS + _INTEGERS, n_faces))
        for name in draw(st.sampled_from([(), ("quality",), ("red", "flags")]))
    ]
    found = [vertex, Table("face", draw(st.permutations([indices, *others])), n_faces)]
    if draw(st.booleans()):
        n_rows = draw(st.integers(1, 3))
        column = draw(_column("value", _FLOATS + _INTEGERS, n_rows))
        listed = Column("list", "short", [[1, 2]] * n_rows, "uchar")
        extra = draw(st.sampled_from([[column], [column, listed], [listed]]))
        found.insert(draw(st.integers(0, 2)), Table("material", extra, n_rows))
    return found


@st.composite
def ply_files(draw: st.DrawFn) -> bytes:
    """Files that every reader should take: polygons of several sizes only as text."""
    encoding = draw(st.sampled_from(_ENCODINGS))
    mixed = encoding == "ascii" and draw(st.booleans())
    return encoded(encoding, draw(tables(mixed=mixed)), draw(st.sampled_from(["\n", "\n", "\r\n"])))


def of_trimesh(data: bytes) -> trimesh.Trimesh:
    """As trimesh reads it, nothing merged and nothing reordered."""
    content = load_ply(io.BytesIO(data), fix_texture=False, skip_materials=True)
    return trimesh.Trimesh(**content, process=False)


def exported_ply(mesh: trimesh.Trimesh, **options: Any) -> bytes:
    """As trimesh writes it."""
    data = mesh.export(file_type="ply", **options)
    if not isinstance(data, bytes):
        raise TypeError(type(data))
    return data


def add_texture(mesh: trimesh.Trimesh, uv: npt.NDArray[np.float64]) -> None:
    """Coordinates (V, 2) for each vertex."""
    visuals: Any = trimesh.visual.TextureVisuals
    mesh.visual = visuals(uv=uv)


def sphere_mesh(
    n_vertices: int = 5023, seed: int = 0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """A head-sized mesh of distinct vertices, each in a face; FLAME's count of them by default."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n_vertices, 3))
    vertices = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    vertices *= np.array([0.08, 0.14, 0.1])
    corners = np.arange(n_vertices, dtype=np.int64)
    faces = np.stack([corners, np.roll(corners, 1), np.roll(corners, 2)], axis=1)
    return vertices, faces
