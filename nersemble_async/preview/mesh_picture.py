"""A mesh by itself as a picture: seen from the front, shaded, with a depth buffer. Pure NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nersemble_async.preview.sheet import RgbImage

Floats = npt.NDArray[np.floating]

_FINER = 2
"""Times as many pixels are drawn as asked for, in each direction, and then averaged."""
_FILLED = 0.86
"""Of the picture's height or width, by the mesh."""
_LEAST_EXTENT = 1e-6
"""Of the largest coordinate: what is smaller is drawn as a point."""
_PAPER = np.array([255.0, 255.0, 255.0])
_CLAY = np.array([196.0, 186.0, 176.0])
_DOT = np.array([214.0, 40.0, 40.0])
_LIGHT = np.array([-0.35, 0.45, 0.82])
_DARKEST = 0.25
_SAMPLES_AT_ONCE = 500_000
_SAMPLES_PER_PIXEL = 1.42
"""Along a line: so every pixel has a sample, however the lines lie."""
_DOT_RADIUS = 0.012
"""Of the picture's height."""
_MOST_SAMPLES = 4_000_000
"""Points on faces that are drawn; larger meshes are drawn more coarsely."""
_N_LANDMARKS = 7
_EYE_CORNERS, _MOUTH_CORNERS = slice(0, 4), slice(5, 7)
"""Of the seven landmarks: right to left eye corners, below the nose, right and left mouth."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Where vertices lie in a picture."""

    axes: npt.NDArray[np.float64]
    """(3, 3): rows are what is right, up and towards the viewer."""
    centre: npt.NDArray[np.float64]
    """(3,) in the middle of the picture."""
    pixels_per_unit: float


def draw_shaded_mesh(
    vertices: Floats,
    faces: npt.NDArray[np.integer],
    size: tuple[int, int],
    landmarks: Floats | None = None,
) -> RgbImage:
    """The mesh on white, as large as there is room for, without perspective.

    Args:
        vertices: (V, 3), finite, in any unit.
        faces: (F, 3), drawn from both sides; without any the vertices are dots.
        size: width, height in pixels.
        landmarks: (7, 3) of the benchmark, drawn as dots; they tell where up and front are.
            Without them x is right, y is up and z comes towards the viewer, as with FLAME.

    Returns:
        (height, width, 3) uint8.
    """
    width, height = size[0] * _FINER, size[1] * _FINER
    # Numbers so large that their products would overflow are finite, too.
    unit = float(np.abs(vertices).max()) or 1.0
    vertices = vertices / unit
    landmarks = None if landmarks is None else landmarks / unit
    view = _view(vertices, (width, height), landmarks)
    placed = _place(vertices, view, (width, height))
    shades = _vertex_shades(vertices @ view.axes.T, faces)
    canvas = np.broadcast_to(_PAPER, (height, width, 3)).copy()
    nearest = np.full(height * width, -np.inf, np.float32)
    for points in _surface(placed, faces, shades):
        x, y = np.rint(points[:, 0]).astype(np.int64), np.rint(points[:, 1]).astype(np.int64)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        pixels, near = (y * width + x)[inside], points[inside, 2]
        np.maximum.at(nearest, pixels, near)
        seen = near == nearest[pixels]
        canvas.reshape(-1, 3)[pixels[seen]] = points[inside, 3][seen, None] * _CLAY
    if landmarks is not None:
        _draw_dots(canvas, _place(landmarks, view, (width, height)))
    drawn = Image.fromarray(np.rint(canvas).astype(np.uint8))
    return np.array(drawn.resize(size, Image.Resampling.BOX))


def _view(vertices: Floats, size: tuple[int, int], landmarks: Floats | None) -> View:
    axes = np.eye(3)
    if landmarks is not None and landmarks.shape == (_N_LANDMARKS, 3):
        axes = _upright(landmarks)
    turned = vertices.astype(np.float64) @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    extent = np.maximum((high - low)[:2], _LEAST_EXTENT)
    scale = _FILLED * float(min(size[0] / extent[0], size[1] / extent[1]))
    return View(axes, (low + high) / 2, scale)


def _upright(landmarks: Floats) -> npt.NDArray[np.float64]:
    """Axes in which eyes are level and above the mouth; the usual ones where they do not tell."""
    points = landmarks.astype(np.float64)
    right = points[2:4].mean(axis=0) - points[0:2].mean(axis=0)
    up = points[_EYE_CORNERS].mean(axis=0) - points[_MOUTH_CORNERS].mean(axis=0)
    front = np.cross(right, up)
    lengths = np.linalg.norm(right), np.linalg.norm(front)
    if not (np.isfinite(front).all() and min(lengths) > 0):
        return np.eye(3)
    right, front = right / lengths[0], front / lengths[1]
    return np.stack([right, np.cross(front, right), front])


