"""What streams take in memory is known before anything is decoded."""

from __future__ import annotations

import numpy as np
import pytest

from nersemble_async.errors import ConfigurationError
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import VideoIndex, build_video_index
from nersemble_async.formats.video.packet_plan import IntArray, plan_packets
from nersemble_async.loaders.stream_memory import StreamPlan, plan_stream, plan_within
from nersemble_async.loaders.video_lane import plan_stops
from tests.support.streams import encode

RGB = FrameFormat()
ALPHA = FrameFormat(channels="alpha")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> VideoIndex:
    return build_video_index(encode(tmp_path_factory.mktemp("plan") / "video.mp4", 60, (320, 240)))


def within(index: VideoIndex, memory_bytes: int, *, cores: int = 2, extra: int = 0) -> StreamPlan:
    videos = [(index, RGB)] * 3 + [(index, ALPHA)] * 3
    return plan_within(
        videos, memory_bytes=memory_bytes, most_ahead=10, cores=cores, extra_bytes=extra
    )


def test_more_memory_is_more_ahead_and_never_beyond(index: VideoIndex) -> None:
    ahead = []
    for memory_bytes in range(20_000_000, 40_000_000, 100_000):
        plan = within(index, memory_bytes)
        assert plan.memory_needed_bytes <= memory_bytes
        assert plan.sample_bytes == 3 * 320 * 240 * (3 + 1)
        # What is left over holds no further sample.
        if plan.samples_ahead < 10:
            assert memory_bytes - plan.memory_needed_bytes < plan.sample_bytes
        ahead.append(plan.samples_ahead)
    assert ahead == sorted(ahead)
    assert ahead[-1] == 10


def test_too_little_is_refused_and_said_how_much_is_needed(index: VideoIndex) -> None:
    least = within(index, 1 << 30).least_bytes
    assert within(index, least).samples_ahead == 1
    assert within(index, least).memory_needed_bytes == least
    with pytest.raises(ConfigurationError, match=f"6 videos in lock-step take {least / 1e6:.0f}"):
        within(index, least - 1)


def test_pointclouds_count(index: VideoIndex) -> None:
    plan, beside = within(index, 1 << 30), within(index, 1 << 30, extra=5_000_000)
    assert beside.memory_needed_bytes == plan.memory_needed_bytes + 5_000_000


@pytest.mark.parametrize(
    ("n_videos", "cores", "threads"),
    [(1, 1, 1), (1, 2, 2), (1, 64, 16), (2, 2, 1), (2, 16, 8), (13, 2, 1), (13, 16, 1), (4, 16, 4)],
)
def test_threads_of_decoders_make_up_the_cores(
    index: VideoIndex, n_videos: int, cores: int, threads: int
) -> None:
    plan = plan_stream([(index, RGB)] * n_videos, cores=cores)
    assert plan.codec_threads == threads
    if threads == 1:
        assert plan.workers == min(n_videos, cores)
    else:
        assert plan.workers > n_videos


def test_apart_a_sample_is_what_is_more_of_frame_and_array(index: VideoIndex) -> None:
    small = FrameFormat(scale=0.25)
    (apart, together) = (
        plan_stream([(index, small)], cores=cores, samples_ahead=5) for cores in (2, 1)
    )
    assert together.sample_bytes == 80 * 60 * 3
    assert apart.sample_bytes >= 320 * 240 * 3 // 2


# ---- stops on the way ---------------------------------------------------------------------------


def test_stops_are_frames_that_are_decoded_anyway(index: VideoIndex) -> None:
    draw = np.random.default_rng(0)
    for _ in range(100):
        wanted = np.flatnonzero(draw.random(60) < draw.choice([0.02, 0.1, 0.5, 1]))
        stops = plan_stops(index, wanted)
        assert not set(stops) & set(wanted)
        with_stops = np.union1d(wanted, stops)
        assert packets_for(index, with_stops) == packets_for(index, wanted)


def test_stops_are_close_to_each_other(index: VideoIndex) -> None:
    stops = plan_stops(index, np.array([23]))
    assert 1 <= len(stops) <= 3
    assert stops[0] == 0
    assert max(np.diff(stops), default=0) <= 24


def packets_for(index: VideoIndex, frame_indices: IntArray) -> list[int]:
    return [p for run in plan_packets(index, frame_indices) for p in run.packets.tolist()]
