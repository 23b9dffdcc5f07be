"""What can be wrong with a mesh of a submission and the landmarks beside it, by their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nersemble_async.errors import DecodeError
from nersemble_async.formats.mesh.landmarks import parse_landmarks
from nersemble_async.formats.mesh.merged_vertices import (
    MergedCounts,
    n_merged_vertices,
    trimesh_counts,
)
from nersemble_async.formats.mesh.ply import PlyMesh, parse_ply
from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import breach
from nersemble_async.submission.validation.mesh_findings import MeshFindings
from nersemble_async.submission.validation.mesh_measures import (
    FLAME_VERTICES,
    LANDMARKS_SHAPE,
    MOST_LANDMARK_DISTANCE,
    Columns,
    coordinate_columns,
    diagonal,
    farthest_landmark,
)

_DIGEST_POINTS = 64
_MOST_REFUSED_BYTES = 4 << 20
"""A mesh that we refuse is shown to trimesh, for its verdict, only up to this size."""
_METRES = (0.1, 1.2)
"""Diagonal of the bounding box: FLAME's head with its neck has 0.45 m, the front of a face 0.2 m,
a head with shoulders 0.8 m. The same in millimetres; what lies between would be centimetres."""
_MM_PER_M = 1000

Official = tuple[str, object] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A mesh that could be read."""

    entry: ExpectedEntry
    mesh: PlyMesh
    columns: Columns | None
    """None: it has no vertex, or one that is not finite."""


def check_mesh_entry(entry: ExpectedEntry, data: bytes, landmarks: bytes | None) -> MeshFindings:
    """Check a mesh with its landmarks (None: there are none); never raises on what they hold.

    ``official`` of the issues is what the official validator lists for the two: where it would
    fail instead, there is none.
    """
    try:
        mesh = parse_ply(data, entry.path)
    except DecodeError as error:
        return MeshFindings(entry, tuple(_of_unreadable(entry, data, landmarks, error)), None, None)
    columns = coordinate_columns(mesh.vertices) if len(mesh.vertices) else None
    if columns is not None and not _is_finite(columns):
        columns = None
    look = _Look(entry, mesh, columns)
    seen, failure = _seen(look, data)
    issues = list(_of_mesh(look, seen))
    if failure is not None and not issues:
        issues.append(
            breach(
                "unreadable-mesh",
                entry.path,
                failure,
                "what trimesh reads, with which the official reader loads meshes",
                fix="write vertices and triangles only, as a binary PLY",
            )
        )
    if mesh.is_ascii:
        issues.append(breach("ascii-mesh", entry.path, "ASCII PLY", "binary PLY"))
    issues += _of_size(look)
    issues += _of_topology(entry, len(mesh.vertices), seen, has_landmarks=landmarks is not None)
    issues += _of_landmarks(entry, landmarks, seen, columns)
    digest = None
    if columns is not None:
        step = -(-columns.shape[1] // _DIGEST_POINTS)
        digest = columns[:, ::step].T.astype(np.float32)
    return MeshFindings(entry, tuple(issues), len(mesh.vertices), digest)


def _is_finite(columns: Columns) -> bool:
    return bool(np.isfinite(columns.max()) and np.isfinite(columns.min()))


def _of_unreadable(
    entry: ExpectedEntry, data: bytes, landmarks: bytes | None, error: DecodeError
) -> Iterator[SubmissionIssue]:
    seen = _ask_trimesh(data)[0] if len(data) <= _MOST_REFUSED_BYTES else None
    official = (f"empty_{entry.subtask}_meshes", entry.path) if _lists_empty(seen) else None
    yield breach(
        "unreadable-mesh", entry.path, error.reason, "a binary PLY of triangles", official=official
    )
    if seen is not None and seen.n_vertices != FLAME_VERTICES and landmarks is None:
        yield from _of_topology(entry, seen.n_vertices, seen, has_landmarks=False)
    yield from _of_landmarks(entry, landmarks, seen, None)


def _of_mesh(look: _Look, seen: MergedCounts | None) -> Iterator[SubmissionIssue]:
    path, vertices, faces = look.entry.path, look.mesh.vertices, look.mesh.faces
    is_listed = _lists_empty(seen)
    if is_listed or len(vertices) == 0 or len(faces) == 0:
        counts = seen if seen is not None and is_listed else MergedCounts(len(vertices), len(faces))
        yield breach(
            "empty-mesh",
            path,
            f"{counts.n_vertices} vertices, {counts.n_faces} faces",
            "at least one of each",
            official=(f"empty_{look.entry.subtask}_meshes", path) if is_listed else None,
        )
    if len(vertices) and look.columns is None:
        is_finite = np.isfinite(vertices).all(axis=1)
        first = int(np.argmin(is_finite))
        yield breach(
            "not-finite-mesh",
            path,
            f"{np.count_nonzero(~is_finite)} of {len(vertices)} vertices, first vertex {first}: "
            f"{vertices[first].tolist()}",
            "finite vertices",
        )
    if len(faces) and not _indices_are_known(look.mesh):
        is_known = ((faces >= 0) & (faces < len(vertices))).all(axis=1)
        first = int(np.argmin(is_known))
        yield breach(
            "wrong-face-index",
            path,
            f"{np.count_nonzero(~is_known)} of {len(faces)} faces, first face {first}: "
            f"{faces[first].tolist()}",
            f"indices from 0 to {len(vertices) - 1}",
        )


def _indices_are_known(mesh: PlyMesh) -> bool:
    return bool(mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices))


