"""Which frames of a video tell most for the least decoding. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.packet_plan import plan_packets

_BUDGET_PIXELS = 24 * 1100 * 1604
"""To be decoded: a fifth of a second on one core."""
_MOST_FRAMES = 8
_MOST_KEYFRAMES = 4
_STEPS = (16, 6)
"""Frames after a keyframe that are looked at for motion: cheap, and no blink away."""


def choose_frames(index: VideoIndex) -> list[int]:
    """Up to eight frames, ascending, the first among them, and the last if it is near.

    Small or short videos are looked at evenly; of large ones keyframes and what follows them.
    """
    n_frames = index.n_frames
    pixels = max(1, index.info.width * index.info.height)
    most_packets = max(2, _BUDGET_PIXELS // pixels)
    everywhere = spread(range(n_frames), _MOST_FRAMES)
    if _cost_packets(index, everywhere) <= most_packets:
        return everywhere
    keyframes = spread(index.keyframes.tolist(), _MOST_KEYFRAMES)
    near = [keyframe + step for step in _STEPS for keyframe in keyframes]
    chosen = [0]
    for frame in (*keyframes, n_frames - 1, *everywhere, *near, 1):
        if len(chosen) == _MOST_FRAMES:
            break
        if frame < n_frames and frame not in chosen:
            wider = sorted((*chosen, frame))
            if _cost_packets(index, wider) <= most_packets:
                chosen = wider
    return chosen


def spread(items: Sequence[int], most: int) -> list[int]:
    """At most so many of them, evenly, the first and the last included."""
    if len(items) <= most:
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, most)]


def _cost_packets(index: VideoIndex, frames: Sequence[int]) -> int:
    return sum(len(run.packets) for run in plan_packets(index, np.array(frames, np.int64)))
