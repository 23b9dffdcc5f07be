"""Which pointclouds: tokens, and Python's slice semantics over a sequence's timeline."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nersemble_async.errors import SelectionError
from nersemble_async.fetch.pointcloud_frames import (
    ALL_POINTCLOUD_FRAMES,
    FIRST_POINTCLOUD_FRAME,
    PointcloudFrames,
    TimestepRange,
    parse_pointcloud_frames,
)

BOUNDS = st.none() | st.integers(-2000, 2000)
RANGES = st.builds(
    TimestepRange, BOUNDS, BOUNDS, st.none() | st.integers(1, 30) | st.integers(-30, -1)
)
FRAMES = st.builds(
    PointcloudFrames,
    st.lists(st.integers(0, 5000), min_size=1, max_size=4).map(tuple),
    st.lists(RANGES, max_size=3).map(tuple),
) | st.builds(PointcloudFrames, st.just(()), st.lists(RANGES, min_size=1, max_size=3).map(tuple))
TIMELINES = st.sets(st.integers(0, 1500), min_size=1, max_size=60).map(sorted)


@pytest.mark.parametrize(
    ("tokens", "frames"),
    [
        (["all"], ALL_POINTCLOUD_FRAMES),
        ([":"], ALL_POINTCLOUD_FRAMES),
        (["0"], FIRST_POINTCLOUD_FRAME),
        (["0", "5", "7"], PointcloudFrames((0, 5, 7))),
        (["0 5 7"], PointcloudFrames((0, 5, 7))),
        (["0,5", "7,"], PointcloudFrames((0, 5, 7))),
        (["5", "0", "5", "005"], PointcloudFrames((5, 0))),
        (["0:1118:10"], PointcloudFrames((), (TimestepRange(0, 1118, 10),))),
        (["3:"], PointcloudFrames((), (TimestepRange(3),))),
        (["-10:"], PointcloudFrames((), (TimestepRange(-10),))),
        (["::100"], PointcloudFrames((), (TimestepRange(step=100),))),
        (["1:2:", "9"], PointcloudFrames((9,), (TimestepRange(1, 2),))),
    ],
)
def test_parse(tokens: list[str], frames: PointcloudFrames) -> None:
    assert parse_pointcloud_frames(tokens) == frames


def test_one_text_is_one_token() -> None:
    assert parse_pointcloud_frames("all") == ALL_POINTCLOUD_FRAMES


@pytest.mark.parametrize(
    "token", ["x", "-1", "1.5", "All", "1-5", "0:1:2:3", "٣", "1:x", "9999999999", "0x1", "+1"]
)
def test_other_tokens_are_told_what_to_write(token: str) -> None:
    with pytest.raises(SelectionError, match=r"write all, .*0 5 7.*0:1118:10") as caught:
        parse_pointcloud_frames(["0", token])
    assert repr(token) in str(caught.value)


@pytest.mark.parametrize("tokens", [[], [""], [" ", ","]])
def test_nothing_given(tokens: list[str]) -> None:
    with pytest.raises(SelectionError, match="no pointcloud frames given"):
        parse_pointcloud_frames(tokens)


def test_a_step_of_zero() -> None:
    with pytest.raises(SelectionError, match=r"step .* cannot be 0"):
        parse_pointcloud_frames(["0:9:0"])


@pytest.mark.parametrize("timestep", [-1, True, 1.0, "0"])
def test_what_is_no_timestep(timestep: int) -> None:
    with pytest.raises(SelectionError, match="is not a timestep"):
        PointcloudFrames((timestep,))


@settings(deadline=None)
@given(FRAMES)
@example(ALL_POINTCLOUD_FRAMES)
@example(FIRST_POINTCLOUD_FRAME)
def test_text_and_back(frames: PointcloudFrames) -> None:
    assert parse_pointcloud_frames(str(frames).split()) == frames
    assert parse_pointcloud_frames([str(frames)]) == frames


@settings(deadline=None)
@given(RANGES, st.integers(1, 1500))
def test_a_timeline_without_gaps_is_sliced_as_a_list(frames: TimestepRange, n: int) -> None:
    timeline = list(range(n))
    assert frames.of(timeline) == sorted(timeline[frames.start : frames.stop : frames.step])


@settings(deadline=None)
@given(RANGES, TIMELINES)
def test_a_timeline_with_gaps_gives_what_it_lists_of_the_slice(
    frames: TimestepRange, timeline: list[int]
) -> None:
    without_gaps = list(range(timeline[-1] + 1))
    assert frames.of(timeline) == [t for t in timeline if t in frames.of(without_gaps)]


def test_examples() -> None:
    assert TimestepRange(0, 100, 25).of(range(1118)) == [0, 25, 50, 75]
    assert TimestepRange(-3).of(range(1118)) == [1115, 1116, 1117]
    assert TimestepRange(step=10).of([0, 3, 10, 25, 30]) == [0, 10, 30]
    assert TimestepRange().of([2, 4]) == [2, 4]
    assert TimestepRange().of([]) == []
    assert TimestepRange(5, 3).of(range(10)) == []
