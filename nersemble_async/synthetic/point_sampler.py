"""Pointclouds of a `HeadShape`: what random rays of all cameras meet, as stereo would see it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nersemble_async.formats.cameras import project
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud
from nersemble_async.synthetic.ellipsoids import FloatArray
from nersemble_async.synthetic.head_shape import HeadShape
from nersemble_async.synthetic.head_texture import Appearance
from nersemble_async.synthetic.lighting import shaded_colors
from nersemble_async.synthetic.motion import HeadState
from nersemble_async.synthetic.ray_marching import Camera, march

_ACCURACY_METRES = np.float32(1e-4)
_POINTS_AT_ONCE = 16_384
_FEWEST_RAYS = 1024
_RAYS_PER_POINT = 3
"""About a third of all pixels shows what every camera has in its frame."""
_MARGIN_PIXELS = 1.0


def sample_points(
    shape: HeadShape, cameras: Sequence[Camera], n_points: int, rng: np.random.Generator
) -> FloatArray:
    """(3, n_points) on the surface, each seen by a camera and inside the frame of every camera."""
    found: list[FloatArray] = []
    missing = n_points
    while missing > 0:
        camera = cameras[int(rng.integers(len(cameras)))]
        wanted = missing * _RAYS_PER_POINT // len(cameras)
        n_rays = min(_POINTS_AT_ONCE, max(_FEWEST_RAYS, wanted))
        width, height = camera.frame_size
        rays = camera.rays(rng.uniform(0, width - 1, n_rays), rng.uniform(0, height - 1, n_rays))
        points, coverage, _ = march(shape, rays, _ACCURACY_METRES)
        points = points[:, (coverage >= 1) & _inside_all_frames(points, cameras)][:, :missing]
        found.append(points)
        missing -= points.shape[1]
    points = np.concatenate(found, axis=1)[:, rng.permutation(n_points)]
    for first in range(0, n_points, _POINTS_AT_ONCE):
        part = slice(first, first + _POINTS_AT_ONCE)
        surface = shape.surface(points[:, part])
        # Grazing rays end up to a millimetre below the surface.
        points[:, part] -= surface.normals * surface.distance
    return points


def color_points(
    shape: HeadShape, appearance: Appearance, state: HeadState, points: FloatArray
) -> Pointcloud:
    """Points (3, N) with the colours of the renderings, in 255 levels, and outward normals."""
    colors = np.empty((points.shape[1], 3), np.float32)
    normals = np.empty_like(colors)
    for first in range(0, len(colors), _POINTS_AT_ONCE):
        part = slice(first, first + _POINTS_AT_ONCE)
        colors[part] = shaded_colors(shape, appearance, state, points[:, part])
        normals[part] = shape.surface(points[:, part]).normals.T
    levels = np.rint(np.clip(colors, 0, 1) * 255).astype(np.float32)
    return Pointcloud(np.ascontiguousarray(points.T), levels / np.float32(255), normals)


def _inside_all_frames(points: FloatArray, cameras: Sequence[Camera]) -> npt.NDArray[np.bool_]:
    """(N,) whether a point (3, N) lies at least a pixel inside the frame of every camera."""
    inside = np.ones(points.shape[1], np.bool_)
    for camera in cameras:
        pixels, _ = project(points.T, camera.world_2_cam, camera.intrinsics)
        last = np.array(camera.frame_size) - 1 - _MARGIN_PIXELS
        inside &= ((pixels >= _MARGIN_PIXELS) & (pixels <= last)).all(axis=1)
    return inside
