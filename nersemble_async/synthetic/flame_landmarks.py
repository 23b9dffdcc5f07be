"""Where the synthetic FLAME has its 68 landmarks: faces and barycentric weights, iBUG's order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_N_CONTOUR, _MAX_DEGREES = 17, 39
_CONTOUR_ORIGIN = np.array([0.0, -0.03, 0.0])


def static_embedding(head: Floats, faces: npt.NDArray[np.uint32]) -> dict[str, object]:
    """Brows, nose, eyes, mouth: ``lmk_face_idx`` (51,) and ``lmk_b_coords`` (51, 3)."""
    arch = np.linspace(-1, 1, 5)
    brow = np.stack([0.030 + 0.018 * arch, 0.040 - 0.004 * arch**2], axis=1)
    right_brow, left_brow = brow * [-1, 1], brow
    bridge = np.stack([np.zeros(4), np.linspace(0.020, -0.012, 4)], axis=1)
    nostrils = np.stack([0.006 * arch, -0.026 - 0.002 * np.abs(arch)], axis=1)
    eye = _ellipse((0.030, 0.014), (0.012, 0.006), 6, start=np.pi)
    right_eye = eye - [0.060, 0]
    outer_mouth = _ellipse((0, -0.049), (0.023, 0.011), 12, start=np.pi)
    inner_mouth = _ellipse((0, -0.049), (0.016, 0.004), 8, start=np.pi)
    marks = np.concatenate(
        [right_brow[::-1], left_brow, bridge, nostrils, right_eye, eye, outer_mouth, inner_mouth]
    )
    corners = head[faces]
    front = corners[..., 2].mean(axis=1) > 0
    # Seen from the front, so that depth does not matter.
    middles = np.where(front[:, None], corners[..., :2].mean(axis=1), np.inf)
    nearest = np.linalg.norm(middles - marks[:, None], axis=2).argmin(axis=1)
    weights = _barycentric(
        np.concatenate([marks, head[faces[nearest], 2].mean(axis=1)[:, None]], axis=1),
        corners[nearest],
    )
    return {"lmk_face_idx": nearest.astype(np.uint32), "lmk_b_coords": weights}


def contour_embedding(head: Floats, faces: npt.NDArray[np.uint32]) -> dict[str, object]:
    """The outline from ear over chin to ear, as it moves with the head's turning.

    ``lmk_face_idx`` (79, 17) and ``lmk_b_coords`` (79, 17, 3): rows for 0 to 39 degrees, then
    for -1 to -39.
    """
    degrees = np.concatenate([np.arange(_MAX_DEGREES + 1), -np.arange(1, _MAX_DEGREES + 1)])
    along = np.linspace(-1, 1, _N_CONTOUR)
    azimuth = np.radians(80 * along + 0.4 * degrees[:, None])
    elevation = np.broadcast_to(np.radians(-52 * (1 - along**2)), azimuth.shape)
    directions = np.stack(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ],
        axis=2,
    ).reshape(-1, 3)
    corners = head[faces]
    middles = corners.mean(axis=1) - _CONTOUR_ORIGIN
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    nearest = (directions @ middles.T).argmax(axis=1)
    weights = np.full((*azimuth.shape, 3), 1 / 3)
    return {
        "lmk_face_idx": nearest.reshape(azimuth.shape).astype(np.uint32),
        "lmk_b_coords": weights,
    }


def _ellipse(
    center: tuple[float, float], radii: tuple[float, float], n_points: int, start: float
) -> Floats:
    """(n, 2) clockwise as the viewer sees it."""
    angles = start - np.linspace(0, 2 * np.pi, n_points, endpoint=False)
    on_circle: Floats = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ellipse: Floats = np.array(center) + on_circle * np.array(radii)
    return ellipse


def _barycentric(points: Floats, corners: Floats) -> Floats:
    """(N, 3) of points (N, 3) in triangles (N, 3, 3), kept inside."""
    edges = corners[:, 1:] - corners[:, :1]
    inside = np.einsum(
        "nij,nj->ni", np.linalg.pinv(edges.transpose(0, 2, 1)), points - corners[:, 0]
    )
    weights: Floats = np.clip(
        np.concatenate([1 - inside.sum(axis=1, keepdims=True), inside], axis=1), 0, 1
    )
    weights /= weights.sum(axis=1, keepdims=True)
    return weights
