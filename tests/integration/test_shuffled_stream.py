"""`open_shuffled`: the order, resuming, leaving and cancelling at any moment."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import psutil
import pytest

from nersemble_async.errors import SelectionError
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame import Frame
from nersemble_async.loaders.shuffled import open_shuffled
from tests.support.shuffling import ALL_STEPS, N_FRAMES, write_cameras
from tests.support.videos import RgbImage, decode_all

N_ALL = 3 * N_FRAMES
# Small enough to mix over a few frames only, so that a stream stops in the middle of decoding.
FEW_FRAMES: dict[str, Any] = {"memory_bytes": 700_000, "threads": 2}


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, VideoSource]:
    return write_cameras(tmp_path_factory.mktemp("cameras"))


@pytest.fixture(scope="module")
def images(cameras: dict[str, VideoSource]) -> dict[str, list[RgbImage]]:
    return {serial: decode_all(source.path) for serial, source in cameras.items()}


@pytest.fixture(autouse=True)
def no_file_left() -> Iterator[None]:
    """No video stays open, and no thread that decodes is left."""
    yield
    gc.collect()
    assert open_videos() == []


def open_videos() -> list[str]:
    files = [file.path for file in psutil.Process().open_files() if file.path.endswith(".mp4")]
    threads = [thread.name for thread in threading.enumerate() if "shuffled" in thread.name]
    return files + threads


def name_of(frame: Frame) -> tuple[str, int]:
    return frame.serial, frame.frame_index


@pytest.mark.asyncio
async def test_each_frame_once_over_all_ranks_and_workers(cameras: dict[str, VideoSource]) -> None:
    names = []
    for rank in range(2):
        for worker in range(2):
            async with open_shuffled(
                cameras, ALL_STEPS, seed=1, rank=rank, world_size=2, worker=worker, n_workers=2
            ) as frames:
                part = [name_of(frame) async for frame in frames]
                assert len(part) == len(frames)
                names += part
    assert len(names) == len(set(names)) == N_ALL


@pytest.mark.asyncio
async def test_epochs_differ_and_repeat(cameras: dict[str, VideoSource]) -> None:
    orders = []
    for epoch in (0, 1, 0):
        async with open_shuffled(cameras, ALL_STEPS, seed=1, epoch=epoch) as frames:
            assert frames.epoch == epoch
            assert frames.memory.total_bytes <= 1 << 30
            orders.append([name_of(frame) async for frame in frames])
    assert orders[0] == orders[2] != orders[1]


@pytest.mark.asyncio
async def test_stopped_and_resumed_it_is_one_epoch(
    cameras: dict[str, VideoSource], images: dict[str, list[RgbImage]]
) -> None:
    options = {"seed": 4, "epoch": 2, **FEW_FRAMES}
    async with open_shuffled(cameras, ALL_STEPS, **options) as frames:
        unbroken = [name_of(frame) async for frame in frames]
    names: list[tuple[str, int]] = []
    state = None
    while len(names) < N_ALL:
        async with open_shuffled(cameras, ALL_STEPS, **options, state=state) as frames:
            for _ in range(min(10, N_ALL - len(names))):
                frame = await anext(frames)
                names.append(name_of(frame))
                assert np.array_equal(frame.image, images[frame.serial][frame.frame_index])
            state = json.loads(json.dumps(frames.state_dict()))
    assert names == unbroken
    async with open_shuffled(cameras, ALL_STEPS, **options, state=state) as frames:
        assert [frame async for frame in frames] == []


@pytest.mark.asyncio
async def test_a_state_brings_seed_epoch_and_mixing_along(cameras: dict[str, VideoSource]) -> None:
    async with open_shuffled(cameras, ALL_STEPS, seed=4, epoch=2, **FEW_FRAMES) as frames:
        await anext(frames)
        state = frames.state_dict()
        with pytest.raises(SelectionError, match="has begun"):
            frames.load_state_dict(state)
        rest = [name_of(frame) async for frame in frames]
    async with open_shuffled(cameras, ALL_STEPS, seed=0) as frames:
        frames.load_state_dict(state)
        assert frames.state_dict() == state
        assert [name_of(frame) async for frame in frames] == rest


@pytest.mark.asyncio
async def test_cancelled_at_any_moment_no_frame_is_lost(cameras: dict[str, VideoSource]) -> None:
    async with open_shuffled(cameras, ALL_STEPS, seed=4, **FEW_FRAMES) as frames:
        unbroken = [name_of(frame) async for frame in frames]
    names: list[tuple[str, int]] = []
    n_cancelled = 0
    async with open_shuffled(cameras, ALL_STEPS, seed=4, **FEW_FRAMES) as frames:
        while len(names) < N_ALL:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(cancel_after_turns, scope, len(names) % 4)
                    names.append(name_of(await anext(frames)))
                    tasks.cancel_scope.cancel()
            if scope.cancelled_caught:
                n_cancelled += 1
            if n_cancelled > 200:
                names += [name_of(frame) async for frame in frames]
    assert names == unbroken
    assert n_cancelled > 0


async def cancel_after_turns(scope: anyio.CancelScope, turns: int) -> None:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()
    scope.cancel()


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_while_opening_nothing_stays_open(
    cameras: dict[str, VideoSource], turns: int
) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_after_turns, scope, turns)
            async with open_shuffled(cameras, ALL_STEPS, seed=4, threads=2) as frames:
                async for _ in frames:
                    await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert open_videos() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("n_taken", [0, 1, 5, N_ALL])
async def test_left_early_or_with_an_error_nothing_stays_open(
    cameras: dict[str, VideoSource], n_taken: int
) -> None:
    opened = open_shuffled(cameras, ALL_STEPS, seed=4, **FEW_FRAMES)
    stream = await opened.__aenter__()
    for _ in range(n_taken):
        await anext(stream)
    error = RuntimeError("the user's")
    assert not await opened.__aexit__(RuntimeError, error, None)
    assert open_videos() == []
    with pytest.raises(ValueError, match="was left"):
        await anext(stream)


@pytest.mark.asyncio
async def test_a_missing_video_is_an_error_of_opening(
    cameras: dict[str, VideoSource], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        async with open_shuffled(
            {**cameras, "1": VideoSource(tmp_path / "none.mp4")}, ALL_STEPS, seed=0
        ):
            pass
