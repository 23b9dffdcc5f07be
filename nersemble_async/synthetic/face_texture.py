"""The features painted on a face: eyes, brows, mouth, blush, beard, glasses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nersemble_async.synthetic.canvas import Canvas, Rgb, shade, spot, step
from nersemble_async.synthetic.ellipsoids import FloatArray
from nersemble_async.synthetic.motion import HeadState

EYE_X_METRES, EYE_Y_METRES = 0.030, 0.014
MOUTH_Y_METRES = -0.049
_EYE_HALF_WIDTH = 0.0145
_MOUTH_HALF_WIDTH = 0.0255


@dataclass(frozen=True, slots=True)
class FaceColors:
    """What one participant's face is painted with."""

    hair: Rgb
    iris: Rgb
    lips: float
    """How much their colour stands out, 0 to 1."""
    beard: float
    """0 is shaved, 1 is full."""
    freckles: bool
    glasses: bool


def paint_face(canvas: Canvas, in_head: FloatArray, colors: FaceColors, state: HeadState) -> None:
    """Paint points (3, N), metres in the head's axes, of which ``canvas`` holds the skin."""
    face = _Face(canvas, in_head)
    face.paint_skin(colors)
    face.paint_eyes(colors.iris, state)
    face.paint_brows(colors.hair, state.brow)
    face.paint_mouth(colors.lips, state)
    if colors.glasses:
        face.paint_glasses()