def _seen(look: _Look, data: bytes) -> tuple[MergedCounts | None, str | None]:
    """What the official reader sees of it; None and why where it fails."""
    mesh, columns = look.mesh, look.columns
    if mesh.is_bare and columns is not None and len(mesh.faces) and _indices_are_known(mesh):
        return MergedCounts(n_merged_vertices(columns.T, mesh.faces), len(mesh.faces)), None
    return _ask_trimesh(data)


def _ask_trimesh(data: bytes) -> tuple[MergedCounts | None, str | None]:
    try:
        return trimesh_counts(data), None
    except DecodeError as error:
        return None, error.reason
    except ImportError:  # where the official reader runs, it may be there: not known
        return None, None


def _lists_empty(seen: MergedCounts | None) -> bool:
    return seen is not None and (seen.n_vertices == 0 or seen.n_faces == 0)


def _of_size(look: _Look) -> Iterator[SubmissionIssue]:
    if look.columns is None or len(look.mesh.faces) == 0:
        return
    size = diagonal(look.columns)
    low, high = _METRES
    if low <= size <= high or low <= size / _MM_PER_M <= high:
        return
    hint = " (centimetres?)" if high < size < low * _MM_PER_M else ""
    yield breach(
        "unusual-scale",
        look.entry.path,
        f"the bounding box has a diagonal of {size:.3g}{hint}",
        f"{low} to {high} for a head in metres, {low * _MM_PER_M:g} to {high * _MM_PER_M:g} in "
        "millimetres",
    )


def _of_topology(
    entry: ExpectedEntry, n_vertices: int, seen: MergedCounts | None, *, has_landmarks: bool
) -> Iterator[SubmissionIssue]:
    """Landmarks that are missing, and meshes that are taken for FLAME's or no longer are."""
    n_seen = n_vertices if seen is None else seen.n_vertices
    official: Official = None
    if seen is not None and n_seen != FLAME_VERTICES and not has_landmarks:
        official = (f"missing_{entry.subtask}_landmarks", entry.landmarks)
    is_flame, seems_flame = n_vertices == FLAME_VERTICES, n_seen == FLAME_VERTICES
    if is_flame != seems_flame and not (is_flame and has_landmarks):
        yield breach(
            "merged-vertices",
            entry.path,
            f"{n_vertices} vertices, of which readers that merge equal ones and drop unused ones "
            f"(the official one does) see {n_seen}",
            f"{FLAME_VERTICES} for both, or for none of the two",
            fix=None if is_flame else "write FLAME's own vertices, in its order",
            official=official,
        )
    elif not is_flame and not has_landmarks:
        path = entry.landmarks
        yield breach(
            "missing-landmarks",
            path,
            f"no landmarks for a mesh of {n_vertices} vertices",
            f"seven landmarks, or FLAME's {FLAME_VERTICES} vertices",
            official=official,
        )


def _of_landmarks(
    entry: ExpectedEntry,
    data: bytes | None,
    seen: MergedCounts | None,
    columns: Columns | None,
) -> Iterator[SubmissionIssue]:
    if data is None:
        return
    path = entry.landmarks
    expected = "float (7, 3), finite"
    try:
        landmarks = parse_landmarks(data, path)
    except DecodeError as error:
        yield breach("wrong-landmarks", path, error.reason, expected)
        return
    if landmarks.shape != LANDMARKS_SHAPE:
        official: Official = None
        if seen is not None and seen.n_vertices != FLAME_VERTICES:
            official = (f"wrong_{entry.subtask}_landmarks", (path, landmarks.shape))
        found = f"{landmarks.dtype} {landmarks.shape}"
        yield breach("wrong-landmarks", path, found, expected, official=official)
    elif landmarks.dtype.kind != "f":
        yield breach("wrong-landmarks", path, f"{landmarks.dtype} {landmarks.shape}", expected)
    elif not np.isfinite(landmarks).all():
        found = f"NaN or infinite: {landmarks.tolist()}"
        yield breach("wrong-landmarks", path, found, expected)
    elif columns is not None:
        number, distance = farthest_landmark(columns, landmarks)
        if distance > MOST_LANDMARK_DISTANCE:
            yield breach(
                "far-landmarks",
                path,
                f"landmark {number} is {distance:.2g} diagonals of the mesh from any vertex",
                f"at most {MOST_LANDMARK_DISTANCE}",
            )
