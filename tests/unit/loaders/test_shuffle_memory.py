"""What shuffling takes is said beforehand and stays within the budget."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.errors import ConfigurationError
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import VideoIndex, build_video_index
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.loaders.shuffle_memory import KeptVideo, measure_video, plan_memory
from tests.support.videos import write_video

VIDEO = KeptVideo(decoder_bytes=7_000, thread_bytes=1_000, frame_bytes=1_000, array_bytes=2_000)


@given(
    memory_bytes=st.integers(0, 10_000_000),
    most_lanes=st.integers(1, 100),
    threads=st.integers(1, 64),
)
def test_never_more_than_the_budget(memory_bytes: int, most_lanes: int, threads: int) -> None:
    try:
        memory = plan_memory(
            VIDEO, memory_bytes=memory_bytes, most_lanes=most_lanes, threads=threads
        )
    except ConfigurationError as error:
        assert memory_bytes < 7_000 + 64 * 6_000
        assert "MB at least" in str(error)  # noqa: PT017
        return
    assert memory.total_bytes <= memory_bytes
    assert memory.total_bytes > memory_bytes - VIDEO.decoder_bytes - threads * VIDEO.thread_bytes
    assert 1 <= memory.mixing.n_lanes <= most_lanes


def test_decoders_take_a_third_at_most() -> None:
    memory = plan_memory(VIDEO, memory_bytes=2_100_000, most_lanes=1000, threads=2)
    assert memory.mixing.n_lanes == 100


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> VideoIndex:
    path = tmp_path_factory.mktemp("memory") / "v.mp4"
    return build_video_index(write_video(path, 4, size=(320, 240)))


def test_a_frame_is_never_larger_than_it_was_said_to_be(tmp_path: Path) -> None:
    for width, height in [(64, 48), (100, 74), (318, 242)]:
        path = write_video(tmp_path / f"{width}.mp4", 2, size=(width, height))
        with VideoReader(path) as reader:
            kept = measure_video(reader.index, FrameFormat())
            assert reader.decode(0).nbytes <= kept.thread_bytes


def test_the_smaller_of_frame_and_array_is_kept(index: VideoIndex) -> None:
    rgb = measure_video(index, FrameFormat())
    assert not rgb.keeps_array
    assert rgb.array_bytes == 320 * 240 * 3
    small = measure_video(index, FrameFormat(scale=0.5))
    assert small.keeps_array
    assert small.frame_bytes == 160 * 120 * 3


def test_references_are_bounded_by_the_level(index: VideoIndex) -> None:
    kept = measure_video(index, FrameFormat())
    # avcC's level 5.1 allows 184,320 macroblocks: more than 16 frames of 300.
    high = replace(index, extradata=index.extradata[:3] + b"\x33" + index.extradata[4:])
    assert measure_video(high, FrameFormat()).decoder_bytes == 19 * kept.thread_bytes
    # Level 1.1: 900 macroblocks.
    low = replace(index, extradata=index.extradata[:3] + b"\x0b" + index.extradata[4:])
    assert measure_video(low, FrameFormat()).decoder_bytes == 6 * kept.thread_bytes
    other = replace(index, extradata=b"")
    assert measure_video(other, FrameFormat()).decoder_bytes == 19 * kept.thread_bytes
