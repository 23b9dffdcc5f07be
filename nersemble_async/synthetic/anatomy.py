"""Of which ellipsoids a head is made: skull, face, jaw, hair, neck, shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nersemble_async.synthetic.ellipsoids import Part
from nersemble_async.synthetic.motion import HeadState

_JAW_HINGE = np.array([0.0, -0.02, 0.0])


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


def _both_sides(
    center: tuple[float, float, float], radii: tuple[float, float, float], blend: float
) -> list[Part]:
    x, y, z = center
    return [((x, y, z), radii, blend), ((-x, y, z), radii, blend)]


def skin_parts(anatomy: Anatomy, state: HeadState) -> list[Part]:
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


def hair_parts(anatomy: Anatomy, state: HeadState) -> list[Part]:
    """Hair in the head's axes; none where there is none."""
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


def torso_parts(
    state: HeadState,
) -> list[Part]:
    """Neck, shoulders and chest, which stay where they are but for half of the head's sway."""
    x, y, z = (0.5 * value for value in state.translation)
    return [
        ((x, -0.110 + y, -0.026 + z), (0.048, 0.090, 0.050), 0.01),
        ((0, -0.245, -0.035), (0.200, 0.070, 0.080), 0.05),
        ((0, -0.355, -0.010), (0.160, 0.16, 0.105), 0.05),
    ]
