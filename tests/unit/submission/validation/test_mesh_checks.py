"""Every rule about meshes, by a file that breaks it; what the official validator would list."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.formats.mesh.landmarks import landmarks_bytes
from nersemble_async.formats.mesh.ply import ply_bytes
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.validation.mesh_checks import check_mesh_entry
from nersemble_async.submission.validation.mesh_findings import MeshFindings
from nersemble_async.submission.writing.mesh_predictions import mesh_files
from tests.support.ply_files import add_texture, exported_ply, sphere_mesh

ENTRY = next(
    entry for path, entry in expected_entries("svfr").items() if path.endswith("mesh_posed.ply")
)
LANDMARKS = ENTRY.path.replace("mesh_posed.ply", "landmarks_posed.npy")
VERTICES, FACES = sphere_mesh()
SMALL, SMALL_FACES = sphere_mesh(400)
POINTS = landmarks_bytes(SMALL[:7])
EMPTY = ("empty_posed_meshes", ENTRY.path)
MISSING = ("missing_posed_landmarks", LANDMARKS)


def wrong(*shape: int) -> tuple[str, object]:
    return ("wrong_posed_landmarks", (LANDMARKS, shape))


def changed(array: npt.NDArray[Any], at: Any, value: Any) -> npt.NDArray[Any]:
    array = array.copy()
    array[at] = value
    return array


def found(data: bytes, landmarks: bytes | None = None) -> list[tuple[str, object]]:
    """Each issue's rule and what the official validator lists for it."""
    issues = check_mesh_entry(ENTRY, data, landmarks).issues
    assert all(issue.entry in {ENTRY.path, LANDMARKS} for issue in issues)
    assert all(issue.found and issue.expected and issue.fix for issue in issues)
    return [(issue.rule, issue.official) for issue in issues]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_the_writer_writes_has_no_issue(dtype: type) -> None:
    flame = mesh_files((VERTICES.astype(dtype), FACES))
    assert found(flame.ply) == []
    other = mesh_files((SMALL.astype(dtype) * 1000, SMALL_FACES), SMALL[:7] * 1000)
    assert found(other.ply, other.landmarks) == []


def with_normals(vertices: npt.NDArray[np.float64]) -> bytes:
    mesh = trimesh.Trimesh(vertices, FACES, process=False)
    return exported_ply(mesh, vertex_normal=True)


def with_texture() -> bytes:
    mesh = trimesh.Trimesh(VERTICES, FACES, process=False)
    uv = np.random.default_rng(0).random((5023, 2))
    add_texture(mesh, uv)
    return exported_ply(mesh)


def ascii_mesh() -> bytes:
    return exported_ply(trimesh.Trimesh(VERTICES, FACES, process=False), encoding="ascii")


def test_normals_and_texture_are_no_issue() -> None:
    assert found(with_normals(VERTICES)) == []
    assert found(with_texture()) == []


def test_equal_vertices_with_other_normals_stay_two_for_the_official_reader() -> None:
    twins = changed(VERTICES, 7, VERTICES[9])
    assert found(with_normals(twins)) == []
    assert found(ply_bytes(twins, FACES)) == [("merged-vertices", MISSING)]


