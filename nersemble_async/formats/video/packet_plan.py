"""Which packets a decoder has to see for a set of frames: pure, no bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nersemble_async.formats.video.index import VideoIndex

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PacketRun:
    """Packets to feed to a decoder that begins afresh, and the frames that are wanted of them."""

    packets: IntArray
    """Positions in decoding order, ascending; the first is a keyframe."""
    frame_indices: IntArray
    """Ascending; the decoder gives them in this order."""


def plan_packets(index: VideoIndex, frame_indices: IntArray) -> Iterator[PacketRun]:
    """Runs that together give every frame, each from the last keyframe that it can begin at.

    Packets that no other frame refers to (half of a usual video) are left out unless their own
    frame is wanted: what is decoded stays the same to the bit. Runs that touch are one.

    Args:
        index: of the video.
        frame_indices: strictly ascending, each in the video.
    """
    if len(frame_indices) == 0:
        return
    starts, packets = index.start_packets[frame_indices], index.frame_packets[frame_indices]
    # With B-frames a later frame may come in an earlier packet: a run ends after its latest.
    ends = np.maximum.accumulate(packets + 1)
    cuts = np.flatnonzero(starts[1:] > ends[:-1]) + 1
    for first, last in pairwise([0, *cuts.tolist(), len(frame_indices)]):
        run = np.arange(starts[first:last].min(), packets[first:last].max() + 1)
        needed = ~index.is_disposable[run]
        # Frames shown before the first keyframe refer to what lies before it and was not decoded.
        needed &= index.pts[run] >= index.pts[run[0]]
        needed[packets[first:last] - run[0]] = True
        yield PacketRun(run[needed], frame_indices[first:last])
