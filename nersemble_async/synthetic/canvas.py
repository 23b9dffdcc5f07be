"""Colours of surface points that masks of paint are laid over."""

from __future__ import annotations

import numpy as np

from nersemble_async.synthetic.ellipsoids import FloatArray

Rgb = tuple[float, float, float]
"""0 to 1 for each channel, as stored in a picture."""


class Canvas:
    """Colours (N, 3) in the making."""

    def __init__(self, colors: FloatArray) -> None:
        self.colors = colors

    def lay(self, color: Rgb | FloatArray, mask: FloatArray) -> None:
        """Mix in ``color``, one or (N, 3), where ``mask`` (N,), from 0 to 1, says so."""
        self.colors += (np.asarray(color, np.float32) - self.colors) * mask[:, None]

    def tint(self, factor: Rgb, mask: FloatArray) -> None:
        """Multiply by ``factor`` where ``mask`` says so."""
        self.colors *= 1 + (np.asarray(factor, np.float32) - 1) * mask[:, None]


def step(value: FloatArray, low: float, high: float) -> FloatArray:
    """0 below ``low``, 1 above ``high``, smooth between; falling where ``low`` > ``high``."""
    t = np.clip((value - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    smooth: FloatArray = t * t * (3 - 2 * t)
    return smooth


def spot(*offsets: FloatArray) -> FloatArray:
    """1 in the middle, fading like a Gaussian; ``offsets`` are distances over radii."""
    squares = np.zeros_like(offsets[0])
    for offset in offsets:
        squares -= offset * offset
    return np.exp(squares)


def shade(color: Rgb, factor: float) -> Rgb:
    """``color``, darker or lighter."""
    red, green, blue = color
    return red * factor, green * factor, blue * factor
