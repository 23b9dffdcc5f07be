"""Meshes keep every vertex and face in its place; broken ones end in one error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.errors import DecodeError
from nersemble_async.formats.mesh.mesh_file import read_mesh, write_mesh
from tests.support.official import run_official

# The first and fourth vertex are the same, no face refers to the last, the last face is no area.
VERTICES = np.array([[0, 0, 0], [1, 0, 0.1], [0, 1, 0], [0, 0, 0], [1 / 3, -2, 5]], np.float32)
FACES = np.array([[0, 1, 2], [3, 2, 1], [0, 3, 0]], np.int64)

OF_OFFICIAL = """
import trimesh
mesh = trimesh.load(argument, process=False)
result = [mesh.vertices.tolist(), mesh.faces.tolist()]
"""


def _assert_mesh(mesh: trimesh.Trimesh, vertices: npt.NDArray[np.floating]) -> None:
    assert mesh.vertices.dtype == np.float64
    assert mesh.faces.dtype == np.int64
    assert np.array_equal(mesh.vertices, vertices)
    assert np.array_equal(mesh.faces, FACES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("face_dtype", [np.int32, np.int64, np.uint32])
def test_round_trip_is_exact(tmp_path: Path, dtype: type, face_dtype: type) -> None:
    path = tmp_path / "mesh.ply"
    vertices: npt.NDArray[np.floating] = (VERTICES.astype(np.float64) / 3).astype(dtype)
    write_mesh(path, vertices, FACES.astype(face_dtype))
    _assert_mesh(read_mesh(path), vertices)
    _assert_mesh(trimesh.load_mesh(path, process=False), vertices)


def test_the_official_environment_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mesh.ply"
    write_mesh(path, VERTICES, FACES)
    assert run_official(OF_OFFICIAL, str(path)) == [VERTICES.tolist(), FACES.tolist()]


def test_what_trimesh_writes(tmp_path: Path) -> None:
    mesh = trimesh.Trimesh(VERTICES, FACES, process=False)
    for encoding in ("binary", "ascii"):
        path = tmp_path / f"{encoding}.ply"
        mesh.export(path, encoding=encoding)
        read = read_mesh(path)
        assert np.allclose(read.vertices, VERTICES, atol=1e-7)  # as text it is rounded
        assert np.array_equal(read.faces, FACES)


def test_an_unwrapped_obj_keeps_its_topology(tmp_path: Path) -> None:
    path = tmp_path / "mesh.OBJ"
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in VERTICES.tolist()]
    lines += ["# seams, two materials, a normal", "vt 0 0", "vt 1 0", "vt 1 1", "vn 0 0 1"]
    lines += [
        "usemtl skin",
        "f 1/1 2/2/1 3/3",
        "usemtl hair",
        "f 4/2 \\",
        " 3//1 2/3",
        "usemtl skin",
    ]
    path.write_text("\r\n".join([*lines, "f -5 -2 -5", ""]).replace("\\\r", "\\"))
    _assert_mesh(read_mesh(path), VERTICES)


def test_polygons_become_triangles(tmp_path: Path) -> None:
    path = tmp_path / "quad.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 .5 0\nf 1 2 3 4 5\n")
    assert read_mesh(path).faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("v 0 0\nf 1 1 1\n", "line 1 is no vertex"),
        ("v 0 0 zero\n", "line 1 is no vertex"),
        ("v 0 0 0\nf 1 1\n", "line 2 is no vertex or face"),
        ("v 0 0 0\nf 1 1 a\n", "line 2 is no vertex or face"),
        ("v 0 0 0\nf 1 1 0\n", "face 0 refers to"),
        ("v 0 0 0\nf 1 1 -2\n", "face 0 refers to"),
        ("v 0 0 0\nf 1 1 1\nf 1 1 2\n", r"face 1 refers to \[0, 0, 1\], there are 1 vertices"),
        ("v 0 0 nan\n", "vertex 0 is not finite"),
        ("", "at least one vertex"),
    ],
)
def test_broken_objs(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "broken.obj"
    path.write_text(text)
    with pytest.raises(DecodeError, match=reason):
        read_mesh(path)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mesh") / "damaged.ply"


@given(
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 255)), max_size=3),
    keep=st.integers(0, 400),
)
def test_damaged_plys_are_an_error_or_a_valid_mesh(
    damaged: Path, flips: list[tuple[int, int]], keep: int
) -> None:
    write_mesh(damaged, VERTICES, FACES)
    data = bytearray(damaged.read_bytes())
    for position, change in flips:
        data[position % len(data)] ^= change
    damaged.write_bytes(data[:keep])
    mesh = _try_to_read(damaged)
    if mesh is not None:
        assert np.isfinite(mesh.vertices).all()
        assert len(mesh.faces) == 0 or mesh.faces.max() < len(mesh.vertices)


def _try_to_read(path: Path) -> trimesh.Trimesh | None:
    try:
        return read_mesh(path)
    except DecodeError:
        return None


def test_a_truncated_ply_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mesh.ply"
    write_mesh(path, VERTICES, FACES)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DecodeError, match=r"mesh\.ply: the mesh does not parse"):
        read_mesh(path)


@pytest.mark.parametrize(
    ("vertices", "faces", "reason"),
    [
        (VERTICES[:, :2], FACES, r"vertices are \(N, 3\)"),
        (VERTICES, FACES.ravel(), r"faces are \(N, 3\)"),
        (VERTICES, FACES.astype(np.float32), "faces are integers"),
        (VERTICES[:0], FACES[:0], "at least one vertex"),
        (VERTICES[:3], FACES, r"face 1 refers to \[3, 2, 1\], there are 3"),
        (VERTICES, -FACES, "face 0 refers to"),
        (np.where(VERTICES == 5, np.inf, VERTICES), FACES, "vertex 4 is not finite"),
    ],
)
def test_what_is_no_mesh_is_not_written(
    tmp_path: Path, vertices: npt.NDArray[np.float32], faces: npt.NDArray[np.int64], reason: str
) -> None:
    path = tmp_path / "no.ply"
    with pytest.raises(ValueError, match=reason):
        write_mesh(path, vertices, faces)
    assert not path.exists()


def test_other_formats(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a mesh is a \.ply or \.obj file"):
        read_mesh(tmp_path / "mesh.stl")
    with pytest.raises(FileNotFoundError):
        read_mesh(tmp_path / "mesh.ply")
