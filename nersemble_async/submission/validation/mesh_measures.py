"""What writers and validator both ask of a mesh: its size, its landmarks, its topology. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FLAME_VERTICES = 5023
"""A mesh of so many is taken for one of FLAME's topology: it needs no landmarks."""

LANDMARKS_SHAPE = (7, 3)
"""The corners of both eyes, below the nose, the corners of the mouth, as the NoW challenge does."""

MOST_LANDMARK_DISTANCE = 0.1
"""How far a landmark may be from the nearest vertex, in diagonals of the mesh's bounding box.

They lie on the face: a coarse head of 100 vertices still has one within 0.08 diagonals. Landmarks
in another unit or another system of coordinates are farther."""

Columns = npt.NDArray[np.float64]
"""(3, V): all x, all y, all z; far quicker to reduce than (V, 3)."""


def coordinate_columns(vertices: npt.NDArray[np.floating]) -> Columns:
    """The coordinates of (V, 3) vertices one after another, as float64."""
    with np.errstate(invalid="ignore"):  # of a signalling NaN
        return np.ascontiguousarray(vertices.T, np.float64)


def diagonal(columns: Columns) -> float:
    """Of the bounding box; NaN or infinite exactly where a vertex is (or the mesh is that large).

    Args:
        columns: of at least one vertex.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.linalg.norm(columns.max(axis=1) - columns.min(axis=1)))


def farthest_landmark(columns: Columns, landmarks: npt.NDArray[np.generic]) -> tuple[int, float]:
    """Which landmark is farthest from its nearest vertex, and how far, in diagonals of the mesh.

    Args:
        columns: finite, of at least one vertex.
        landmarks: (7, 3), finite.
    """
    scale = diagonal(columns)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        middle = (columns.max(axis=1) + columns.min(axis=1)) / 2
        vertices = columns - middle[:, np.newaxis]
        points = landmarks.astype(np.float64) - middle
        # Squares less those of the landmarks' own distance from the middle: no (7, V, 3) array.
        squared = (vertices * vertices).sum(axis=0) - 2 * (points @ vertices)
        nearest = squared.min(axis=1) + (points * points).sum(axis=1)
        distances = np.sqrt(np.maximum(nearest, 0)) / scale
    distances = np.nan_to_num(distances, nan=np.inf, posinf=np.inf)
    number = int(np.argmax(distances))
    return number, float(distances[number])
