"""Smooth unions of ellipsoids: distances and gradients of many points at once.

Distances to ellipsoids and the polynomial smooth minimum are Inigo Quilez's
(https://iquilezles.org/articles/ellipsoids/, https://iquilezles.org/articles/smin/).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_INFLATION_METRES = 0.016
"""More than smooth unions bulge beyond the parts that they join."""
_BLAS_COLUMNS = 1024
"""Small enough a product for BLAS to do it in the calling thread: its own threads would fight
with those that render, and the sums must not hang on their number."""

Part = tuple[tuple[float, float, float], tuple[float, float, float], float]
"""An axis-aligned ellipsoid: centre, radii, and the length over which it melts into others."""


class Ellipsoids:
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


def union(distances: FloatArray, blends: FloatArray) -> FloatArray:
    """(N,) smooth minimum of (K, N), joining neighbours until one is left."""
    while len(distances) > 1:
        left, right = distances[0 : len(distances) - 1 : 2], distances[1::2]
        joined = smooth_min(left, right, blends[1::2, None])
        rest = distances[len(joined) * 2 :]
        distances = np.concatenate([joined, rest]) if len(rest) else joined
        blends = blends[0::2]
    nearest: FloatArray = distances[0]
    return nearest


def union_with_weights(distances: FloatArray, blends: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`union`, and by how much (K, N) each part's gradient counts in the union's."""
    shares = []
    while len(distances) > 1:
        n_paired = len(distances) // 2 * 2
        joined, share = smooth_min_with_share(
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


def smooth_min(a: FloatArray, b: FloatArray, blend: FloatArray | np.float32) -> FloatArray:
    """The minimum, rounded over a length of ``blend``."""
    overlap = a - b
    np.abs(overlap, out=overlap)
    np.subtract(blend, overlap, out=overlap)
    np.maximum(overlap, 0, out=overlap)
    overlap *= overlap
    overlap *= np.float32(0.25) / blend
    nearest: FloatArray = np.minimum(a, b)
    nearest -= overlap
    return nearest


def smooth_min_with_share(
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
