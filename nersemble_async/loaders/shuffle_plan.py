"""The order of an epoch: a function of the seed alone, computed without decoding. Pure.

Segments (what is wanted of one group of pictures) are laid in a line at random; the line is cut
into a part for each rank and worker, and the part into lanes of equal length, wherever that
falls. The lanes are decoded at the same time, in a random order that lets all end together,
into a reservoir from which frames leave at random. Because lanes begin and end in the
middle of a group of pictures, the beginning and the end of an epoch are as mixed as its middle.

Only NumPy's bit stream is used, which is the same on every platform and in every version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import SelectionError
from nersemble_async.loaders.shuffle_layout import IntArray, ShuffleLayout

_SEGMENTS_A_LANE = 3
"""At least so many: a lane that is one segment would walk through it in step with the epoch. It
also bounds what is decoded only to reach the middle of a segment to a twelfth of the whole."""

_NEAR_FRAMES, _APART_STEPS = 10, 32
"""Frames of one video that lie less than so many apart do not leave within so many steps, ..."""
_MOST_DRAWS = 16
"""... unless so many draws found no other."""
_DRAWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Shard:
    """Whose part of an epoch it is; parts differ by one frame at most.

    Raises:
        SelectionError: on construction; there is no such rank or worker.
    """

    rank: int = 0
    world_size: int = 1
    worker: int = 0
    n_workers: int = 1

    def __post_init__(self) -> None:
        for name, number, count in (
            ("rank", self.rank, self.world_size),
            ("worker", self.worker, self.n_workers),
        ):
            if not 0 <= number < count:
                raise SelectionError(f"there is no {name} {number} of {count}; they count from 0")

    def cut(self, n_frames: int) -> tuple[int, int]:
        """First and end of this part of a line of ``n_frames``."""
        part, parts = self.rank * self.n_workers + self.worker, self.world_size * self.n_workers
        return n_frames * part // parts, n_frames * (part + 1) // parts

    def count(self, n_frames: int) -> int:
        """How many of ``n_frames`` are in this part."""
        first, end = self.cut(n_frames)
        return end - first


@dataclass(frozen=True, slots=True)
class Mixing:
    """How thoroughly frames are mixed; what it takes in memory: `plan_memory`.

    Raises:
        SelectionError: on construction; a number below 1.
    """

    n_lanes: int
    """Decoders that are open at the same time, at most."""
    buffer_frames: int
    """Decoded frames from which the next is drawn."""

    def __post_init__(self) -> None:
        if self.n_lanes < 1 or self.buffer_frames < 1:
            raise SelectionError(f"lanes and buffered frames are at least 1, not {self}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShufflePlan:
    """The n frames of one part of one epoch, n maybe 0.

    When frame ``e`` leaves, exactly the first ``e + buffer_frames`` have been decoded.
    """

    frames: IntArray
    """(n,) positions in the layout, in the order of decoding."""
    lane: IntArray
    """(n,) which decoder decodes each; in a lane they come segment by segment, ascending."""
    emission: IntArray
    """(n,) positions in `frames`, in the order of leaving the buffer."""
    mixing: Mixing
    """What was made of it: fewer lanes than were asked for where there are few segments."""

    def __repr__(self) -> str:
        return f"ShufflePlan({len(self)} frames, {self.mixing})"

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def order(self) -> IntArray:
        """(n,) positions in the layout, in the order in which a user gets them."""
        return self.frames[self.emission]

    def lanes_left(self, position: int) -> list[list[int]]:
        """What each lane still has to decode where the first ``position`` frames have left.

        Returns:
            for each lane, ascending positions in `frames`.
        """
        left = np.ones(len(self), np.bool_)
        left[self.emission[:position]] = False
        by_lane = np.flatnonzero(left)
        by_lane = by_lane[np.argsort(self.lane[by_lane], kind="stable")]
        cuts = np.searchsorted(self.lane[by_lane], np.arange(self.mixing.n_lanes + 1))
        return [by_lane[first:end].tolist() for first, end in pairwise(cuts.tolist())]


def plan_shuffle(
    layout: ShuffleLayout, *, seed: int, epoch: int, shard: Shard, mixing: Mixing
) -> ShufflePlan:
    """The plan of one rank's and worker's part of one epoch.

    Args:
        layout: the same for every rank and worker.
        seed: not negative; the same for every rank and worker.
        epoch: not negative; every epoch is shuffled anew.
        shard: whose part.
        mixing: may differ between ranks and workers.

    Raises:
        SelectionError: a negative seed or epoch.
    """
    if seed < 0 or epoch < 0:
        raise SelectionError(f"seed and epoch are not negative: {seed}, {epoch}")
    first, end = shard.cut(len(layout))
    part = _line_of_segments(layout, _bits(seed, epoch))[first:end]
    bits = _bits(seed, epoch, 1 + shard.rank, 1 + shard.worker)
    n_lanes = count_lanes(layout.segment[part], mixing.n_lanes)
    sizes = np.diff(len(part) * np.arange(n_lanes + 1) // n_lanes)
    order = _interleave(bits, sizes)
    frames, lane = part[order], np.repeat(np.arange(n_lanes), sizes)[order]
    return ShufflePlan(
        frames=frames,
        lane=lane,
        emission=_draw(layout, frames, bits, mixing.buffer_frames),
        mixing=Mixing(n_lanes, mixing.buffer_frames),
    )


def count_lanes(segments: IntArray, most: int) -> int:
    """How many lanes a part with these segments is cut into.

    Args:
        segments: (n,) the segment of each frame, in the order of the line.
        most: so many decoders there may be.
    """
    n_segments = 1 + int((np.diff(segments) != 0).sum())
    return min(most, -(-n_segments // _SEGMENTS_A_LANE))


def most_lanes(layout: ShuffleLayout, shard: Shard) -> int:
    """The number of lanes of a part of a usual size; more decoders are not worth their memory."""
    parts = shard.world_size * shard.n_workers
    return max(1, -(-layout.n_segments // (parts * _SEGMENTS_A_LANE)))


def _bits(seed: int, *key: int) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key))


def _raw(bits: np.random.PCG64, n: int) -> npt.NDArray[np.uint64]:
    return np.asarray(bits.random_raw(n), np.uint64)


def _permutation(bits: np.random.PCG64, n: int) -> IntArray:
    return np.argsort(_raw(bits, n), kind="stable")


def _line_of_segments(layout: ShuffleLayout, bits: np.random.PCG64) -> IntArray:
    rank = np.empty(layout.n_segments, np.int64)
    rank[_permutation(bits, layout.n_segments)] = np.arange(layout.n_segments)
    return np.argsort(rank[layout.segment], kind="stable")


def _interleave(bits: np.random.PCG64, sizes: IntArray) -> IntArray:
    """An order of all lanes' frames in which each lane goes on evenly, but not in a fixed turn.

    Returns:
        (sum of ``sizes``,) positions in the lanes laid one after another.
    """
    within = np.concatenate([np.arange(size, dtype=np.uint64) for size in sizes.tolist()])
    jitter = _raw(bits, len(within)) >> np.uint64(32)
    lengths = np.repeat(np.maximum(sizes, 1).astype(np.uint64), sizes)
    return np.argsort(((within << np.uint64(32)) + jitter) // lengths, kind="stable")


def _draw(layout: ShuffleLayout, frames: IntArray, bits: np.random.PCG64, size: int) -> IntArray:
    """Positions in ``frames``, as they leave a reservoir of ``size`` frames.

    At each step a frame is drawn at random, and the next one that is decoded takes its place. A
    frame whose neighbour in the video left a few steps ago is put back and another drawn: among
    few frames of few segments, chance alone would put them into one batch too often.
    """
    videos = layout.video[frames].tolist()
    times = layout.frame_index[frames].tolist()
    recent: list[list[tuple[int, int]]] = [[] for _ in layout.serials]
    pool = list(range(min(size, len(frames))))
    draws = _draws(bits)
    emission = np.empty(len(frames), np.int64)
    for step in range(len(frames)):
        for _ in range(_MOST_DRAWS):
            # 32 random bits times the size, shifted: exact in integers.
            slot = next(draws) * len(pool) >> 32
            drawn = pool[slot]
            time = times[drawn]
            lately = recent[videos[drawn]]
            if not any(
                left > step - _APART_STEPS and -_NEAR_FRAMES < time - other < _NEAR_FRAMES
                for left, other in lately
            ):
                break
        emission[step] = drawn
        lately[:] = [old for old in lately if old[0] > step - _APART_STEPS]
        lately.append((step, time))
        if step + size < len(frames):
            pool[slot] = step + size
        else:
            pool[slot] = pool[-1]
            pool.pop()
    return emission


def _draws(bits: np.random.PCG64) -> Iterator[int]:
    """Random numbers of 32 bits without end."""
    while True:
        yield from (_raw(bits, _DRAWS_AT_ONCE) >> np.uint64(32)).tolist()
