"""The light on a `HeadShape`: no highlights, so that a point has one colour for all cameras."""

from __future__ import annotations

import numpy as np

from nersemble_async.synthetic.ellipsoids import FloatArray
from nersemble_async.synthetic.head_shape import HeadShape, SurfacePoints
from nersemble_async.synthetic.head_texture import Appearance, paint
from nersemble_async.synthetic.motion import HeadState

_KEY_LIGHT = np.array([-0.450, 0.600, 0.661], np.float32)
_FILL_LIGHT = np.array([0.796, 0.100, 0.597], np.float32)
"""Unit vectors in the world, towards the lamps."""
_OCCLUSION_METRES = 0.02


def shaded_colors(
    shape: HeadShape, appearance: Appearance, state: HeadState, points: FloatArray
) -> FloatArray:
    """(N, 3) RGB from 0 to 1 of world points (3, N) near the surface; depends on no camera."""
    surface = shape.surface(points)
    return _light(shape, points, surface) * paint(surface, points, appearance, state)


def _light(shape: HeadShape, points: FloatArray, surface: SurfacePoints) -> FloatArray:
    """(N, 1): two lamps, the sky, and the darkness of creases."""
    normals = surface.normals
    key = np.maximum(_KEY_LIGHT @ normals, 0)
    fill = np.maximum(_FILL_LIGHT @ normals, 0)
    sky = np.float32(0.50) + np.float32(0.10) * normals[1]
    free = shape.distance(points + normals * np.float32(_OCCLUSION_METRES)) - surface.distance
    openness = np.float32(0.55) + np.float32(0.45) * np.clip(free / _OCCLUSION_METRES, 0, 1)
    light: FloatArray = np.clip((sky + 0.52 * key + 0.22 * fill) * openness, 0, 1.18)
    return light[:, None]
