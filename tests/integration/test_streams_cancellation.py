"""Streams left at hundreds of instants, in every way: no decoder, file, task or thread stays."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from nersemble_async.errors import DecodeError
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud, write_pointcloud
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frames import open_frames
from nersemble_async.loaders.multi_view import open_multi_view
from tests.support.streams import SERIALS, break_frame, encode, run_alone, steps_of

N = 50
Open = Callable[[], AbstractAsyncContextManager[AsyncIterator[Any]]]


class Mine(Exception):  # noqa: N818 - no error, but a way out
    """What a user raises."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    for place, serial in enumerate(SERIALS):
        encode(folder / f"{serial}.mp4", N, shift=100 * place)
    points = np.random.default_rng(0).standard_normal((500, 3), np.float32)
    for timestep, _ in steps_of(range(N)):
        write_pointcloud(folder / f"{timestep}.pcd", Pointcloud(points, points, points))
    return folder


async def leave(opened: Open, draw: random.Random) -> str:
    """Use a stream and leave it at a drawn instant in a drawn way; how it ended."""
    way = draw.choice(["cancel", "cancel", "cancel", "break", "raise", "close"])
    n_items, turns = draw.randrange(N // 2), draw.randrange(40)
    n_seen = 0

    async def strike() -> None:
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            if way == "cancel" and n_items == 0:  # while it opens
                group.start_soon(strike)
            async with opened() as stream:
                async for _ in stream:
                    n_seen += 1
                    if n_seen != n_items:
                        continue
                    if way == "break":
                        break
                    if way == "raise":
                        raise Mine
                    if way == "close":
                        await stream.aclose()  # type: ignore[attr-defined]
                    else:
                        group.start_soon(strike)
    return "cancelled" if scope.cancelled_caught else way


def leave_often(folder: Path, opens: list[Open], n_times: int, seed: int) -> dict[str, int]:
    draw = random.Random(seed)
    endings: dict[str, int] = {}
    for time in range(n_times):
        opened = opens[time % len(opens)]

        async def scenario(opened: Open = opened) -> None:
            try:
                ending = await leave(opened, draw)
            except* Mine:
                ending = "raise"
            except* DecodeError:
                ending = "broken"
            endings[ending] = endings.get(ending, 0) + 1

        run_alone(folder, scenario)
    return endings


def test_one_camera_is_left_at_hundreds_of_instants(folder: Path) -> None:
    video, alpha = (VideoSource(folder / f"{serial}.mp4") for serial in SERIALS[:2])
    dense, sparse = steps_of(range(N)), steps_of(range(3, N, 2))
    opens: list[Open] = [
        lambda: open_frames(video, dense, serial="1", codec_threads=3),
        lambda: open_frames(video, dense, serial="1", codec_threads=1, prefetch=1),
        lambda: open_frames(video, dense, serial="1", alpha=alpha, codec_threads=2, prefetch=4),
        lambda: open_frames(video, sparse, serial="1", alpha=alpha),
    ]
    endings = leave_often(folder, opens, 160, seed=1)
    assert min(endings[way] for way in ("cancelled", "break", "raise", "close")) >= 10


def test_many_cameras_are_left_at_hundreds_of_instants(folder: Path) -> None:
    videos = {serial: VideoSource(folder / f"{serial}.mp4") for serial in SERIALS}
    steps = steps_of(range(N))
    held = 0

    @asynccontextmanager
    async def locate(timestep: int) -> AsyncIterator[Path]:
        nonlocal held
        held += 1
        try:
            await anyio.lowlevel.checkpoint()
            yield folder / f"{timestep}.pcd"
        finally:
            held -= 1

    two = {serial: videos[serial] for serial in SERIALS[:2]}
    opens: list[Open] = [
        lambda: open_multi_view(videos, steps, alphas=videos),
        lambda: open_multi_view(videos, steps, pointclouds=locate),
        lambda: open_multi_view(two, steps, memory_bytes=3_000_000),
    ]
    endings = leave_often(folder, opens, 150, seed=2)
    assert min(endings[way] for way in ("cancelled", "break", "raise", "close")) >= 10
    assert held == 0


def test_one_broken_camera_leaves_nothing_either(folder: Path, tmp_path: Path) -> None:
    videos = {serial: VideoSource(folder / f"{serial}.mp4") for serial in SERIALS}

    async def break_one() -> None:
        source = videos[SERIALS[1]].path
        videos[SERIALS[1]] = await break_frame(source, tmp_path / "broken.mp4", 20)

    run_alone(folder, break_one)
    broken, steps = videos[SERIALS[1]], steps_of(range(N))
    opens: list[Open] = [
        lambda: open_multi_view(videos, steps),
        lambda: open_frames(broken, steps, serial="1", codec_threads=2),
        lambda: open_frames(broken, steps, serial="1", codec_threads=1),
    ]
    endings = leave_often(tmp_path, opens, 45, seed=3)
    assert endings["broken"] >= 5
    assert endings["cancelled"] >= 5
