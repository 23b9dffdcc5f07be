"""Who the stand-in's participants are: a shape and colours for every id."""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np

from nersemble_async.synthetic.anatomy import Anatomy
from nersemble_async.synthetic.canvas import Rgb
from nersemble_async.synthetic.face_texture import FaceColors
from nersemble_async.synthetic.head_texture import Appearance

_SKINS: tuple[Rgb, ...] = (
    (0.91, 0.74, 0.64),
    (0.86, 0.67, 0.55),
    (0.79, 0.58, 0.44),
    (0.64, 0.45, 0.33),
    (0.48, 0.32, 0.23),
    (0.93, 0.78, 0.70),
)
_HAIRS: tuple[Rgb, ...] = (
    (0.13, 0.10, 0.09),
    (0.27, 0.18, 0.12),
    (0.42, 0.28, 0.17),
    (0.72, 0.56, 0.34),
    (0.55, 0.25, 0.13),
    (0.60, 0.60, 0.60),
)
_IRISES: tuple[Rgb, ...] = (
    (0.30, 0.45, 0.62),
    (0.35, 0.22, 0.12),
    (0.30, 0.45, 0.28),
    (0.42, 0.34, 0.18),
)
_SHIRTS: tuple[tuple[Rgb, Rgb], ...] = (
    ((0.22, 0.32, 0.55), (0.92, 0.91, 0.86)),
    ((0.55, 0.18, 0.20), (0.85, 0.72, 0.62)),
    ((0.20, 0.38, 0.30), (0.80, 0.78, 0.50)),
    ((0.25, 0.25, 0.28), (0.85, 0.45, 0.30)),
    ((0.80, 0.68, 0.35), (0.35, 0.28, 0.25)),
    ((0.45, 0.35, 0.55), (0.85, 0.82, 0.90)),
)
_FAIR_SKINS, _DARK_SKINS, _DARK_HAIRS = (0, 5), (3, 4), (0, 1, 5)
_BEARDED_SHARE, _FRECKLED_SHARE, _SPECTACLED_SHARE = 0.4, 0.6, 0.15
_STYLES = ("short", "long", "bun", "afro", "bald", "short", "long")

# Two recordings are named after what they show; the rest of the casts of the two benchmarks with
# videos is chosen so that the five of each differ.
_CAST: dict[int, dict[str, int | str | bool]] = {
    388: {"hair": "short", "skin": 0, "hair_color": 2, "shirt": 0, "glasses": True},
    422: {"hair": "bun", "skin": 4, "hair_color": 0, "shirt": 4},
    443: {"hair": "bald", "skin": 1, "hair_color": 1, "shirt": 3, "beard": True},
    445: {"hair": "afro", "skin": 3, "hair_color": 0, "shirt": 1},
    475: {"hair": "long", "skin": 5, "hair_color": 4, "shirt": 2},
    393: {"hair": "bun", "skin": 2, "hair_color": 1, "shirt": 5, "glasses": False},
    404: {"hair": "short", "skin": 0, "hair_color": 3, "shirt": 3, "beard": True},
    461: {"hair": "afro", "skin": 4, "hair_color": 0, "shirt": 4},
    477: {"hair": "long", "skin": 1, "hair_color": 2, "shirt": 1, "glasses": True},
    486: {"hair": "bald", "skin": 3, "hair_color": 0, "shirt": 2, "beard": True},
}


def seeded(seed: int, *labels: object) -> np.random.Generator:
    """A random generator that depends on the labels, not on what was drawn before."""
    text = "/".join(map(str, labels))
    return np.random.default_rng([seed, zlib.crc32(text.encode())])


@cache
def meet(participant_id: int, seed: int) -> tuple[Anatomy, Appearance]:
    """The participant's shape and colours; the same in every benchmark and sequence."""
    rng = seeded(seed, "person", participant_id)
    cast = _CAST.get(participant_id, {})
    style = str(cast.get("hair", rng.choice(_STYLES)))
    skin = int(cast.get("skin", rng.integers(len(_SKINS))))
    natural = _DARK_HAIRS if skin in _DARK_SKINS else range(len(_HAIRS))
    hair_color = int(cast.get("hair_color", rng.choice(natural)))
    iris = 1 if skin in _DARK_SKINS else int(rng.integers(len(_IRISES)))
    shirt = int(cast.get("shirt", rng.integers(len(_SHIRTS))))
    bearded = bool(cast.get("beard", style in ("short", "bald") and rng.random() < _BEARDED_SHARE))
    tint = rng.uniform(0.95, 1.05, 3)
    anatomy = Anatomy(
        width=float(rng.uniform(0.95, 1.06)),
        length=float(rng.uniform(0.97, 1.04)),
        jaw=float(rng.uniform(0.92, 1.18)),
        nose=float(rng.uniform(0.85, 1.25)),
        ears=float(rng.uniform(0.85, 1.12)),
        hair=style,
    )
    red, green, blue = np.minimum(np.array(_SKINS[skin]) * tint, 0.97)
    appearance = Appearance(
        skin=(float(red), float(green), float(blue)),
        hair=_HAIRS[hair_color],
        shirt=_SHIRTS[shirt][0],
        stripe=_SHIRTS[shirt][1],
        face=FaceColors(
            hair=_HAIRS[hair_color],
            iris=_IRISES[iris],
            lips=0.35 if bearded else float(rng.uniform(0.35, 0.9)),
            beard=float(rng.uniform(0.35, 0.8)) if bearded else 0.0,
            freckles=skin in _FAIR_SKINS and bool(rng.random() < _FRECKLED_SHARE),
            glasses=bool(cast.get("glasses", rng.random() < _SPECTACLED_SHARE)),
        ),
    )
    return anatomy, appearance
