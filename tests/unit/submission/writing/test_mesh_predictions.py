"""Meshes that writers take, byte for byte, and those that they refuse with an advice."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.errors import InvalidPredictionError
from nersemble_async.submission.writing.mesh_predictions import mesh_files
from tests.support.ply_files import of_trimesh, sphere_mesh

VERTICES, FACES = sphere_mesh()
SMALL, SMALL_FACES = sphere_mesh(400)


def changed(array: npt.NDArray[Any], at: Any, value: Any) -> npt.NDArray[Any]:
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("face_dtype", [np.int16, np.uint16, np.int32, np.int64, np.uint64])
def test_a_mesh_is_written_to_the_bit(dtype: Any, face_dtype: Any) -> None:
    vertices = SMALL.astype(dtype)
    files = mesh_files((vertices, SMALL_FACES.astype(face_dtype)), SMALL[:7])
    read = of_trimesh(files.ply)
    assert np.array_equal(read.vertices, vertices)
    assert np.array_equal(read.faces, SMALL_FACES)


def test_all_ways_to_give_a_mesh_are_the_same() -> None:
    expected = mesh_files((VERTICES, FACES))
    assert expected.landmarks is None
    assert mesh_files([VERTICES, FACES]) == expected
    assert mesh_files(trimesh.Trimesh(VERTICES, FACES, process=False)) == expected
    assert mesh_files(SimpleNamespace(vertices=VERTICES, faces=FACES)) == expected
    assert mesh_files((np.asfortranarray(VERTICES), FACES[::-1][::-1])) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_landmarks_are_written_as_they_are(dtype: type) -> None:
    landmarks: npt.NDArray[np.floating] = SMALL[10:17].astype(dtype)
    data = mesh_files((SMALL, SMALL_FACES), landmarks).landmarks
    assert data is not None
    read = np.load(io.BytesIO(data))
    assert read.dtype == dtype
    assert np.array_equal(read, landmarks)


def test_flame_meshes_may_have_landmarks_and_then_equal_vertices() -> None:
    vertices = changed(VERTICES, 7, VERTICES[8])
    assert mesh_files((vertices, FACES), VERTICES[:7]).landmarks is not None


class Tensor:
    """As far as it matters, one of torch."""

    def detach(self) -> Tensor:
        return self


_WITH_SEAM = (np.vstack([VERTICES, VERTICES[:1]]), np.vstack([FACES, [[5023, 0, 1]]]))


@pytest.mark.parametrize(
    ("mesh", "landmarks", "reason"),
    [
        ("mesh.ply", None, r"pair \(vertices, faces\) of arrays, not str"),
        ((VERTICES,), None, "pair .* not tuple"),
        (None, None, "pair .* not NoneType"),
        ((Tensor(), FACES), None, r"vertices are a torch tensor: call \.detach\(\)\.cpu"),
        ((VERTICES, Tensor()), None, "faces are a torch tensor"),
        ((VERTICES.tolist(), FACES), None, r"vertices are a NumPy array, not list: .*asarray"),
        ((VERTICES[:, :2], FACES), None, r"vertices are \(V, 3\), not \(5023, 2\)"),
        ((VERTICES.astype(int), FACES), None, "float64, not int64: convert with astype"),
        ((VERTICES.astype(np.longdouble), FACES), None, "float64, not (longdouble|float128)"),
        ((VERTICES, FACES[:, [0, 1, 2, 0]]), None, r"\(9?.*, 4\): split larger polygons"),
        ((VERTICES, FACES.astype(float)), None, "faces are integers, not float64"),
        ((VERTICES, FACES > 1), None, "faces are integers, not bool"),
        ((VERTICES[:0], FACES), None, "it has no vertices"),
        ((VERTICES, FACES[:0]), None, "it has no faces"),
        (
            (changed(VERTICES, (5, 1), np.nan), FACES),
            None,
            r"vertex 5 is \[.*nan.*\]: 1 of 5023 vertices are NaN",
        ),
        ((changed(VERTICES, (5, 1), -np.inf), FACES), None, "vertex 5 is .*-inf"),
        (
            (VERTICES, changed(FACES, (3, 1), 5023)),
            None,
            r"face 3 refers to vertices \[3, 5023, 1\], there are 5023",
        ),
        ((VERTICES, changed(FACES, (3, 1), -1)), None, r"face 3 refers to vertices \[3, -1, 1\]"),
        ((SMALL, SMALL_FACES), None, "it has 400 vertices, not FLAME's 5023: give now_landmarks"),
        ((changed(VERTICES, 7, VERTICES[8]), FACES), None, "would see 5022 vertices instead of"),
        ((VERTICES, changed(FACES, FACES == 9, 10)), None, "would see 5022 vertices instead of"),
        (_WITH_SEAM, SMALL[:7], "5024 vertices, of which the official reader keeps 5023"),
        ((VERTICES, FACES), Tensor(), "landmarks are a torch tensor"),
        ((VERTICES, FACES), SMALL[:7].tolist(), "landmarks are a NumPy array, not list"),
        ((VERTICES, FACES), SMALL[:6], r"NoW landmarks are \(7, 3\), not \(6, 3\)"),
        ((VERTICES, FACES), SMALL[:7].astype(int), "landmarks are float16.*, not int64"),
        ((VERTICES, FACES), SMALL[:7].astype(object), "landmarks are float16.*, not object"),
        ((VERTICES, FACES), changed(SMALL[:7], (2, 0), np.nan), "landmarks are NaN or infinite"),
        ((SMALL, SMALL_FACES), SMALL[:7] * 1000, "landmark . .* is .* from the nearest vertex"),
        ((SMALL, SMALL_FACES), SMALL[:7] / 1000, "landmark . .* is .* from the nearest vertex"),
        (
            (SMALL, SMALL_FACES),
            changed(SMALL[:7], 3, SMALL[3] * 2),
            "landmark 3 .*at most 0.1.*: give landmarks in the mesh's unit and coordinates",
        ),
    ],
)
def test_what_cannot_be_submitted_is_said_with_what_to_do(
    mesh: object, landmarks: object, reason: str
) -> None:
    with pytest.raises(InvalidPredictionError, match="posed mesh of 017: .*" + reason):
        mesh_files(mesh, landmarks, name="posed mesh of 017")


@given(
    moves=st.lists(
        st.tuples(
            st.integers(0, 5022), st.integers(0, 5022), st.sampled_from([0.0, 1e-9, 9e-9, 2e-8])
        ),
        max_size=4,
    ),
    unused=st.lists(st.integers(0, 5022), max_size=1),
    is_single=st.booleans(),
)
def test_a_mesh_is_taken_exactly_if_trimesh_reads_it_back_as_it_was(
    moves: list[tuple[int, int, float]], unused: list[int], is_single: bool
) -> None:
    vertices: npt.NDArray[np.floating] = VERTICES.copy()
    faces = FACES.copy()
    for to, source, offset in moves:
        vertices[to] = vertices[source] + offset
    for vertex in unused:
        faces[faces == vertex] = (vertex + 1) % 5023
    if is_single:
        vertices = vertices.astype(np.float32)
    seen = trimesh.Trimesh(vertices.astype(np.float64), faces)
    is_kept = len(seen.vertices) == 5023
    try:
        files = mesh_files((vertices, faces))
    except InvalidPredictionError:
        assert not is_kept
        return
    assert is_kept
    merging = trimesh.Trimesh(**trimesh.exchange.ply.load_ply(io.BytesIO(files.ply)))
    assert np.array_equal(merging.vertices, vertices)
    assert np.array_equal(merging.faces, faces)
