"""Layouts, small videos and their frames, for tests of shuffling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.shuffle_layout import ShuffleLayout
from nersemble_async.loaders.shuffle_plan import Mixing, Shard
from tests.support.videos import write_video

SERIALS = ("222200037", "222200038", "222200039")
N_FRAMES = 23
GOP = 5
SIZE = (48, 32)


def layout_of(segment_lengths: Sequence[Sequence[int]]) -> ShuffleLayout:
    """Videos of segments of these lengths; timestep 3 · frame index."""
    columns: list[tuple[int, int, int]] = []
    n_segments = 0
    for video, lengths in enumerate(segment_lengths):
        frame = 0
        for length in lengths:
            columns += [(video, frame + offset, n_segments) for offset in range(length)]
            frame += length
            n_segments += 1
    videos, frames, segments = np.array(columns, np.int64).T
    serials = tuple(str(number) for number in range(len(segment_lengths)))
    return ShuffleLayout(serials, videos, 3 * frames, frames, segments)


LAYOUTS = st.lists(
    st.lists(st.integers(1, 20), min_size=1, max_size=8), min_size=1, max_size=4
).map(layout_of)

MIXINGS = st.builds(Mixing, n_lanes=st.integers(1, 9), buffer_frames=st.integers(1, 60))


@st.composite
def every_shard(draw: st.DrawFn) -> list[Shard]:
    """All ranks and workers of one epoch."""
    world_size, n_workers = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return [
        Shard(rank, world_size, worker, n_workers)
        for rank in range(world_size)
        for worker in range(n_workers)
    ]


def write_cameras(folder: Path, suffix: str = "") -> dict[str, VideoSource]:
    """A small video a serial, of different lengths of groups of pictures."""
    sources = {}
    for number, serial in enumerate(SERIALS):
        path = folder / f"cam_{serial}{suffix}.mp4"
        gop = GOP + number + len(suffix)
        write_video(path, N_FRAMES, size=SIZE, gop=gop, x264_params="scenecut=0")
        sources[serial] = VideoSource(path, path.with_suffix(".index"))
    return sources


ALL_STEPS = [(10 + 2 * index, index) for index in range(N_FRAMES)]
