"""How the stand-in's heads move: pose, jaw, eyes and expression at each moment of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class HeadState:
    """One moment. Angles in radians, lengths in metres; the rest from 0 (rest) to 1 or -1 to 1."""

    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Euler angles, intrinsic, in the order XYZ: nod, turn, tilt."""
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    jaw: float = 0.0
    """How far the jaw is turned open."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Right and up, as the viewer sees it."""
    blink: float = 0.0
    brow: float = 0.0
    """Up, or down and knitted."""
    smile: float = 0.0
    """Or a sad mouth."""
    pucker: float = 0.0
    tongue: float = 0.0

    @property
    def rotation_matrix(self) -> npt.NDArray[np.float64]:
        """(3, 3) head to world: X(nod) · Y(turn) · Z(tilt)."""
        (sx, sy, sz), (cx, cy, cz) = np.sin(self.rotation), np.cos(self.rotation)
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        product: npt.NDArray[np.float64] = about_x @ about_y @ about_z
        return product


@dataclass(frozen=True, slots=True)
class _Amplitudes:
    """How much of what a sequence shows."""

    turn: float = 0.10
    nod: float = 0.05
    tilt: float = 0.04
    sway: float = 0.004
    jaw: float = 0.0
    speech: float = 0.0
    gaze: float = 0.25
    brow: float = 0.25
    smile: float = 0.25
    smile_bias: float = 0.0
    pucker: float = 0.0
    tongue: float = 0.0


_BY_NAME: tuple[tuple[str, _Amplitudes], ...] = (
    ("EXP-1-head", _Amplitudes(turn=0.5, nod=0.25, tilt=0.18, sway=0.008)),
    ("EXP-2-eyes", _Amplitudes(gaze=1.0, brow=0.9)),
    ("EXP-3", _Amplitudes(smile=0.8, pucker=0.6, brow=0.4)),
    ("EXP-4", _Amplitudes(smile=0.6, pucker=1.0, jaw=0.06)),
    ("EXP-5", _Amplitudes(jaw=0.35, smile=0.6, pucker=0.5)),
    ("EXP-6-tongue", _Amplitudes(jaw=0.3, tongue=1.0)),
    ("EXP-8", _Amplitudes(jaw=0.35)),
    ("EXP-9", _Amplitudes(jaw=0.25, turn=0.15)),
    ("EMO-1", _Amplitudes(jaw=0.38, smile=0.5, smile_bias=0.5, nod=0.12)),
    ("EMO-2", _Amplitudes(jaw=0.22, brow=1.0, smile_bias=-0.2)),
    ("EMO-3", _Amplitudes(brow=0.9, smile=0.4, smile_bias=-0.5)),
    ("EMO-4", _Amplitudes(smile=0.7, smile_bias=0.3, brow=0.5)),
    ("SEN", _Amplitudes(speech=0.16, brow=0.35)),
    ("FREE", _Amplitudes(turn=0.3, nod=0.12, tilt=0.1, speech=0.15, gaze=0.6, smile=0.5)),
    ("GLASSES", _Amplitudes(turn=0.28, nod=0.12, tilt=0.08, speech=0.1, smile=0.4)),
    ("HAIR", _Amplitudes(turn=0.45, nod=0.15, tilt=0.12, sway=0.008, smile_bias=0.3)),
)

Motion = Callable[[float], HeadState]
"""From seconds to the head's state."""


def head_motion(sequence_name: str, rng: np.random.Generator) -> Motion:
    """The motion of one sequence: smooth, aperiodic, different for every ``rng``.

    What the sequence's name says is what moves most: EXP-1-head turns, EXP-2-eyes looks around,
    SEN-… speaks, and so on.
    """
    matches = (a for prefix, a in _BY_NAME if sequence_name.startswith(prefix))
    size = next(matches, _Amplitudes())
    waves = {name: _wave(rng, slow) for name, slow in _WAVES}
    blink_phase = float(rng.uniform(0, 3.3))

    def state(seconds: float) -> HeadState:
        w = {name: wave(seconds) for name, wave in waves.items()}
        jaw = size.jaw * max(0.0, 0.35 + 0.9 * w["jaw"]) + size.speech * abs(w["speech"])
        return HeadState(
            rotation=(size.nod * w["nod"], size.turn * w["turn"], size.tilt * w["tilt"]),
            translation=(size.sway * w["x"], size.sway * w["y"], size.sway * w["z"]),
            jaw=jaw,
            gaze=(size.gaze * w["look"], 0.6 * size.gaze * w["lift"]),
            blink=float(np.exp(-((((seconds + blink_phase) % 3.3) - 1.6) ** 2) / 0.008)),
            brow=size.brow * w["brow"],
            smile=float(np.clip(size.smile_bias + size.smile * w["smile"], -1, 1)),
            pucker=size.pucker * max(0.0, w["pucker"]),
            tongue=size.tongue * max(0.0, 0.2 + w["tongue"]) if size.tongue else 0.0,
        )

    return state


_WAVES = (
    ("turn", 0.13),
    ("nod", 0.17),
    ("tilt", 0.11),
    ("x", 0.12),
    ("y", 0.19),
    ("z", 0.15),
    ("jaw", 0.3),
    ("speech", 1.3),
    ("look", 0.21),
    ("lift", 0.27),
    ("brow", 0.23),
    ("smile", 0.16),
    ("pucker", 0.2),
    ("tongue", 0.26),
)
"""Name and base frequency in Hz."""


def _wave(rng: np.random.Generator, frequency_hz: float) -> Callable[[float], float]:
    """Two sines that never meet again, from -1 to 1."""
    first, second = rng.uniform(0, 2 * np.pi, 2)
    rates = 2 * np.pi * frequency_hz * rng.uniform(0.85, 1.15) * np.array([1.0, 1.618])

    def wave(seconds: float) -> float:
        return float(
            0.72 * np.sin(rates[0] * seconds + first) + 0.28 * np.sin(rates[1] * seconds + second)
        )

    return wave
