"""Which cameras' videos are mixed up, from how badly each fits each camera. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

_CLEARLY_BETTER = 0.75
"""Of the misfit. On the stand-in a left/right mix-up leaves a quarter to a half of it; a right
video that is only somewhat blurred or shifted fits its own camera best all the same."""
_LEAST_GAIN_LEVELS = 3.0
"""Below it nothing is to be told: pictures that are all alike, or all of nothing."""
_MOST_CAMERAS = 6
"""Whose orders are all tried: 720."""

Misfits = Mapping[str, Mapping[str, float]]
"""By the serial that a video was submitted for, then by a camera's: mean difference in levels."""


def is_clearly_better(misfit: float, than: float) -> bool:
    """Whether an explanation fits so much better than another that it deserves a warning."""
    return misfit < than * _CLEARLY_BETTER and misfit < than - _LEAST_GAIN_LEVELS


def mixed_up(misfits: Misfits) -> dict[str, str]:
    """The videos that look like another camera's, and which; empty where all is as it should be.

    Of all ways to give the videos to the cameras the one that fits best is taken, and believed if
    it is clearly better than the submitted one, for the videos that move.
    """
    serials = tuple(misfits)
    if not 1 < len(serials) <= _MOST_CAMERAS:
        return {}
    best = min(
        permutations(serials),
        key=lambda order: sum(misfits[s][t] for s, t in zip(serials, order, strict=True)),
    )
    moved = {s: t for s, t in zip(serials, best, strict=True) if s != t}
    if not moved:
        return {}
    n_moved = len(moved)
    as_submitted = sum(misfits[serial][serial] for serial in moved) / n_moved
    rearranged = sum(misfits[serial][camera] for serial, camera in moved.items()) / n_moved
    return moved if is_clearly_better(rearranged, as_submitted) else {}
