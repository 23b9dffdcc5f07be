"""The shape of a stand-in's head: a smooth union of ellipsoids that moves with a `HeadState`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nersemble_async.synthetic.anatomy import Anatomy, hair_parts, skin_parts, torso_parts
from nersemble_async.synthetic.ellipsoids import (
    Ellipsoids,
    FloatArray,
    smooth_min,
    smooth_min_with_share,
    union,
    union_with_weights,
)
from nersemble_async.synthetic.motion import HeadState

_HAIR_BLEND_METRES = np.float32(0.006)
_TORSO_BLEND_METRES = np.float32(0.03)


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


class HeadShape:
    """One participant's head and shoulders at one moment, as a signed distance in metres."""

    def __init__(self, anatomy: Anatomy, state: HeadState) -> None:
        self._rotation = state.rotation_matrix.astype(np.float32)
        self._translation = np.array(state.translation, np.float32)[:, None]
        skin, hair = skin_parts(anatomy, state), hair_parts(anatomy, state)
        self._n_skin = len(skin)
        self._head = Ellipsoids([*skin, *hair])
        self._torso = Ellipsoids(torso_parts(state))

    def distance(self, points: FloatArray) -> FloatArray:
        """(N,) signed distances of world points (3, N): negative inside."""
        each = self._head.distances(self._to_head(points))
        blends, n_skin = self._head.blends, self._n_skin
        nearest = union(each[:n_skin], blends[:n_skin])
        if len(each) > n_skin:
            hair = union(each[n_skin:], blends[n_skin:])
            nearest = smooth_min(nearest, hair, _HAIR_BLEND_METRES)
        torso = union(self._torso.distances(points), self._torso.blends)
        return smooth_min(nearest, torso, _TORSO_BLEND_METRES)

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
        nearest, weights = union_with_weights(each[:n_skin], blends[:n_skin])
        hair = np.zeros(points.shape[1], np.float32)
        if len(each) > n_skin:
            of_hair, hair_weights = union_with_weights(each[n_skin:], blends[n_skin:])
            nearest, hair = smooth_min_with_share(nearest, of_hair, _HAIR_BLEND_METRES)
            weights = np.concatenate([weights * (1 - hair), hair_weights * hair])
        normals = self._rotation @ self._head.gradient(in_head, slopes, weights)
        each, slopes = self._torso.distances_and_slopes(points)
        of_torso, weights = union_with_weights(each, self._torso.blends)
        nearest, torso = smooth_min_with_share(nearest, of_torso, _TORSO_BLEND_METRES)
        normals += (self._torso.gradient(points, slopes, weights) - normals) * torso
        normals /= np.sqrt(np.einsum("in,in->n", normals, normals)) + np.float32(1e-9)
        return SurfacePoints(nearest, normals, in_head, hair, torso)

    def _to_head(self, points: FloatArray) -> FloatArray:
        in_head: FloatArray = self._rotation.T @ (points - self._translation)
        return in_head
