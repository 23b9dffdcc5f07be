"""What is painted on a `HeadShape`: skin, features, hair and clothes, without any light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nersemble_async.synthetic.canvas import Canvas, Rgb, step
from nersemble_async.synthetic.ellipsoids import FloatArray
from nersemble_async.synthetic.face_texture import FaceColors, paint_face
from nersemble_async.synthetic.head_shape import SurfacePoints
from nersemble_async.synthetic.motion import HeadState

_FACE_BEHIND, _FACE_BELOW, _FACE_ABOVE = -0.013, -0.14, 0.06
"""Metres in the head's axes: beyond these no feature is painted."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """One participant's colours."""

    skin: Rgb
    hair: Rgb
    shirt: Rgb
    stripe: Rgb
    """Of the shirt."""
    face: FaceColors


def paint(
    surface: SurfacePoints, points: FloatArray, appearance: Appearance, state: HeadState
) -> FloatArray:
    """(N, 3) RGB of world points (3, N) whose `SurfacePoints` are ``surface``."""
    skin = np.broadcast_to(np.array(appearance.skin, np.float32), (points.shape[1], 3))
    canvas = Canvas(skin.copy())
    _paint_skin(canvas, surface.in_head)
    _, y, z = surface.in_head
    facing = np.flatnonzero((z > _FACE_BEHIND) & (y > _FACE_BELOW) & (y < _FACE_ABOVE))
    if len(facing):
        face = Canvas(canvas.colors[facing])
        paint_face(face, surface.in_head[:, facing], appearance.face, state)
        canvas.colors[facing] = face.colors
    _paint_hair(canvas, surface, appearance.hair)
    _paint_shirt(canvas, surface, points, appearance)
    return canvas.colors


def _paint_skin(canvas: Canvas, in_head: FloatArray) -> None:
    x, y, z = in_head
    blotches = np.sin(x * 90 + 2 * np.sin(y * 70)) * np.sin(y * 110 + z * 60)
    canvas.colors *= 1 + np.float32(0.025) * blotches[:, None]
    ears = np.exp(-(((y - 0.004) / 0.016) ** 2) - ((z + 0.010) / 0.009) ** 2)
    canvas.tint((0.8, 0.6, 0.58), ears * step(np.abs(x), 0.07, 0.08))


def _paint_hair(canvas: Canvas, surface: SurfacePoints, hair: Rgb) -> None:
    x, y, z = surface.in_head
    around = np.arctan2(x, z + np.float32(0.03))
    strands = np.sin(around * 46 + 3 * np.sin(y * 60 + around * 4)) * np.sin(around * 17 + y * 25)
    shades = 1 + np.float32(0.22) * strands
    canvas.lay(np.array(hair, np.float32) * shades[:, None], step(surface.hair, 0.35, 0.65))


def _paint_shirt(
    canvas: Canvas, surface: SurfacePoints, points: FloatArray, appearance: Appearance
) -> None:
    x, y, z = points
    below = y + np.float32(0.160) + np.float32(0.25) * np.maximum(z, 0)
    below -= np.float32(0.15) * np.abs(x)
    shirt = step(below, 0.0015, -0.0015) * step(surface.torso, 0.2, 0.5)
    canvas.lay(appearance.shirt, shirt)
    seam = step(np.abs(below + np.float32(0.006)), 0.0045, 0.003)
    stripes = step(np.sin(y * 210), 0.55, 0.7) * step(below, -0.012, -0.014)
    canvas.lay(appearance.stripe, shirt * np.clip(seam + stripes, 0, 1))
