"""The shape of a stand-in's head: a smooth union of ellipsoids that moves with a `HeadState`.

Distances to ellipsoids and the polynomial smooth minimum are Inigo Quilez's
(https://iquilezles.org/articles/ellipsoids/, https://iquilezles.org/articles/smin/).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nersemble_async.synthetic.motion import HeadState

FloatArray = npt.NDArray[np.float32]

_JAW_HINGE = np.array([0.0, -0.02, 0.0])
_HAIR_BLEND_METRES = np.float32(0.006)
_TORSO_BLEND_METRES = np.float32(0.03)
_INFLATION_METRES = 0.016
"""More than smooth unions bulge beyond the parts that they join."""
_BLAS_COLUMNS = 1024
"""Small enough a product for BLAS to do it in the calling thread: its own threads would fight
with those that render, and the sums must not hang on their number."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What tells one participant's head from another's, in factors around 1."""

    width: float
    length: float
    jaw: float
    nose: float
    ears: float
    hair: str
    """``short``, ``long``, ``bun``, ``afro`` or ``bald``."""


@dataclass(frozen=True, slots=True)
class SurfacePoints:
    """What is known of points on or near the surface, in the order that they came in."""

    distance: FloatArray
    """(N,) metres that they are off the surface, negative inside."""
    normals: FloatArray
    """(3, N) unit vectors, world, outward."""
    in_head: FloatArray
    """(3, N) coordinates in the head's own axes, where texture is painted."""
    hair: FloatArray
    """(N,) from 0, skin or torso, to 1, hair."""
    torso: FloatArray
    """(N,) from 0, head or hair, to 1, torso."""


Part = tuple[tuple[float, float, float], tuple[float, float, float], float]
"""An axis-aligned ellipsoid: centre, radii, and the length over which it melts into others."""


