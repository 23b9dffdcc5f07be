"""Pictures of a `HeadShape`: an image on white and its alpha map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nersemble_async.synthetic.head_shape import HeadShape
from nersemble_async.synthetic.head_texture import Appearance
from nersemble_async.synthetic.lighting import shaded_colors
from nersemble_async.synthetic.motion import HeadState
from nersemble_async.synthetic.ray_marching import Camera, march

_PIXELS_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """What one camera sees."""

    image: npt.NDArray[np.uint8]
    """(H, W, 3) RGB on white."""
    alpha_map: npt.NDArray[np.uint8]
    """(H, W): 255 on the head and shoulders, 0 beside them, soft over a pixel between."""


def render(shape: HeadShape, appearance: Appearance, state: HeadState, camera: Camera) -> Rendering:
    """What ``camera`` sees of ``shape``; ``state`` says how eyes and mouth are painted."""
    width, height = camera.frame_size
    colors = np.full((width * height, 3), 255, np.float32)
    alpha = np.zeros(width * height, np.float32)
    for first in range(0, width * height, _PIXELS_AT_ONCE):
        pixels = np.arange(first, min(first + _PIXELS_AT_ONCE, width * height))
        y, x = np.divmod(pixels.astype(np.float64), width)
        points, coverage, seen = march(shape, camera.rays(x, y), camera.pixel_metres)
        if len(seen) == 0:
            continue
        color = shaded_colors(shape, appearance, state, points)
        colors[pixels[seen]] = 255 * (1 + coverage[:, None] * (color - 1))
        alpha[pixels[seen]] = 255 * coverage
    np.clip(colors, 0, 255, out=colors)
    return Rendering(
        np.rint(colors).astype(np.uint8).reshape(height, width, 3),
        np.rint(alpha).astype(np.uint8).reshape(height, width),
    )
