"""PLY meshes from and to bytes: our own quick, strict and safe parser and writer.

What it takes, trimesh (with ``process=False``) reads as the same vertices and faces; it refuses
files of which readers disagree. No memory is taken before the file is known to hold the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.mesh.ply_ascii import read_ascii_tables
from nersemble_async.formats.mesh.ply_binary import read_binary_tables
from nersemble_async.formats.mesh.ply_header import PlyElement, PlyHeader, parse_ply_header
from nersemble_async.formats.mesh.ply_table import PlyTable, Polygons

_HEADER = """\
ply
format binary_little_endian 1.0
element vertex {n_vertices}
property {kind} x
property {kind} y
property {kind} z
element face {n_faces}
property list uchar int vertex_indices
end_header
"""
_FACE = np.dtype([("count", "u1"), ("indices", "<i4", (3,))])
_TRIANGLE, _QUAD = 3, 4
_AXES = ("x", "y", "z")
_INDICES = ("vertex_indices", "vertex_index")
_COLOURS = {"red", "green", "blue", "alpha"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlyMesh:
    """The vertices and faces of a PLY file, as they stand in it."""

    vertices: npt.NDArray[np.floating]
    """(V, 3), float32 where the file has at most single precision, else float64; any value."""
    faces: npt.NDArray[np.integer]
    """(F, 3) in the type of the file, not compared with the vertices; polygons are triangulated."""
    is_ascii: bool
    is_bare: bool
    """Whether there is nothing but positions (perhaps colours) and triangles: no normals, texture
    coordinates or other elements, by which readers that merge vertices tell them apart."""


def ply_bytes(vertices: npt.NDArray[np.floating], faces: npt.NDArray[np.integer]) -> bytes:
    """A binary PLY; float32 or smaller is written as float, everything else as double.

    Args:
        vertices: (V, 3).
        faces: (F, 3) integers in 0 … V - 1; neither is checked here.
    """
    is_single = vertices.dtype.kind == "f" and vertices.dtype.itemsize <= np.dtype("f4").itemsize
    header = _HEADER.format(
        n_vertices=len(vertices), n_faces=len(faces), kind="float" if is_single else "double"
    )
    table = np.empty(len(faces), _FACE)
    table["count"] = _TRIANGLE
    indices = table["indices"]
    for corner in range(_TRIANGLE):  # by columns: three times as quick as at once
        indices[:, corner] = faces[:, corner]
    points = np.ascontiguousarray(vertices, "<f4" if is_single else "<f8")
    return b"".join((header.encode("ascii"), points.data, table.data))


def parse_ply(data: bytes, name: str) -> PlyMesh:
    """Read a binary (little or big endian) or ASCII PLY; ``name`` is for messages.

    Other properties and elements are passed over. Quads and larger polygons become triangles, in
    trimesh's order. In binary files all faces have as many corners as the first (trimesh, and with
    it the official reader, read no others).

    Raises:
        DecodeError: everything else, whatever the bytes are; says what is wrong.
    """
    try:
        header = parse_ply_header(data)
        vertex = _vertex_element(header)
        index = _index_name(header)
        wanted = {"vertex": _AXES, "face": (index,) if index else ()}
        read = read_ascii_tables if header.encoding == "ascii" else read_binary_tables
        tables = read(data, header, wanted)
        is_single = all(one.kind in {"f4", "f2"} for one in vertex.properties if one.name in _AXES)
        vertices = _vertices(tables["vertex"], np.dtype("f4" if is_single else "f8"))
        polygons = tables["face"].lists[index] if index else np.zeros((0, _TRIANGLE), np.int32)
    except ValueError as error:
        raise DecodeError(name, f"the mesh does not parse: {error}") from None
    is_triangles = isinstance(polygons, np.ndarray) and polygons.shape[1] == _TRIANGLE
    return PlyMesh(
        vertices, _triangles(polygons), header.encoding == "ascii", is_triangles and _bare(header)
    )


def _vertex_element(header: PlyHeader) -> PlyElement:
    for element in header.elements:
        if element.name == "vertex":
            scalars = {one.name for one in element.properties if one.count_kind is None}
            if not scalars.issuperset(_AXES):
                raise ValueError("its vertices have no x, y and z")
            return element
    raise ValueError("it has no element vertex")


def _index_name(header: PlyHeader) -> str | None:
    """Which property of the faces lists their corners; None: there are no faces."""
    for element in header.elements:
        if element.name == "face":
            is_alone = len(element.properties) == 1 and header.encoding != "ascii"
            found = [one for one in element.properties if is_alone or one.name in _INDICES]
            if len(found) != 1 or found[0].count_kind is None or found[0].kind[0] == "f":
                raise ValueError("its faces need one list of integers named vertex_indices")
            return found[0].name
    return None


def _bare(header: PlyHeader) -> bool:
    for element in header.elements:
        others = [one for one in element.properties if one.name not in _AXES]
        if element.name == "vertex":
            if any(one.name not in _COLOURS or one.kind != "u1" for one in others):
                return False
            if any(one.count_kind is not None for one in element.properties):
                return False
        elif element.name != "face" or len(element.properties) > 1:
            return False
    return True


def _vertices(table: PlyTable, dtype: np.dtype[np.floating]) -> npt.NDArray[np.floating]:
    x, y, z = (table.columns[axis] for axis in _AXES)
    stride = x.dtype.itemsize
    starts = [column.__array_interface__["data"][0] for column in (x, y, z)]
    steps_by_one = all(second - first == stride for first, second in pairwise(starts))
    if len(x) and x.dtype == y.dtype == z.dtype == dtype and steps_by_one:
        # One after another, as nearly always: nothing is copied.
        rows: npt.NDArray[np.floating] = np.lib.stride_tricks.as_strided(
            x, (len(x), len(_AXES)), (x.strides[0], stride), writeable=False
        )
        return rows
    vertices = np.empty((len(x), len(_AXES)), dtype)
    for axis, column in enumerate((x, y, z)):
        vertices[:, axis] = column
    return vertices


def _triangles(polygons: Polygons) -> npt.NDArray[np.integer]:
    """In trimesh's order: triangles, halves of quads, their other halves, fans of the others."""
    if isinstance(polygons, np.ndarray):
        n_corners = polygons.shape[1]
        if n_corners == _TRIANGLE:
            return polygons
        if n_corners == _QUAD:
            return np.vstack((polygons[:, [0, 1, 2]], polygons[:, [2, 3, 0]]))
        return _fans(polygons)
    small = [
        _triangles(np.vstack(alike))
        for n_corners in (_TRIANGLE, _QUAD)
        if (alike := [group for group in polygons if group.shape[1] == n_corners])
    ]
    return np.vstack([*small, *(_fans(group) for group in polygons if group.shape[1] > _QUAD)])


def _fans(polygons: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    n_faces, n_corners = polygons.shape
    fans = np.empty((n_faces, n_corners - 2, _TRIANGLE), polygons.dtype)
    fans[:, :, 0] = polygons[:, :1]
    fans[:, :, 1] = polygons[:, 1:-1]
    fans[:, :, 2] = polygons[:, 2:]
    return fans.reshape(-1, _TRIANGLE)
