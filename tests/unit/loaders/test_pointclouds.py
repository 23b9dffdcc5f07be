"""Pointclouds as a stream: order, errors in their turn, bounds, nothing left behind."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from nersemble_async.errors import DecodeError, NotCachedError
from nersemble_async.formats.pointcloud.pcd_file import (
    Pointcloud,
    PointcloudField,
    read_pointcloud,
    write_pointcloud,
)
from nersemble_async.loaders.pointclouds import PointcloudStream, open_pointclouds
from tests.support.waiting import wait_until

N = 40
POINT_BYTES = 36


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pointclouds")
    draw = np.random.default_rng(0)
    for timestep in range(N):
        points = draw.standard_normal((500 + 7 * timestep, 3), np.float32)
        colors = draw.integers(0, 256, points.shape).astype(np.float32) / np.float32(255)
        write_pointcloud(folder / f"{timestep}.pcd", Pointcloud(points, colors, points))
    return folder


@dataclass(slots=True)
class Locator:
    """Finds files, some of them late, and counts who holds one."""

    folder: Path
    order: list[int] = field(default_factory=list)
    held: int = 0
    most_held: int = 0
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    missing: set[int] = field(default_factory=set)
    gate: anyio.Event | None = None

    @asynccontextmanager
    async def locate(self, timestep: int) -> AsyncIterator[Path]:
        self.order.append(timestep)
        self.held += 1
        self.most_held = max(self.most_held, self.held)
        try:
            if self.gate is not None and timestep == 0:
                await self.gate.wait()
            for _ in range(self.draw.randrange(4)):
                await anyio.lowlevel.checkpoint()
            if timestep in self.missing:
                raise NotCachedError(f"{timestep}")
            yield self.folder / f"{timestep}.pcd"
        finally:
            self.held -= 1


def assert_is(pointcloud: Pointcloud, folder: Path, timestep: int) -> None:
    expected = read_pointcloud(folder / f"{timestep}.pcd")
    for name in ("points", "colors", "normals"):
        np.testing.assert_array_equal(getattr(pointcloud, name), getattr(expected, name))


async def read_all(frames: PointcloudStream, seen: list[int]) -> None:
    """Note the timesteps as they come: an error may be the end."""
    async for frame in frames:
        seen.append(frame.timestep)  # noqa: PERF401


@pytest.mark.asyncio
@pytest.mark.parametrize("prefetch", [1, 3, None])
async def test_in_the_order_asked_for(folder: Path, prefetch: int | None) -> None:
    timesteps = [*range(10), 3, 3, *reversed(range(20))]
    locator = Locator(folder)
    seen: list[int] = []
    async with open_pointclouds(locator.locate, timesteps, prefetch=prefetch) as frames:
        async for frame in frames:
            seen.append(frame.timestep)
            assert_is(frame.pointcloud, folder, frame.timestep)
        with pytest.raises(StopAsyncIteration):
            await anext(frames)
    assert seen == timesteps
    assert locator.held == 0
    assert locator.most_held <= (prefetch or 16)


@pytest.mark.asyncio
async def test_none_at_all(folder: Path) -> None:
    async with open_pointclouds(Locator(folder).locate, []) as frames:
        assert [frame async for frame in frames] == []


@pytest.mark.asyncio
async def test_a_late_file_does_not_change_the_order(folder: Path) -> None:
    locator = Locator(folder, gate=anyio.Event())
    async with (
        open_pointclouds(locator.locate, range(10), prefetch=4) as frames,
        anyio.create_task_group() as group,
    ):

        async def open_gate() -> None:
            # All but the first are decoded by then.
            await wait_until(lambda: locator.order == [0, 1, 2, 3] and locator.held <= 1)
            assert locator.gate is not None
            locator.gate.set()

        group.start_soon(open_gate)
        assert [frame.timestep async for frame in frames] == [*range(10)]


@pytest.mark.asyncio
async def test_an_error_comes_in_its_turn(folder: Path) -> None:
    locator = Locator(folder, missing={7})
    seen: list[int] = []
    with pytest.raises(NotCachedError, match="7"):
        async with open_pointclouds(locator.locate, range(20)) as frames:
            await read_all(frames, seen)
    assert seen == [*range(7)]
    assert locator.held == 0


@pytest.mark.asyncio
async def test_after_an_error_the_stream_has_ended(folder: Path) -> None:
    async with open_pointclouds(Locator(folder, missing={1}).locate, range(20)) as frames:
        await anext(frames)
        with pytest.raises(NotCachedError):
            await anext(frames)
        with pytest.raises(StopAsyncIteration):
            await anext(frames)


@pytest.mark.asyncio
async def test_a_broken_file(folder: Path, tmp_path: Path) -> None:
    for timestep in range(3):
        body = (folder / f"{timestep}.pcd").read_bytes()
        (tmp_path / f"{timestep}.pcd").write_bytes(body[: -5 if timestep == 2 else None])
    seen: list[int] = []
    with pytest.raises(DecodeError, match=r"2\.pcd"):
        async with open_pointclouds(Locator(tmp_path).locate, range(3)) as frames:
            await read_all(frames, seen)
    assert seen == [0, 1]


@pytest.mark.asyncio
async def test_the_bytes_ahead_are_bounded(folder: Path) -> None:
    """Nobody takes a frame: reading ahead comes to a stand where the memory ends."""
    locator = Locator(folder)
    limit = 5 * 600 * POINT_BYTES
    async with open_pointclouds(
        locator.locate, range(N), prefetch=N, prefetch_bytes=limit
    ) as frames:
        await anext(frames)
        budget = frames._budget
        most, still = 0, 0
        while still < 300:
            await anyio.lowlevel.checkpoint()
            moving = locator.held > 0
            still = 0 if moving else still + 1
        held = [a.pointcloud for a in frames._ahead.values() if a.pointcloud is not None]
        most = sum(one.points.nbytes * 3 for one in held)
        assert 2 <= len(held) <= 5
        assert most <= budget.held_bytes <= limit + 600 * POINT_BYTES
        assert [frame.timestep async for frame in frames] == [*range(1, N)]
    assert locator.held == 0


@pytest.mark.asyncio
async def test_one_that_is_larger_than_the_memory_comes_alone(folder: Path) -> None:
    locator = Locator(folder)
    async with open_pointclouds(locator.locate, range(10), prefetch_bytes=1) as frames:
        assert [frame.timestep async for frame in frames] == [*range(10)]


@pytest.mark.asyncio
async def test_only_the_fields_wanted(folder: Path) -> None:
    fields: list[PointcloudField] = ["points"]
    async with open_pointclouds(Locator(folder).locate, [4], fields=fields) as frames:
        frame = await anext(frames)
    expected = read_pointcloud(folder / "4.pcd")
    np.testing.assert_array_equal(frame.pointcloud.points, expected.points)
    assert frame.pointcloud.colors.shape == frame.pointcloud.normals.shape == (0, 3)


@pytest.mark.asyncio
@pytest.mark.parametrize("given", [{"prefetch": 0}, {"prefetch_bytes": 0}])
async def test_no_room_at_all_is_refused(folder: Path, given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        async with open_pointclouds(Locator(folder).locate, [0], **given):  # type: ignore[arg-type]
            pass


@pytest.mark.asyncio
async def test_the_readers_own_error_comes_through(folder: Path) -> None:
    locator = Locator(folder)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - it is raised within
        async with open_pointclouds(locator.locate, range(N)) as frames:
            await anext(frames)
            raise ZeroDivisionError
    assert locator.held == 0


# ---- leaving at any instant -----------------------------------------------------------------


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def run_alone(scenario: Callable[[], Awaitable[None]]) -> None:
    """In a loop of its own; no task, thread or descriptor may be left by it."""

    async def main() -> None:
        before = open_descriptors()
        await scenario()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert open_descriptors() <= before

    before = set(threading.enumerate())
    asyncio.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive(), f"{thread.name} was left behind"


def test_cancelled_at_many_instants(folder: Path) -> None:
    draw = random.Random(5)
    counts = []
    for _ in range(150):

        async def scenario() -> None:
            locator = Locator(folder, draw=draw)
            turns = draw.randrange(120)
            seen: list[int] = []
            async with anyio.create_task_group() as group:

                async def read() -> None:
                    async with open_pointclouds(
                        locator.locate, range(N), prefetch=draw.randrange(1, 9)
                    ) as frames:
                        await read_all(frames, seen)

                group.start_soon(read)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            assert seen == [*range(len(seen))]
            assert locator.held == 0
            counts.append(len(seen))

        run_alone(scenario)
    assert len(set(counts)) > 3, "at different instants"


def test_a_cancelled_reader_loses_no_frame(folder: Path) -> None:
    """`anext` is cancelled again and again; the frames that come are all of them, in order."""

    async def strike(turns: int, scope: anyio.CancelScope) -> None:
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    async def scenario() -> None:
        draw = random.Random(2)
        seen: list[int] = []
        async with open_pointclouds(Locator(folder).locate, range(N), prefetch=2) as frames:
            while len(seen) < N:
                async with anyio.create_task_group() as group:
                    scope = anyio.CancelScope()
                    group.start_soon(strike, draw.randrange(30), scope)
                    with scope:
                        seen.append((await anext(frames)).timestep)
        assert seen == [*range(N)]

    run_alone(scenario)
