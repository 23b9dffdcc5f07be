"""How well `loaders.shuffle_plan` mixes, beside a true shuffle: python -m benchmarks.mixing.

Nothing is decoded: an order is all it takes. The videos are as the dataset's, by default those of
13 cameras with 1118 frames of 1100 x 1604 and a keyframe every 250 frames.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from nersemble_async.loaders.shuffle_layout import IntArray, ShuffleLayout
from nersemble_async.loaders.shuffle_memory import KeptVideo, plan_memory
from nersemble_async.loaders.shuffle_plan import Mixing, Shard, most_lanes, plan_shuffle

NEAR_FRAMES = 10
"""Frames of one video that lie closer look alike."""
BATCH, LONG = 32, 256
_BINS = 10
_FRAME_BYTES = 2_805_760
_ARRAY_BYTES = 1100 * 1604 * 3
_REFERENCES = 4


@dataclass(frozen=True, slots=True)
class MixingFigures:
    """Of one order of an epoch."""

    near_in_a_row: float
    """Share of frames whose predecessor is a near frame of the same video."""
    near_pairs_32: float
    """Pairs of near frames in a batch of 32, on average (of 496)."""
    near_pairs_256: float
    """The same of 256 in a row (of 32,640)."""
    segments_32: float
    """Different groups of pictures in a batch of 32, on average."""
    segments_256: float
    videos_32: float
    """Different videos in a batch of 32, on average."""
    moved_mean: float
    """How far a frame moved from its place in the row of videos, as a share of the epoch; 1/3."""
    moved_p10: float
    """The tenth percentile; 0.051."""
    time_correlation: float
    """Of the place in the epoch with the frame's place in its video; 0."""
    segment_step_correlation: float
    """Of the place in the epoch with the place in the group of pictures; 0."""
    chi2_time: float
    """Chi-square of tenths of the epoch against tenths of the video, by degree of freedom; 1."""
    chi2_video: float
    """The same of tenths of the epoch against videos; 1."""