COMMENT_FIRST = ply_bytes(SMALL, SMALL_FACES).replace(b"ply\n", b"ply\ncomment a\n", 1)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [("unreadable-mesh", None)]),
        (b"no mesh", [("unreadable-mesh", None)]),
        (ply_bytes(VERTICES, FACES)[:-1], [("unreadable-mesh", None)]),
        # Refused by us, although trimesh takes it: then its findings count, too.
        (COMMENT_FIRST, [("unreadable-mesh", None), ("missing-landmarks", MISSING)]),
        (
            b"ply\nformat ascii 1.0\nelement thing 0\nproperty int a\nend_header\n",
            [("unreadable-mesh", EMPTY), ("missing-landmarks", MISSING)],
        ),
        (
            ply_bytes(VERTICES[:0], FACES[:0]),
            [("empty-mesh", EMPTY), ("missing-landmarks", MISSING)],
        ),
        (ply_bytes(VERTICES, FACES[:0]), [("empty-mesh", EMPTY)]),
        (
            ply_bytes(changed(VERTICES, (5, 0), np.nan), FACES),
            [("not-finite-mesh", None), ("merged-vertices", MISSING)],
        ),
        (
            ply_bytes(np.full((5023, 3), np.inf), FACES),
            [
                ("empty-mesh", EMPTY),
                ("not-finite-mesh", None),
                ("merged-vertices", MISSING),
            ],
        ),
        (ply_bytes(VERTICES, changed(FACES, (3, 1), 5023)), [("wrong-face-index", None)]),
        (ply_bytes(VERTICES, changed(FACES, (3, 1), -1)), [("wrong-face-index", None)]),
        (ply_bytes(VERTICES, changed(FACES, (3, 1), -6000)), [("wrong-face-index", None)]),
        (ascii_mesh(), [("ascii-mesh", None)]),
        (ply_bytes(SMALL, SMALL_FACES), [("missing-landmarks", MISSING)]),
        (ply_bytes(changed(VERTICES, 7, VERTICES[8]), FACES), [("merged-vertices", MISSING)]),
        (ply_bytes(VERTICES, changed(FACES, FACES == 9, 10)), [("merged-vertices", MISSING)]),
        (
            ply_bytes(np.vstack([VERTICES, VERTICES[:1]]), np.vstack([FACES, [[5023, 0, 1]]])),
            [("merged-vertices", None)],
        ),
        (ply_bytes(VERTICES * 10, FACES), [("unusual-scale", None)]),
        (ply_bytes(VERTICES * 100, FACES), [("unusual-scale", None)]),
        (ply_bytes(VERTICES * 1e5, FACES), [("unusual-scale", None)]),
        (ply_bytes(VERTICES / 10, FACES), [("unusual-scale", None)]),
    ],
)
def test_a_broken_mesh(data: bytes, expected: list[tuple[str, object]]) -> None:
    assert found(data) == expected


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 500.0, 1000.0, 2000.0])
def test_heads_and_faces_in_metres_and_millimetres_are_usual(scale: float) -> None:
    assert found(ply_bytes(VERTICES * scale, FACES)) == []


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, SMALL[:7].astype(object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("landmarks", "rule", "official"),
    [
        (b"", "wrong-landmarks", None),
        (POINTS[:-1], "wrong-landmarks", None),
        (pickled(), "wrong-landmarks", None),
        (landmarks_bytes(SMALL[:6]), "wrong-landmarks", wrong(6, 3)),
        (landmarks_bytes(SMALL[:7].ravel()), "wrong-landmarks", wrong(21)),
        (landmarks_bytes(SMALL[:7].astype(int)), "wrong-landmarks", None),
        (landmarks_bytes(SMALL[:7] + 0j), "wrong-landmarks", None),
        (landmarks_bytes(SMALL[:7].astype("U5")), "wrong-landmarks", None),
        (landmarks_bytes(changed(SMALL[:7], (3, 1), np.nan)), "wrong-landmarks", None),
        (landmarks_bytes(SMALL[:7] + 1), "far-landmarks", None),
        (landmarks_bytes(SMALL[:7] * 1000), "far-landmarks", None),
        (landmarks_bytes(SMALL[:7] / 1000), "far-landmarks", None),
        (landmarks_bytes(np.full((7, 3), 1e300)), "far-landmarks", None),
    ],
)
def test_broken_landmarks(landmarks: bytes, rule: str, official: object) -> None:
    assert found(ply_bytes(SMALL, SMALL_FACES), landmarks) == [(rule, official)]
    # Beside a mesh of FLAME's topology the official validator does not look at them.
    assert found(ply_bytes(VERTICES, FACES), landmarks) == [(rule, None)]


def test_landmarks_help_a_mesh_whose_vertices_merge() -> None:
    twins = ply_bytes(changed(VERTICES, 7, VERTICES[8]), FACES)
    assert found(twins, POINTS) == []
    assert found(twins, landmarks_bytes(SMALL[:6])) == [("wrong-landmarks", wrong(6, 3))]


def test_little_is_kept_of_a_mesh() -> None:
    findings = check_mesh_entry(ENTRY, ply_bytes(VERTICES, FACES), None)
    assert findings.n_vertices == 5023
    assert findings.digest is not None
    assert findings.digest.base is None
    assert findings.digest.nbytes <= 64 * 12
    assert np.array_equal(findings.digest, VERTICES[::79].astype(np.float32))


# trimesh's reading of numbers in text and its conversion of NaN to integers warn.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@given(
    data=st.sampled_from([ply_bytes(SMALL, SMALL_FACES), ascii_mesh()[:3000], with_texture()]),
    changes=st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=4)), max_size=4),
    keep=st.sampled_from([50, 300, 2000, 1 << 20]),
    landmarks=st.one_of(st.none(), st.binary(max_size=200), st.just(POINTS)),
)
def test_no_bytes_raise(
    data: bytes, changes: list[tuple[int, bytes]], keep: int, landmarks: bytes | None
) -> None:
    damaged = bytearray(data)
    for position, change in changes:
        start = position % len(damaged)
        damaged[start : start + len(change)] = change
    findings = check_mesh_entry(ENTRY, bytes(damaged[:keep]), landmarks)
    assert isinstance(findings, MeshFindings)