class _Face:
    """Coordinates of the points, and the canvas that all features go on."""

    def __init__(self, canvas: Canvas, in_head: FloatArray) -> None:
        self.canvas = canvas
        self.x, self.y, self.z = in_head
        self.side = np.abs(self.x)
        self.front = step(self.z, 0.02, 0.04)

    def paint_skin(self, colors: FaceColors) -> None:
        canvas, x, y, z, side = self.canvas, self.x, self.y, self.z, self.side
        blush = spot((side - 0.04) / 0.022, (y + 0.02) / 0.02) * step(z, 0.0, 0.04)
        canvas.tint((1.03, 0.80, 0.80), blush * np.float32(0.7))
        nose = spot(x / 0.014, (y + 0.016) / 0.013) * step(z, 0.085, 0.1)
        canvas.tint((1.02, 0.87, 0.85), nose)
        if colors.freckles:
            dots = np.sin(x * 900 + 3 * np.sin(y * 400)) * np.sin(y * 1000 + 2 * np.sin(x * 500))
            canvas.tint((0.86, 0.76, 0.66), step(dots, 0.6, 0.85) * blush)
        nostrils = spot((side - 0.0065) / 0.004, (y + 0.0265) / 0.003) * step(z, 0.075, 0.085)
        canvas.tint((0.45, 0.3, 0.3), np.clip(nostrils * 1.3, 0, 1))
        if colors.beard:
            ragged = y + np.sin(x * 260) * np.float32(0.002)
            beard = step(ragged - 0.35 * side, -0.03, -0.048) * step(z, -0.012, 0.01)
            beard *= step(ragged, -0.125, -0.105)
            canvas.lay(shade(colors.hair, 0.8), beard * np.float32(colors.beard))

    def paint_eyes(self, iris: Rgb, state: HeadState) -> None:
        canvas, front = self.canvas, self.front
        across = self.side - np.float32(EYE_X_METRES)
        up = self.y - np.float32(EYE_Y_METRES)
        canvas.tint((0.86, 0.76, 0.74), spot(across / 0.018, (up - 0.002) / 0.013) * front)
        almond = np.maximum(1 - (across / np.float32(_EYE_HALF_WIDTH)) ** 2, 0)
        wide = 0.0075 + 0.002 * max(state.brow, 0.0)
        upper = almond * np.float32(wide * (1 - 0.96 * state.blink))
        lower = almond * np.float32(-0.0055 * (1 - 0.6 * state.blink))
        inside = step(up - upper, 0.0004, -0.0004) * step(up - lower, -0.0004, 0.0004)
        inside *= step(np.abs(across), _EYE_HALF_WIDTH, _EYE_HALF_WIDTH - 0.0005) * front
        canvas.lay((0.95, 0.94, 0.93), inside)
        pupil_x = self.x - np.sign(self.x) * np.float32(EYE_X_METRES)
        pupil_x -= np.float32(0.0055 * state.gaze[0])
        pupil_y = up - np.float32(0.0005 + 0.004 * state.gaze[1])
        radius = np.hypot(pupil_x, pupil_y)
        canvas.lay(iris, inside * step(radius, 0.0068, 0.0062))
        limbus = step(radius, 0.0048, 0.0068) * step(radius, 0.007, 0.0064)
        canvas.tint((0.45, 0.45, 0.5), inside * limbus)
        canvas.lay((0.03, 0.03, 0.04), inside * step(radius, 0.0034, 0.0028))
        glint = np.hypot(pupil_x + np.float32(0.002), pupil_y - np.float32(0.0022))
        canvas.lay((1.0, 1.0, 1.0), inside * step(glint, 0.0016, 0.0010))
        lashes = spot((up - upper) / 0.0011) * step(almond, 0.0, 0.12) * front
        canvas.lay((0.10, 0.07, 0.06), np.clip(lashes * 1.2, 0, 1))

    def paint_brows(self, hair: Rgb, lift: float) -> None:
        side = self.side
        slope = 0.10 - 0.25 * min(lift, 0.0)
        height = np.float32(0.0335 + 0.006 * lift) + (side - 0.03) * np.float32(slope)
        height -= ((side - np.float32(0.034)) / 0.024) ** 2 * np.float32(0.005)
        brows = step(np.abs(self.y - height), 0.0048, 0.0022)
        brows *= step(side, 0.009, 0.014) * step(side, 0.056, 0.046) * self.front
        self.canvas.lay(shade(hair, 0.75), brows * np.float32(0.9))

    def paint_mouth(self, lips: float, state: HeadState) -> None:
        canvas, x, front = self.canvas, self.x, self.front
        drop = np.float32(0.075 * np.sin(state.jaw))
        half_width = _MOUTH_HALF_WIDTH * (1 + 0.22 * state.smile - 0.38 * state.pucker)
        across = x / np.float32(half_width)
        beside = np.abs(across)
        up = self.y - (np.float32(MOUTH_Y_METRES) - drop / 2)
        up -= np.float32(0.007 * state.smile) * (across**2 - np.float32(0.35))
        fade = np.sqrt(np.maximum(1 - across**2, 0))
        gap = (np.float32(0.0006) + drop / 2) * fade
        cupid = 1 - np.float32(0.22) * spot(x / 0.004) * (up > 0)
        rim = np.float32(0.0075 + 0.002 * state.pucker) * cupid * fade
        outer = step(np.abs(up) - gap - rim, 0.0007, -0.0007) * step(beside, 1.02, 0.97)
        canvas.tint((0.93, 0.56, 0.58), outer * front * np.float32(lips))
        inside = step(np.abs(up) - gap, 0.0006, -0.0006) * step(beside, 0.99, 0.93) * front
        canvas.lay((0.22, 0.07, 0.08), inside)
        teeth = step(up - gap, -0.008, -0.007) * step(beside, 0.85, 0.78)
        canvas.lay((0.93, 0.91, 0.86), inside * teeth * min(np.float32(1), drop / 0.008))
        if state.tongue:
            length = gap * np.float32(0.2 + 1.2 * state.tongue) + np.float32(1e-6)
            tongue = (across / np.float32(0.62)) ** 2 + ((up + gap) / length) ** 2
            canvas.lay((0.80, 0.38, 0.40), step(tongue, 1.05, 0.9) * inside)

    def paint_glasses(self) -> None:
        canvas, y, side = self.canvas, self.y, self.side
        radius = np.hypot((side - np.float32(0.031)) * np.float32(0.88), y - np.float32(0.013))
        ahead = step(self.z, 0.03, 0.04)
        rims = step(np.abs(radius - np.float32(0.0215)), 0.0026, 0.0016) * ahead
        bridge = step(np.abs(y - 0.018), 0.0026, 0.0016) * step(side, 0.009, 0.007) * ahead
        temples = step(np.abs(y - 0.017), 0.003, 0.002) * step(side, 0.053, 0.055)
        temples *= step(self.z, -0.012, -0.006)
        canvas.tint((0.93, 0.97, 1.0), step(radius, 0.0215, 0.02) * ahead)
        canvas.lay((0.07, 0.07, 0.09), np.clip(rims + bridge + temples, 0, 1))