class _Ellipsoids:
    """K ellipsoids of one frame of reference, as quadratic forms."""

    def __init__(self, parts: list[Part]) -> None:
        self._centers = centers = np.array([center for center, _, _ in parts])
        self._radii = np.array([radii for _, radii, _ in parts])
        weights = 1 / self._radii**2
        self._slopes = weights.T.astype(np.float32)
        self._offsets = (weights * centers).T.astype(np.float32)
        # sum of w (p - c)² = w · p² - 2 w c · p + w · c²: one matrix product for all parts.
        self._forms = np.concatenate(
            [_quadratic_forms(weights, centers), _quadratic_forms(weights**2, centers)]
        )
        self.blends = np.array([blend for _, _, blend in parts], np.float32)

    def distances(self, points: FloatArray) -> FloatArray:
        """(K, N) distances of points (3, N), about right near the surface."""
        return self.distances_and_slopes(points)[0]

    def distances_and_slopes(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`distances`, and (K, N) lengths that `gradient` needs."""
        n_points, n_parts = points.shape[1], len(self.blends)
        monomials = np.empty((7, n_points), np.float32)
        np.multiply(points, points, out=monomials[:3])
        monomials[3:6] = points
        monomials[6] = 1
        squares = np.empty((2 * n_parts, n_points), np.float32)
        for first in range(0, n_points, _BLAS_COLUMNS):
            columns = slice(first, first + _BLAS_COLUMNS)
            np.matmul(self._forms, monomials[:, columns], out=squares[:, columns])
        # Rounding may take a square a little below zero.
        np.maximum(squares, np.float32(1e-12), out=squares)
        np.sqrt(squares, out=squares)
        radial, slopes = squares[:n_parts], squares[n_parts:]
        distances = radial - 1
        distances *= radial
        distances /= slopes
        return distances, slopes

    def gradient(self, points: FloatArray, slopes: FloatArray, weights: FloatArray) -> FloatArray:
        """(3, N) mean of the parts' unit gradients, weighted with ``weights`` (K, N)."""
        # A part's unit gradient is W (p - c) / slope, W its inverse squared radii.
        shares = weights / slopes
        gradient = np.empty_like(points)
        for first in range(0, points.shape[1], _BLAS_COLUMNS):
            columns = slice(first, first + _BLAS_COLUMNS)
            share = shares[:, columns]
            gradient[:, columns] = points[:, columns] * (self._slopes @ share)
            gradient[:, columns] -= self._offsets @ share
        return gradient

    def ray_bounds(
        self, origin: npt.NDArray[np.float64], directions: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Depths (N,) at which rays enter the first part, inflated, and leave the last one.

        A ray that meets none enters at infinity.
        """
        weights = 1 / (self._radii + _INFLATION_METRES) ** 2
        offset = origin - self._centers
        along = ((offset * weights).astype(np.float32)) @ directions
        square = weights.astype(np.float32) @ (directions * directions)
        beyond = ((offset**2 * weights).sum(axis=1, keepdims=True) - 1).astype(np.float32)
        discriminant = along * along - square * beyond
        part, ray = np.nonzero(discriminant > 0)
        # Few rays meet a given part: only those are worked out.
        root = np.sqrt(discriminant[part, ray])
        along, square = along[part, ray], square[part, ray]
        enter = np.full(directions.shape[1], np.inf, np.float32)
        leave = np.full(directions.shape[1], -np.inf, np.float32)
        np.minimum.at(enter, ray, (-along - root) / square)
        np.maximum.at(leave, ray, (root - along) / square)
        return enter, leave


def _quadratic_forms(
    weights: npt.NDArray[np.float64], centers: npt.NDArray[np.float64]
) -> FloatArray:
    """(K, 7): coefficients of x² y² z² x y z 1."""
    constants = (weights * centers**2).sum(axis=1, keepdims=True)
    return np.concatenate([weights, -2 * weights * centers, constants], axis=1).astype(np.float32)


class HeadShape:
    """One participant's head and shoulders at one moment, as a signed distance in metres."""

    def __init__(self, anatomy: Anatomy, state: HeadState) -> None:
        self._rotation = state.rotation_matrix.astype(np.float32)
        self._translation = np.array(state.translation, np.float32)[:, None]
        skin, hair = _skin_parts(anatomy, state), _hair_parts(anatomy, state)
        self._n_skin = len(skin)
        self._head = _Ellipsoids([*skin, *hair])
        self._torso = _Ellipsoids(_torso_parts(state))

    def distance(self, points: FloatArray) -> FloatArray:
        """(N,) signed distances of world points (3, N): negative inside."""
        each = self._head.distances(self._to_head(points))
        blends, n_skin = self._head.blends, self._n_skin
        union = _union(each[:n_skin], blends[:n_skin])
        if len(each) > n_skin:
            hair = _union(each[n_skin:], blends[n_skin:])
            union = _smooth_min(union, hair, _HAIR_BLEND_METRES)
        torso = _union(self._torso.distances(points), self._torso.blends)
        return _smooth_min(union, torso, _TORSO_BLEND_METRES)

    def ray_bounds(
        self, origin: npt.NDArray[np.float64], directions: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Between which depths (N,) rays can meet the surface; entry after exit: they cannot.

        Args:
            origin: (3,) of all rays, world.
            directions: (3, N) unit vectors, world.
        """
        to_head = self._rotation.T
        head_origin = to_head @ (origin - self._translation[:, 0])
        enter, leave = self._head.ray_bounds(head_origin, to_head @ directions)
        torso_enter, torso_leave = self._torso.ray_bounds(origin, directions)
        return np.minimum(enter, torso_enter), np.maximum(leave, torso_leave)

    def surface(self, points: FloatArray) -> SurfacePoints:
        """Normals and what the texture needs, of world points (3, N) on or near the surface."""
        in_head = self._to_head(points)
        each, slopes = self._head.distances_and_slopes(in_head)
        blends, n_skin = self._head.blends, self._n_skin
        union, weights = _union_with_weights(each[:n_skin], blends[:n_skin])
        hair = np.zeros(points.shape[1], np.float32)
        if len(each) > n_skin:
            of_hair, hair_weights = _union_with_weights(each[n_skin:], blends[n_skin:])
            union, hair = _smooth_min_with_share(union, of_hair, _HAIR_BLEND_METRES)
            weights = np.concatenate([weights * (1 - hair), hair_weights * hair])
        normals = self._rotation @ self._head.gradient(in_head, slopes, weights)
        each, slopes = self._torso.distances_and_slopes(points)
        of_torso, weights = _union_with_weights(each, self._torso.blends)
        union, torso = _smooth_min_with_share(union, of_torso, _TORSO_BLEND_METRES)
        normals += (self._torso.gradient(points, slopes, weights) - normals) * torso
        normals /= np.sqrt(np.einsum("in,in->n", normals, normals)) + np.float32(1e-9)
        return SurfacePoints(union, normals, in_head, hair, torso)

    def _to_head(self, points: FloatArray) -> FloatArray:
        in_head: FloatArray = self._rotation.T @ (points - self._translation)
        return in_head


def _union(distances: FloatArray, blends: FloatArray) -> FloatArray:
    """(N,) smooth minimum of (K, N), joining neighbours until one is left."""
    while len(distances) > 1:
        left, right = distances[0 : len(distances) - 1 : 2], distances[1::2]
        joined = _smooth_min(left, right, blends[1::2, None])
        rest = distances[len(joined) * 2 :]
        distances = np.concatenate([joined, rest]) if len(rest) else joined
        blends = blends[0::2]
    union: FloatArray = distances[0]
    return union


def _union_with_weights(distances: FloatArray, blends: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`_union`, and by how much (K, N) each part's gradient counts in the union's."""
    shares = []
    while len(distances) > 1:
        n_paired = len(distances) // 2 * 2
        joined, share = _smooth_min_with_share(
            distances[0:n_paired:2], distances[1::2], blends[1::2, None]
        )
        shares.append(share)
        distances = np.concatenate([joined, distances[n_paired:]])
        blends = blends[0::2]
    weights = np.ones_like(distances)
    for share in reversed(shares):
        n_pairs = len(share)
        finer = np.empty((len(weights) + n_pairs, weights.shape[1]), np.float32)
        finer[0 : 2 * n_pairs : 2] = weights[:n_pairs] * (1 - share)
        finer[1 : 2 * n_pairs : 2] = weights[:n_pairs] * share
        finer[2 * n_pairs :] = weights[n_pairs:]
        weights = finer
    return distances[0], weights


def _smooth_min(a: FloatArray, b: FloatArray, blend: FloatArray | np.float32) -> FloatArray:
    overlap = a - b
    np.abs(overlap, out=overlap)
    np.subtract(blend, overlap, out=overlap)
    np.maximum(overlap, 0, out=overlap)
    overlap *= overlap
    overlap *= np.float32(0.25) / blend
    union: FloatArray = np.minimum(a, b)
    union -= overlap
    return union


def _smooth_min_with_share(
    a: FloatArray, b: FloatArray, blend: FloatArray | np.float32
) -> tuple[FloatArray, FloatArray]:
    """The smooth minimum, and how far its gradient is b's: 0 is a's alone, 1 is b's alone."""
    difference = a - b
    share = difference * (np.float32(0.5) / blend)
    share += np.float32(0.5)
    np.clip(share, 0, 1, out=share)
    deeper = 1 - share
    deeper *= blend
    deeper += difference
    deeper *= share
    return a - deeper, share


def _both_sides(
    center: tuple[float, float, float], radii: tuple[float, float, float], blend: float
) -> list[Part]:
    x, y, z = center
    return [((x, y, z), radii, blend), ((-x, y, z), radii, blend)]


def _skin_parts(anatomy: Anatomy, state: HeadState) -> list[Part]:
    """Skull, face and jaw in the head's axes: x to the viewer's right, y up, z out of the face."""
    w, h, n = anatomy.width, anatomy.length, anatomy.nose
    sin_jaw, cos_jaw = np.sin(state.jaw), np.cos(state.jaw)

    def jaw(x: float, y: float, z: float) -> tuple[float, float, float]:
        dy, dz = y - _JAW_HINGE[1], z - _JAW_HINGE[2]
        return (
            x,
            float(_JAW_HINGE[1] + cos_jaw * dy - sin_jaw * dz),
            float(_JAW_HINGE[2] + sin_jaw * dy + cos_jaw * dz),
        )

    smile, pucker = max(state.smile, 0.0), state.pucker
    lips = 0.023 * w * (1 + 0.15 * state.smile - 0.35 * pucker)
    return [
        ((0, 0.045, -0.012), (0.076 * w, 0.088, 0.096), 0.01),
        ((0, -0.012, 0.02), (0.063 * w, 0.085 * h, 0.070), 0.03),
        (jaw(0, -0.062 * h, 0.030), (0.050 * w * anatomy.jaw, 0.040, 0.050), 0.025),
        (jaw(0, -0.094 * h, 0.062), (0.019 * anatomy.jaw, 0.016, 0.018), 0.03),
        *_both_sides((0.036 * w, -0.018 + 0.004 * smile, 0.055), (0.024, 0.022, 0.024), 0.03),
        ((0, 0.036 + 0.002 * state.brow, 0.076), (0.044 * w, 0.010, 0.012), 0.02),
        *_both_sides((0.030 * w, 0.014, 0.076), (0.013, 0.010, 0.0095), 0.006),
        ((0, 0.006, 0.086), (0.009, 0.030, 0.012 * n), 0.012),
        ((0, -0.016, 0.0965), (0.0115, 0.0105, 0.0145 * n), 0.014),
        *_both_sides((0.0115, -0.0195, 0.089), (0.0075, 0.0065, 0.009), 0.006),
        ((0, -0.0435, 0.0835 + 0.004 * pucker), (lips, 0.006, 0.009), 0.008),
        (jaw(0, -0.055, 0.0825 + 0.004 * pucker), (lips * 0.9, 0.007, 0.0095), 0.008),
        *_both_sides(
            (0.0745 * w, 0.004, -0.012), (0.010, 0.031 * anatomy.ears, 0.018 * anatomy.ears), 0.010
        ),
    ]


def _hair_parts(anatomy: Anatomy, state: HeadState) -> list[Part]:
    w = anatomy.width
    cap = ((0, 0.064, -0.030), (0.083 * w, 0.088, 0.098), 0.01)
    fringe = ((0.012, 0.119, 0.022), (0.058 * w, 0.022, 0.044), 0.02)
    # Long strands lag behind the head's turning.
    lag = -0.05 * state.rotation[1]
    if anatomy.hair == "bald":
        return []
    if anatomy.hair == "long":
        return [
            cap,
            fringe,
            *(
                ((side * 0.070 * w + lag, -0.035, -0.030), (0.024, 0.105, 0.045), 0.03)
                for side in (-1, 1)
            ),
            ((lag, -0.05, -0.075), (0.075 * w, 0.11, 0.035), 0.03),
        ]
    if anatomy.hair == "bun":
        return [cap, ((0, 0.165, -0.055), (0.036, 0.034, 0.036), 0.012)]
    if anatomy.hair == "afro":
        return [((0, 0.082, -0.028), (0.112, 0.104, 0.106), 0.01)]
    return [cap, fringe]


def _torso_parts(
    state: HeadState,
) -> list[Part]:
    """Neck, shoulders and chest, which stay where they are but for half of the head's sway."""
    x, y, z = (0.5 * value for value in state.translation)
    return [
        ((x, -0.110 + y, -0.026 + z), (0.048, 0.090, 0.050), 0.01),
        ((0, -0.245, -0.035), (0.200, 0.070, 0.080), 0.05),
        ((0, -0.355, -0.010), (0.160, 0.16, 0.105), 0.05),
    ]
