"""Meshes as the writers take them: checked, and turned into the bytes of a submission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import InvalidPredictionError
from nersemble_async.formats.mesh.landmarks import landmarks_bytes
from nersemble_async.formats.mesh.merged_vertices import n_merged_vertices
from nersemble_async.formats.mesh.ply import ply_bytes
from nersemble_async.submission.validation.mesh_measures import (
    FLAME_VERTICES,
    LANDMARKS_SHAPE,
    MOST_LANDMARK_DISTANCE,
    Columns,
    coordinate_columns,
    diagonal,
    farthest_landmark,
)

_N_ITEMS_OF_PAIR = 2
_AXES = 3
_FLOAT_BYTES = (2, 4, 8)
_NOW = "https://github.com/soubhiksanyal/now_evaluation/blob/main/landmarks_7_annotated.png"
_TENSOR = "call .detach().cpu().numpy() on it first"


@dataclass(frozen=True, slots=True, repr=False)
class MeshFiles:
    """A prediction as it stands in a submission."""

    ply: bytes
    """A binary PLY."""
    landmarks: bytes | None
    """An .npy, where landmarks were given."""


def mesh_files(mesh: Any, now_landmarks: Any = None, *, name: str = "mesh") -> MeshFiles:  # noqa: ANN401 -- checked here
    """Check a mesh and write it as the official reader will read it, to the bit.

    Args:
        mesh: a trimesh.Trimesh (anything with arrays ``vertices`` and ``faces``), or a pair of
            them: vertices float16, float32 or float64 (V, 3), faces integers (F, 3) in 0 … V - 1.
            Double precision is kept.
        now_landmarks: float (7, 3), by the convention of the NoW challenge; needed where the
            topology is not FLAME's (5,023 vertices).
        name: what errors call it.

    Raises:
        InvalidPredictionError: it cannot be submitted; says why and what to do.
    """
    try:
        return _mesh_files(mesh, now_landmarks)
    except _RefusedError as error:
        raise InvalidPredictionError(f"{name}: {error}") from None


class _RefusedError(Exception):
    """Why a mesh cannot be submitted."""


def _mesh_files(mesh: object, now_landmarks: object) -> MeshFiles:
    vertices, faces = _parts(mesh)
    _check_arrays(vertices, faces)
    columns = coordinate_columns(vertices)
    _check_finite(columns)
    faces = _checked_indices(faces, len(vertices))
    landmarks = None
    if now_landmarks is not None:
        landmarks = _checked_landmarks(now_landmarks, columns)
    _check_topology(columns, faces, has_landmarks=landmarks is not None)
    return MeshFiles(
        ply_bytes(vertices, faces), None if landmarks is None else landmarks_bytes(landmarks)
    )


def _parts(mesh: object) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if isinstance(mesh, tuple | list) and len(mesh) == _N_ITEMS_OF_PAIR:
        vertices, faces = mesh
    elif hasattr(mesh, "vertices") and hasattr(mesh, "faces"):
        vertices, faces = mesh.vertices, mesh.faces
    else:
        raise _RefusedError(
            f"a mesh is a trimesh.Trimesh or a pair (vertices, faces) of arrays, not {_type(mesh)}"
        )
    return _array(vertices, "vertices"), _array(faces, "faces")


def _array(given: object, what: str) -> npt.NDArray[Any]:
    if hasattr(given, "detach"):
        raise _RefusedError(f"{what} are a torch tensor: {_TENSOR}")
    if not isinstance(given, np.ndarray):
        raise _RefusedError(
            f"{what} are a NumPy array, not {_type(given)}: call numpy.asarray on it first"
        )
    return np.asarray(given)  # not a subclass, such as trimesh's


def _type(given: object) -> str:
    return f"{type(given).__module__}.{type(given).__qualname__}".removeprefix("builtins.")


def _check_arrays(vertices: npt.NDArray[Any], faces: npt.NDArray[Any]) -> None:
    if vertices.ndim != 2 or vertices.shape[1] != _AXES:  # noqa: PLR2004 -- a list of points
        raise _RefusedError(f"vertices are (V, 3), not {vertices.shape}")
    if vertices.dtype.kind != "f" or vertices.dtype.itemsize not in _FLOAT_BYTES:
        raise _RefusedError(
            f"vertices are float16, float32 or float64, not {vertices.dtype}: convert with astype"
        )
    if faces.ndim != 2 or faces.shape[1] != _AXES:  # noqa: PLR2004 -- a list of triangles
        raise _RefusedError(
            f"faces are (F, 3), not {faces.shape}: split larger polygons into triangles"
        )
    if faces.dtype.kind not in "iu":
        raise _RefusedError(f"faces are integers, not {faces.dtype}: convert with astype")
    for name, array in (("vertices", vertices), ("faces", faces)):
        if len(array) == 0:
            raise _RefusedError(f"it has no {name}: look at what your method returned")


def _check_finite(columns: Columns) -> None:
    if np.isfinite(columns.max()) and np.isfinite(columns.min()):
        return
    is_finite = np.asarray(np.isfinite(columns).all(axis=0))
    first = int(np.argmin(is_finite))
    raise _RefusedError(
        f"vertex {first} is {columns[:, first].tolist()}: "
        f"{np.count_nonzero(~is_finite)} of {is_finite.size} vertices are NaN or infinite"
    )


def _checked_indices(faces: npt.NDArray[Any], n_vertices: int) -> npt.NDArray[np.intp]:
    if faces.min() >= 0 and faces.max() < n_vertices:
        return np.ascontiguousarray(faces, np.intp)
    is_known = ((faces >= 0) & (faces < n_vertices)).all(axis=1)
    first = int(np.argmin(is_known))
    raise _RefusedError(
        f"face {first} refers to vertices {faces[first].tolist()}, there are {n_vertices}: "
        "indices count from 0"
    )


def _checked_landmarks(given: object, columns: Columns) -> npt.NDArray[np.floating]:
    landmarks = _array(given, "landmarks")
    if landmarks.shape != LANDMARKS_SHAPE:
        raise _RefusedError(f"NoW landmarks are (7, 3), not {landmarks.shape}; see {_NOW}")
    if landmarks.dtype.kind != "f" or landmarks.dtype.itemsize not in _FLOAT_BYTES:
        raise _RefusedError(
            f"landmarks are float16, float32 or float64, not {landmarks.dtype}: convert with astype"
        )
    if not np.isfinite(landmarks).all():
        raise _RefusedError(f"landmarks are NaN or infinite: {landmarks.tolist()}")
    number, distance = farthest_landmark(columns, landmarks)
    if distance > MOST_LANDMARK_DISTANCE:
        raise _RefusedError(
            f"landmark {number} {landmarks[number].tolist()} is {distance * diagonal(columns):.3g} "
            f"from the nearest vertex, {distance:.2g} times the mesh's diagonal (at most "
            f"{MOST_LANDMARK_DISTANCE}): give landmarks in the mesh's unit and coordinates"
        )
    return landmarks


def _check_topology(columns: Columns, faces: npt.NDArray[np.intp], *, has_landmarks: bool) -> None:
    """No vertex is lost without notice, and no other mesh is taken for FLAME's."""
    n_vertices = columns.shape[1]
    if n_vertices != FLAME_VERTICES and not has_landmarks:
        raise _RefusedError(
            f"it has {n_vertices} vertices, not FLAME's {FLAME_VERTICES}: give now_landmarks (to "
            "`pack`: landmarks_posed.npy or landmarks_neutral.npy beside it), the seven landmarks "
            f"of the NoW challenge, float (7, 3); see {_NOW}"
        )
    if n_vertices == FLAME_VERTICES and has_landmarks:
        return
    n_merged = n_merged_vertices(columns.T, faces)
    if n_vertices == FLAME_VERTICES and n_merged != FLAME_VERTICES:
        raise _RefusedError(
            f"the official reader merges vertices within 1e-8 of each other and drops those of no "
            f"face: it would see {n_merged} vertices instead of FLAME's {FLAME_VERTICES}. Give "
            "now_landmarks too, or write FLAME's vertices and faces as they are"
        )
    if n_vertices != FLAME_VERTICES and n_merged == FLAME_VERTICES:
        raise _RefusedError(
            f"it has {n_vertices} vertices, of which the official reader keeps {n_merged}, as many "
            "as FLAME has, and would take them for FLAME's. If they are FLAME's, write those, in "
            "its order; else write a mesh without duplicate or unused vertices"
        )
