"""How many vertices trimesh leaves: the quick count against trimesh itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.errors import DecodeError
from nersemble_async.formats.mesh.merged_vertices import (
    MergedCounts,
    n_merged_vertices,
    trimesh_counts,
)
from nersemble_async.formats.mesh.ply import ply_bytes
from tests.support.ply_files import sphere_mesh

# What trimesh says of coordinates that are too large for its integers.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

# Around the borders of its units of 1e-8, and numbers that overflow them.
NEAR = st.integers(-5, 5).map(lambda n: n * 0.25e-8)
COORDINATES = st.one_of(
    NEAR,
    st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2**-52, 3e6, 9e10, 1e11, -1e11, 1e300, -1e300]),
    st.floats(-1e12, 1e12),
)


def of_trimesh(vertices: npt.NDArray[np.floating], faces: npt.NDArray[np.integer]) -> int:
    return len(trimesh.Trimesh(vertices, faces).vertices)


@given(
    points=st.lists(st.tuples(COORDINATES, COORDINATES, COORDINATES), min_size=1, max_size=12),
    corners=st.lists(st.tuples(*[st.integers(0, 11)] * 3), max_size=12),
    dtype=st.sampled_from([np.float32, np.float64]),
    face_dtype=st.sampled_from([np.int32, np.int64, np.uint64]),
)
def test_the_count_is_that_of_trimesh(
    points: list[tuple[float, float, float]],
    corners: list[tuple[int, ...]],
    dtype: type,
    face_dtype: type,
) -> None:
    with np.errstate(over="ignore"):
        vertices: npt.NDArray[np.floating] = np.array(points, np.float64).clip(-3e38, 3e38)
        vertices = vertices.astype(dtype)
    faces: npt.NDArray[np.integer] = (
        np.array(corners, np.int64).reshape(-1, 3) % len(points)
    ).astype(face_dtype)
    assert n_merged_vertices(vertices, faces) == of_trimesh(vertices, faces)


@given(
    copies=st.lists(st.tuples(st.integers(0, 5022), st.integers(0, 5022)), max_size=20),
    unused=st.lists(st.integers(0, 5022), max_size=5),
    change=st.sampled_from([0.0, 2e-9, 1.1e-8]),
)
def test_a_mesh_of_the_size_of_flame(
    copies: list[tuple[int, int]], unused: list[int], change: float
) -> None:
    vertices, faces = sphere_mesh()
    for to, source in copies:
        vertices[to] = vertices[source] + change
    for vertex in unused:
        faces[faces == vertex] = (vertex + 1) % 5023
    assert n_merged_vertices(vertices, faces) == of_trimesh(vertices, faces)


def test_many_equal_vertices_in_a_large_mesh() -> None:
    vertices = np.random.default_rng(0).integers(0, 40, (100_000, 3)) * 0.001
    faces = np.arange(99_999).reshape(-1, 3)
    assert n_merged_vertices(vertices, faces) == len(np.unique(vertices[:-1], axis=0))


def test_trimesh_itself_can_be_asked() -> None:
    vertices, faces = sphere_mesh(20)
    vertices[3] = vertices[4]
    assert trimesh_counts(ply_bytes(vertices, faces)) == MergedCounts(19, 20)
    vertices[5] = np.nan
    assert trimesh_counts(ply_bytes(vertices, faces)) == MergedCounts(18, 17)
    with pytest.raises(DecodeError, match="trimesh cannot read it: index 20 is out of bounds"):
        trimesh_counts(ply_bytes(vertices, faces + 1))
    with pytest.raises(DecodeError, match="Not a ply file"):
        trimesh_counts(b"no mesh")
