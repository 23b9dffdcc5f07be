"""Rays of a camera, and where they meet a `HeadShape`: sphere tracing of all rays at once.

Source: John C. Hart, "Sphere tracing", The Visual Computer 12 (1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nersemble_async.synthetic.ellipsoids import FloatArray
from nersemble_async.synthetic.head_shape import HeadShape

_MAX_STEPS = 32
_SHORTEST_STEP_PIXELS = np.float32(0.6)
_STEP_GROWTH = np.float32(1.18)
_TOLERANCE_PIXELS = np.float32(0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """One pinhole camera."""

    world_2_cam: npt.NDArray[np.float64]
    """(4, 4), OpenCV convention, metres."""
    intrinsics: npt.NDArray[np.float64]
    """(3, 3); pixel (0, 0) is the centre of the first pixel."""
    frame_size: tuple[int, int]
    """Width, height in pixels."""

    @property
    def pixel_metres(self) -> np.float32:
        """What a pixel shows at a distance of one metre, where the heads are."""
        return np.float32(1 / self.intrinsics[0, 0])

    def rays(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Rays:
        """The rays through pixels at ``x``, ``y`` (N,)."""
        rotation = self.world_2_cam[:3, :3]
        in_camera = np.linalg.inv(self.intrinsics) @ np.stack([x, y, np.ones_like(x)])
        directions = rotation.T @ in_camera
        directions /= np.sqrt(np.einsum("in,in->n", directions, directions))
        origin = -rotation.T @ self.world_2_cam[:3, 3]
        return Rays(origin, directions.astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """N rays from one point."""

    origin: npt.NDArray[np.float64]
    """(3,) world, metres."""
    directions: FloatArray
    """(3, N) unit vectors, world."""


def march(
    shape: HeadShape, rays: Rays, pixel_metres: np.float32
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.intp]]:
    """Where rays meet the surface, or nearly so.

    The surface is taken half a pixel deeper, and a ray that passes it within a pixel is partly
    covered: coverage 0.5 is the silhouette.

    Returns:
        Of the M rays that are covered at all: the points (3, M) in the world where they meet the
        surface or come closest to it, coverage (M,) up to 1, and indices (M,) among the rays.
    """
    enter, leave = shape.ray_bounds(rays.origin, rays.directions)
    meeting = np.flatnonzero(enter < leave)
    end, depth = leave[meeting], enter[meeting]
    directions = rays.directions[:, meeting]
    origin = rays.origin.astype(np.float32)[:, None]
    shortest_step = pixel_metres * _SHORTEST_STEP_PIXELS
    tolerance = pixel_metres * _TOLERANCE_PIXELS
    closest = np.full(len(meeting), np.inf, np.float32)
    depth_of_closest = depth.copy()
    active = np.arange(len(meeting))
    for _ in range(_MAX_STEPS):
        if len(active) == 0:
            break
        at = depth[active]
        distance = shape.distance(origin + directions[:, active] * at) + pixel_metres / 2
        nearer = distance < closest[active]
        closest[active[nearer]] = distance[nearer]
        depth_of_closest[active[nearer]] = at[nearer]
        # At least a fair part of a pixel, and more and more: a grazing ray would creep along the
        # surface for ever.
        at = at + np.maximum(distance, shortest_step)
        shortest_step *= _STEP_GROWTH
        depth[active] = at
        active = active[(distance > tolerance) & (at < end[active])]
    coverage = np.clip(1 - (closest - tolerance) / pixel_metres, 0, 1)
    covered = np.flatnonzero(coverage)
    points = origin + directions[:, covered] * depth_of_closest[covered]
    return points, coverage[covered], meeting[covered]