def measure_order(layout: ShuffleLayout, order: IntArray) -> MixingFigures:
    """Figures of an order of all of the layout's frames."""
    video, frame, segment = layout.video[order], layout.frame_index[order], layout.segment[order]
    first = np.searchsorted(layout.segment, np.arange(layout.n_segments))
    in_segment = order - first[segment]
    place = np.arange(len(order))
    moved = np.abs(place - order) / len(order)
    near = (video[1:] == video[:-1]) & (np.abs(np.diff(frame)) < NEAR_FRAMES)
    return MixingFigures(
        near_in_a_row=float(near.mean()),
        near_pairs_32=_mean(_near_pairs(v, f) for v, f in _windows(BATCH, video, frame)),
        near_pairs_256=_mean(_near_pairs(v, f) for v, f in _windows(LONG, video, frame)),
        segments_32=_mean(len(np.unique(s)) for (s,) in _windows(BATCH, segment)),
        segments_256=_mean(len(np.unique(s)) for (s,) in _windows(LONG, segment)),
        videos_32=_mean(len(np.unique(v)) for (v,) in _windows(BATCH, video)),
        moved_mean=float(moved.mean()),
        moved_p10=float(np.percentile(moved, 10)),
        time_correlation=float(np.corrcoef(place, frame)[0, 1]),
        segment_step_correlation=float(np.corrcoef(place, in_segment)[0, 1]),
        chi2_time=_chi_square(place * _BINS // len(order), frame * _BINS // (frame.max() + 1)),
        chi2_video=_chi_square(place * _BINS // len(order), video),
    )


def dataset_layout(n_videos: int = 13, n_frames: int = 1118, gop: int = 250) -> ShuffleLayout:
    """Videos like the dataset's: all of one length, with keyframes at the same frames."""
    frame = np.tile(np.arange(n_frames), n_videos)
    video = np.repeat(np.arange(n_videos), n_frames)
    segment = video * -(-n_frames // gop) + frame // gop
    serials = tuple(f"2222000{number:02}" for number in range(n_videos))
    return ShuffleLayout(serials, video, frame, frame, segment)


def plan_order(layout: ShuffleLayout, mixing: Mixing, seed: int, epoch: int = 0) -> IntArray:
    """The order of one reader that has the epoch to itself."""
    plan = plan_shuffle(layout, seed=seed, epoch=epoch, shard=Shard(), mixing=mixing)
    return plan.order


def true_order(layout: ShuffleLayout, seed: int) -> IntArray:
    """Any order as likely as any other."""
    return np.random.default_rng(seed).permutation(len(layout))


def buffer_order(layout: ShuffleLayout, buffer_frames: int, seed: int) -> IntArray:
    """What a shuffle buffer behind one sequential decoder gives, for comparison."""
    one_segment = ShuffleLayout(
        layout.serials, layout.video, layout.timestep, layout.frame_index, layout.segment * 0
    )
    return plan_order(one_segment, Mixing(1, buffer_frames), seed)


def averaged(figures: list[MixingFigures]) -> MixingFigures:
    """Field by field; of correlations the mean of their sizes."""
    columns = {
        field.name: [abs(getattr(one, field.name)) for one in figures]
        for field in fields(MixingFigures)
    }
    return MixingFigures(**{name: float(np.mean(column)) for name, column in columns.items()})


def budget_mixing(layout: ShuffleLayout, memory_bytes: int, threads: int = 8) -> Mixing:
    """What a budget buys for frames of 1100 x 1604."""
    video = KeptVideo(
        decoder_bytes=(_REFERENCES + 3) * _FRAME_BYTES,
        thread_bytes=_FRAME_BYTES,
        frame_bytes=_FRAME_BYTES,
        array_bytes=_ARRAY_BYTES,
    )
    lanes = most_lanes(layout, Shard())
    return plan_memory(video, memory_bytes=memory_bytes, most_lanes=lanes, threads=threads).mixing


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=13)
    parser.add_argument("--frames", type=int, default=1118)
    parser.add_argument("--gop", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    layout = dataset_layout(arguments.videos, arguments.frames, arguments.gop)
    seeds = range(arguments.seeds)
    columns = {"true shuffle": [true_order(layout, seed) for seed in seeds]}
    for gib in (0.5, 1, 2, 4):
        mixing = budget_mixing(layout, int(gib * 2**30))
        name = f"{gib} GiB: {mixing.n_lanes} x {mixing.buffer_frames}"
        columns[name] = [plan_order(layout, mixing, seed) for seed in seeds]
    columns["buffer of 384"] = [buffer_order(layout, 384, seed) for seed in seeds]
    print(f"{layout}, mean of {arguments.seeds} seeds\n")
    _print_table(
        {
            name: averaged([measure_order(layout, order) for order in orders])
            for name, orders in columns.items()
        }
    )


def _print_table(columns: Mapping[str, MixingFigures]) -> None:
    print("| |" + "|".join(columns) + "|")
    print("|---|" + "---|" * len(columns))
    for field in fields(MixingFigures):
        cells = [f"{getattr(figures, field.name):.4g}" for figures in columns.values()]
        print(f"|{field.name}|" + "|".join(cells) + "|")


def _windows(size: int, *columns: IntArray) -> Iterator[tuple[IntArray, ...]]:
    for start in range(0, max(1, len(columns[0]) - size + 1), size):
        yield tuple(column[start : start + size] for column in columns)


def _near_pairs(video: IntArray, frame: IntArray) -> float:
    near = (video[:, None] == video) & (np.abs(frame[:, None] - frame) < NEAR_FRAMES)
    return (int(near.sum()) - len(video)) / 2


def _mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))


def _chi_square(rows: IntArray, columns: IntArray) -> float:
    """Of independence, divided by its degrees of freedom; 0 where there is one column."""
    table = np.zeros((int(rows.max()) + 1, int(columns.max()) + 1))
    np.add.at(table, (rows, columns), 1)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
    return float(((table - expected) ** 2 / expected).sum() / max(1, freedom))


if __name__ == "__main__":
    main()
