"""Frames to look at: the first always, motion where it can be seen, and never more than is paid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.formats.video.index import VideoIndex, build_video_index
from nersemble_async.formats.video.packet_plan import plan_packets
from nersemble_async.formats.video.probe import VideoInfo
from nersemble_async.submission.validation.video_sampling import choose_frames, spread
from tests.support.head_videos import write_heads

FULL_SIZE, SMALL_SIZE = (1100, 1604), (64, 96)


def index_of(n_frames: int, gop: int, size: tuple[int, int]) -> VideoIndex:
    """Of a video without B-frames: each frame refers to the one before it."""
    is_keyframe = np.arange(n_frames) % gop == 0
    return VideoIndex(
        info=VideoInfo(*size, n_frames, "packets", n_frames, None, "h264", "yuv420p"),
        extradata=b"",
        color_tags=(0, 0, 0, 0),
        source_bytes=n_frames,
        source_mtime_ns=0,
        offsets=np.arange(n_frames),
        sizes=np.ones(n_frames, np.int64),
        pts=np.arange(n_frames),
        is_shown=np.ones(n_frames, np.bool_),
        is_keyframe=is_keyframe,
        is_disposable=np.zeros(n_frames, np.bool_),
    )


@given(
    st.integers(1, 400), st.integers(1, 300), st.sampled_from([FULL_SIZE, SMALL_SIZE, (512, 512)])
)
def test_few_frames_that_cost_little(n_frames: int, gop: int, size: tuple[int, int]) -> None:
    index = index_of(n_frames, gop, size)
    chosen = choose_frames(index)
    assert chosen == sorted(set(chosen))
    assert chosen[0] == 0
    assert chosen[-1] < n_frames
    assert min(n_frames, 2) <= len(chosen) <= 8
    n_packets = sum(len(run.packets) for run in plan_packets(index, np.array(chosen)))
    assert n_packets * size[0] * size[1] <= 24 * 1100 * 1604


def test_a_small_video_is_looked_at_evenly_to_its_end() -> None:
    chosen = choose_frames(index_of(300, 250, SMALL_SIZE))
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 299, 8)


def test_a_large_video_is_looked_at_around_its_keyframes() -> None:
    chosen = choose_frames(index_of(300, 250, FULL_SIZE))
    assert {0, 250} < set(chosen)
    assert any(0 < frame < 30 for frame in chosen)


def test_b_frames_that_are_not_wanted_cost_nothing(tmp_path: Path) -> None:
    index = build_video_index(write_heads(tmp_path / "a.mp4", 40))
    assert index.is_disposable.any()
    chosen = choose_frames(index)
    assert (chosen[0], chosen[-1]) == (0, 39)


@pytest.mark.parametrize(
    ("n", "most", "expected"),
    [(3, 5, [0, 1, 2]), (5, 5, [0, 1, 2, 3, 4]), (9, 3, [0, 4, 8]), (0, 3, [])],
)
def test_a_spread_keeps_both_ends(n: int, most: int, expected: list[int]) -> None:
    assert spread(range(n), most) == expected