def _place(points: Floats, view: View, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """(N, 3): pixels right and down, and how near."""
    turned: npt.NDArray[np.float64] = points.astype(np.float64) @ view.axes.T - view.centre
    turned *= view.pixels_per_unit
    turned[:, 1] *= -1
    turned[:, :2] += (size[0] - 1) / 2, (size[1] - 1) / 2
    return turned


def _vertex_shades(
    turned: npt.NDArray[np.float64], faces: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """(V,) from dark to 1, by the angle to the light."""
    corners = turned[faces]
    of_faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(turned)
    for axis in range(3):
        for corner in range(3):
            normals[:, axis] += np.bincount(faces[:, corner], of_faces[:, axis], len(turned))
    lengths = np.linalg.norm(normals, axis=1)
    normals /= np.maximum(lengths, np.finfo(np.float64).tiny)[:, None]
    # Either way round: which side of a face is the outer one is not told.
    normals[normals[:, 2] < 0] *= -1
    lit = np.clip(normals @ (_LIGHT / np.linalg.norm(_LIGHT)), 0, 1)
    return np.where(lengths > 0, _DARKEST + (1 - _DARKEST) * lit, 1 - _DARKEST)


def _surface(
    placed: npt.NDArray[np.float64],
    faces: npt.NDArray[np.integer],
    shades: npt.NDArray[np.float64],
) -> Iterator[npt.NDArray[np.float32]]:
    """Points on the faces, so close that no pixel stays free, in pieces.

    Each (N, 4): pixels right and down, how near, and the shade.
    """
    with_shades = np.column_stack((placed, shades)).astype(np.float32)
    if not len(faces):
        yield with_shades
        return
    faces, along, across = _steps(placed[:, :2], faces)
    for n in np.unique(along):
        for m in np.unique(across[along == n]):
            alike = faces[(along == n) & (across == m)]
            at_once = max(1, int(_SAMPLES_AT_ONCE // ((n + 1) * (m + 1))))
            for first in range(0, len(alike), at_once):
                yield _sampled(with_shades[alike[first : first + at_once]], int(n), int(m))


def _steps(
    flat: npt.NDArray[np.float64], faces: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Faces with their longest edge first; into how many steps it is cut, and the height on it.

    Powers of two: there are few sorts of faces, each of which is sampled at once.
    """
    corners = flat[faces]
    edges = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    first = edges.argmax(axis=1)
    rows = np.arange(len(faces))
    turned = np.stack([faces[rows, (first + k) % 3] for k in range(3)], axis=1)
    one, two = (flat[turned[:, k]] - flat[turned[:, 0]] for k in (1, 2))
    longest = edges[rows, first]
    doubled_area = np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0])
    height = doubled_area / np.maximum(longest, np.finfo(np.float64).tiny)
    needed = _SAMPLES_PER_PIXEL * np.stack([longest, height])
    total = float((np.maximum(1, needed[0]) * np.maximum(1, needed[1])).sum())
    needed /= max(1.0, np.sqrt(total / _MOST_SAMPLES))
    along, across = 2 ** np.ceil(np.log2(np.maximum(1, needed))).astype(np.int64)
    return turned, along, across


def _sampled(corners: npt.NDArray[np.float32], along: int, across: int) -> npt.NDArray[np.float32]:
    """(N, 4) points of faces (F, 3, 4), on lines from the first edge to the third corner."""
    share = np.tile(np.linspace(0, 1, along + 1, dtype=np.float32), across + 1)
    towards = np.repeat(np.linspace(0, 1, across + 1, dtype=np.float32), along + 1)
    rest = 1 - towards
    weights = np.stack([(1 - share) * rest, share * rest, towards], axis=1)
    points: npt.NDArray[np.float32] = weights @ corners  # (F, samples, 4)
    return points.reshape(-1, 4)


def _draw_dots(canvas: npt.NDArray[np.float64], places: npt.NDArray[np.float64]) -> None:
    height, width = canvas.shape[:2]
    y, x = np.ogrid[:height, :width]
    for place in places[np.isfinite(places).all(axis=1)]:
        canvas[(x - place[0]) ** 2 + (y - place[1]) ** 2 <= (_DOT_RADIUS * height) ** 2] = _DOT
