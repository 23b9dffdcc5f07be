"""The PLY parser: trimesh's vertices and faces wherever it takes a file, else one error."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.errors import DecodeError
from nersemble_async.formats.mesh.ply import PlyMesh, parse_ply, ply_bytes
from tests.support.ply_files import (
    Column,
    Table,
    add_texture,
    encoded,
    exported_ply,
    of_trimesh,
    ply_files,
    sphere_mesh,
)

# trimesh's reading of numbers in text and its conversion of NaN to integers warn.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")

VERTICES = np.array([[0, 0, 0], [1, 0, 0.1], [0, 1, 0], [0, 0, 0], [1 / 3, -2, 5]])
FACES = np.array([[0, 1, 2], [3, 2, 1], [0, 3, 0]])
BINARY = "ply\nformat binary_little_endian 1.0\n"
ASCII = "ply\nformat ascii 1.0\n"
POINTS = "element vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
CORNERS = "element face 1\nproperty list uchar int vertex_indices\n"
TEXT = f"{ASCII}{POINTS}{CORNERS}end_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"


def assert_as_trimesh(mesh: PlyMesh, data: bytes) -> None:
    expected = of_trimesh(data)
    assert np.array_equal(mesh.vertices, expected.vertices, equal_nan=True)
    assert np.array_equal(mesh.faces, expected.faces)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("face_dtype", [np.int16, np.int32, np.int64, np.uint32])
def test_what_is_written_is_read_to_the_bit(dtype: type, face_dtype: type) -> None:
    vertices: npt.NDArray[np.floating] = VERTICES.astype(dtype)
    data = ply_bytes(vertices, FACES.astype(face_dtype))
    mesh = parse_ply(data, "mesh.ply")
    assert mesh.vertices.dtype == (np.float64 if dtype is np.float64 else np.float32)
    assert np.array_equal(mesh.vertices, vertices)
    assert np.array_equal(mesh.faces, FACES)
    assert mesh.is_bare
    assert not mesh.is_ascii
    assert_as_trimesh(mesh, data)


def test_a_bare_mesh_is_not_copied() -> None:
    data = ply_bytes(*sphere_mesh())
    assert not parse_ply(data, "mesh.ply").vertices.flags.owndata


@given(data=ply_files())
def test_every_sort_of_ply_is_read_as_trimesh_reads_it(data: bytes) -> None:
    assert_as_trimesh(parse_ply(data, "mesh.ply"), data)


@given(
    data=st.one_of(ply_files(), st.just(ply_bytes(VERTICES, FACES)), st.just(TEXT.encode())),
    changes=st.lists(st.tuples(st.integers(0, 600), st.binary(max_size=3)), max_size=3),
    keep=st.integers(100, 900),
)
def test_damaged_files_end_in_one_error_or_are_read_as_trimesh_does(
    data: bytes, changes: list[tuple[int, bytes]], keep: int
) -> None:
    damaged = bytearray(data)
    for position, change in changes:
        start = position % len(data)
        damaged[start : start + len(change)] = change
    data = bytes(damaged[:keep])
    mesh, expected = _try(parse_ply, data, "mesh.ply"), _try(of_trimesh, data)
    if mesh is not None and expected is not None:
        assert np.array_equal(mesh.vertices, expected.vertices, equal_nan=True)
        assert np.array_equal(mesh.faces, expected.faces)


def _try(read: Any, *arguments: object) -> Any:
    """What it reads; ours may fail with nothing but a DecodeError."""
    try:
        return read(*arguments)
    except DecodeError:
        return None
    except Exception:
        if read is parse_ply:
            raise
        return None


@given(st.binary(max_size=200), st.sampled_from([b"", b"ply\n", BINARY.encode(), ASCII.encode()]))
def test_no_bytes_raise_anything_else(data: bytes, start: bytes) -> None:
    for end in (b"", b"end_header\n", TEXT.encode()):
        _try(parse_ply, start + data + end, "mesh.ply")


@pytest.mark.parametrize("encoding", ["binary", "ascii"])
@pytest.mark.parametrize("extra", ["none", "colours", "face colours", "normals", "uv"])
def test_what_trimesh_exports(encoding: str, extra: str) -> None:
    mesh = trimesh.Trimesh(VERTICES, FACES, process=False)
    visual: Any = mesh.visual
    if extra == "colours":
        visual.vertex_colors = np.arange(20, dtype=np.uint8).reshape(5, 4)
    elif extra == "face colours":
        visual.face_colors = np.arange(12, dtype=np.uint8).reshape(3, 4)
    elif extra == "normals":
        assert len(mesh.vertex_normals) == 5
    elif extra == "uv":
        add_texture(mesh, np.linspace(0, 1, 10).reshape(5, 2))
    data = exported_ply(mesh, encoding=encoding)
    read = parse_ply(data, "mesh.ply")
    assert_as_trimesh(read, data)
    assert read.is_ascii == (encoding == "ascii")
    assert read.is_bare == (extra in {"none", "colours"})


def test_polygons_become_triangles_in_the_order_of_trimesh() -> None:
    polygons = [[0, 1, 2, 3], [0, 1, 2, 3, 4], [4, 2, 1], [1, 2, 3, 4], [0, 2, 4], [4, 3, 2, 1, 0]]
    rows: list[list[float]] = [list(polygon) for polygon in polygons]
    face = Table("face", [Column("vertex_indices", "int", rows, "uchar")], len(rows))
    axes = [
        Column(axis, "double", [[float(v)] for v in VERTICES[:, i]]) for i, axis in enumerate("xyz")
    ]
    data = encoded("ascii", [Table("vertex", axes, 5), face])
    mesh = parse_ply(data, "mesh.ply")
    assert mesh.faces.shape == (2 + 2 * 2 + 2 * 3, 3)
    assert_as_trimesh(mesh, data)


def binary(header: str, body: bytes = b"") -> bytes:
    return f"{BINARY}{header}end_header\n".encode() + body


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no header that ends with a line end_header"),
        (b"ply\n" + b"comment\n" * 9000 + b"end_header\n", "no header"),
        (TEXT.encode().replace(b"end_header", b"end_header of mesh"), "no header that ends"),
        (b"PLY" + TEXT.encode()[3:], "no PLY file"),
        (b"ply\nend_header\n", "no PLY file"),
        (b"ply\n\xff\nend_header\n", "codec"),
        (TEXT.replace("ascii", "text").encode(), "no known format: 'format text 1.0'"),
        (TEXT.replace("ascii 1.0", "ascii 2.0").encode(), "no known format"),
        (TEXT.replace(POINTS, f"{POINTS}\n").encode(), "not a header line: ''"),
        (TEXT.replace(POINTS, f"{POINTS}comment end_header\n").encode(), "no PLY file|no header"),
        (TEXT.replace("face 1", "face -1").encode(), "not an element: 'element face -1'"),
        (TEXT.replace("face 1", "face 9" + "9" * 12).encode(), "not an element"),
        (TEXT.replace("element face", "element vertex").encode(), "two elements have one name"),
        (TEXT.replace("float y", "float x").encode(), "two properties of one name"),
        (TEXT.replace("float y", "real y").encode(), "not a property: 'property real y'"),
        (TEXT.replace("uchar int", "float int").encode(), "not a property"),
        (TEXT.replace("float y", "float v").encode(), "no x, y and z"),
        (TEXT.replace("element vertex", "element point").encode(), "no element vertex"),
        (TEXT.replace("vertex_indices", "corners").encode(), "one list of integers"),
        (TEXT.replace("uchar int", "uchar float").encode(), "one list of integers"),
        (TEXT.replace("1 2\n", "1 z\n").encode(), "more than numbers"),
        (TEXT.replace("1 2\n", "1 .\n").encode(), "element face: could not convert"),
        (TEXT.replace("1 2\n", "1\n").encode(), "element face: a line has 3 numbers, not 4"),
        (TEXT.replace("1 2\n", "1 2.5\n").encode(), "no integer of its type"),
        (TEXT.replace("1 2\n", "1 3e9\n").encode(), "no integer of its type"),
        (TEXT.replace("1 2\n", "1 nan\n").encode(), "no integer of its type"),
        (TEXT.replace("3 0 1 2\n", "2 0 1\n").encode(), "a face has 2 corners"),
        (TEXT.replace("3 0 1 2\n", "-1\n").encode(), "a list of -1.0 numbers"),
        (TEXT.replace("3 0 1 2\n", "").encode(), "promises 4 lines of data and has 3"),
        (f"{TEXT}1\n".encode(), "promises 4 lines of data and has 5"),
        (TEXT.replace("vertex 3", "vertex 999999999999").encode(), "promises 1000000000000 lines"),
        (binary(POINTS, bytes(35)), "3 rows of element vertex need 36 bytes, 35 are there"),
        (binary(POINTS, bytes(37)), "1 bytes stand after its last element"),
        (binary(POINTS.replace("3", "999999999999", 1), bytes(36)), "need 11999999999988 bytes"),
        (binary(POINTS + CORNERS, bytes(36)), "ends before the first row of element face"),
        (binary(POINTS + CORNERS, bytes(36) + b"\x02" + bytes(8)), "its faces have 2 corners"),
        (
            binary(POINTS + CORNERS.replace("uchar", "char"), bytes(36) + b"\xff"),
            "lists -1 numbers",
        ),
        (
            binary(POINTS + CORNERS.replace("uchar", "uint"), bytes(36) + b"\xff" * 4),
            "lists 4294967295 numbers",
        ),
        (
            binary(
                POINTS + CORNERS.replace("1", "2"), bytes(36) + b"\x03" + bytes(12) + b"\4" * 13
            ),
            "row 1 of element face lists 4 numbers, the first 3",
        ),
    ],
)
def test_what_is_wrong_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        parse_ply(data, "mesh.ply")


def test_meshes_without_vertices_or_faces_are_read() -> None:
    for vertices, faces in ((VERTICES[:0], FACES[:0]), (VERTICES, FACES[:0])):
        mesh = parse_ply(ply_bytes(vertices, faces), "mesh.ply")
        assert mesh.vertices.shape == vertices.shape
        assert mesh.faces.shape == (0, 3)
    assert parse_ply(binary(POINTS, bytes(36)), "mesh.ply").faces.shape == (0, 3)
    text = TEXT.replace("face 1", "face 0").replace("3 0 1 2\n", "")
    assert parse_ply(text.encode(), "mesh.ply").faces.shape == (0, 3)


def test_the_only_list_of_binary_faces_may_have_any_name() -> None:
    data = ply_bytes(VERTICES, FACES).replace(b"vertex_indices", b"corners")
    mesh = parse_ply(data, "mesh.ply")
    assert mesh.is_bare
    assert_as_trimesh(mesh, data)


def test_indices_are_left_as_they_are() -> None:
    data = ply_bytes(VERTICES, FACES - 1) + b""
    assert parse_ply(data, "mesh.ply").faces.min() == -1
