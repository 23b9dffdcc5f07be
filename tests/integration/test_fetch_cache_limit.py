"""Many pointclouds through little disk: bounded, in order, and nothing of the user's goes."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from nersemble_async.cache.store import Store
from nersemble_async.errors import CacheError
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.plan import FetchPlan
from nersemble_async.fetch.progress import Outcome
from nersemble_async.formats.pointcloud.pcd_file import read_pointcloud
from tests.support import faults
from tests.support.corpora import Corpus, digests, pointclouds, state_files, visible_files
from tests.support.faulty_server import FaultyServer
from tests.support.fetching import fetch, settings_for
from tests.support.limited_streams import DiskWatch, digest, open_limited, streaming
from tests.support.nginx import Nginx, run_nginx
from tests.support.waiting import wait_until

MIB = 1 << 20
N = 60
CORPUS = pointclouds([200_000 - 100 * (i % 7) for i in range(N)])
FILES = CORPUS.plan.files
LIMIT = 1_000_000
LARGEST = max(map(len, CORPUS.bodies.values()))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return CORPUS.write(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def expected(served: Path) -> dict[int, str]:
    """Digest of each timestep's arrays."""
    return {
        timestep: digest(read_pointcloud(served / file.path)) for timestep, file in enumerate(FILES)
    }


def open_descriptors(watch: DiskWatch) -> int:
    """Of this process, without those of the one who watches."""
    with watch.busy:
        return len(list(Path("/proc/self/fd").iterdir()))


def run_alone(watch: DiskWatch, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run it in a loop of its own; no task, thread or descriptor may be left by it."""

    async def main() -> None:
        before = open_descriptors(watch)
        await scenario()
        for _ in range(3):  # a socket is closed by the loop, in its next round
            await anyio.lowlevel.checkpoint()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert open_descriptors(watch) <= before

    before = set(threading.enumerate())
    asyncio.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive(), f"{thread.name} was left behind"


def assert_bounded(watch: DiskWatch) -> None:
    watch.look()
    assert watch.most_counted_bytes <= LIMIT
    assert LIMIT // 2 < watch.most_bytes <= LIMIT, "reserved before the first byte was written"


def assert_consistent(root: Path, corpus: Corpus, kept: set[str]) -> None:
    """Right bytes under final names, a record for each and no other, all that was kept."""
    found = visible_files(root)
    assert found.items() <= digests(corpus.bodies).items()
    assert kept <= found.keys()
    assert Store(root).records.all().keys() == found.keys()
    assert sum(len(corpus.bodies[path]) for path in found.keys() - kept) <= LIMIT
    for folder in ("pins", "parts", "quarantine"):
        assert state_files(root, folder) == []


# ---- one process ----------------------------------------------------------------------------


@pytest.mark.parametrize("prefetch", [1, None])
def test_everything_through_a_sixtieth(
    served: Path, expected: dict[int, str], tmp_path: Path, prefetch: int | None
) -> None:
    root = tmp_path / "root"
    watch = DiskWatch(root)
    before, later = FILES[5:8], FILES[20]
    order = [*range(N), *range(30, 10, -1)]
    seen: list[tuple[int, str]] = []

    async def scenario(server: Nginx) -> None:
        await fetch(server.url, root, FetchPlan(before))
        settings = settings_for(server.url, root, cache_limit=LIMIT)
        async with Fetcher(settings) as fetcher, open_limited(fetcher, order, prefetch) as frames:
            async for frame in frames:
                seen.append((frame.timestep, digest(frame.pointcloud)))
                if frame.timestep == 20 and len(seen) < N:
                    # It came on demand; now the user wants it.
                    report = await fetcher.fetch(FetchPlan((later,)))
                    assert report.exit_code == 0

    with run_nginx(served, tmp_path / "nginx", bytes_per_second=30 * MIB) as server:
        with watch.watching():
            run_alone(watch, lambda: scenario(server))
        gets = server.gets()
    assert seen == [(timestep, expected[timestep]) for timestep in order]
    assert watch.looks > 5
    assert_bounded(watch)
    assert_consistent(root, CORPUS, {file.path for file in (*before, later)})
    for file in before:
        assert gets[file.path] == 1


@pytest.mark.asyncio
async def test_wanted_later_it_stays(served: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    later = FILES[2]
    with run_nginx(served, tmp_path / "nginx") as server:
        settings = settings_for(server.url, root, cache_limit=LIMIT)
        async with Fetcher(settings) as fetcher, fetcher.open_on_demand() as on_demand:
            for file in FILES[:5]:
                await on_demand.fetch(file)
            report = await fetcher.fetch(FetchPlan((later,)))
            assert report.outcomes == {Outcome.PRESENT: 1}
            for file in FILES[10:30]:
                await on_demand.fetch(file)
            assert visible_files(root).keys() == {later.path, *CORPUS.paths[25:30]}
        assert server.gets()[later.path] == 1


def test_random_cancellations_of_streams(
    served: Path, expected: dict[int, str], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    watch = DiskWatch(root)
    draw = random.Random(11)
    lengths = set()

    async def scenario(server: Nginx) -> None:
        settings = settings_for(server.url, root, cache_limit=LIMIT)
        start = draw.randrange(N)
        order = [*range(start, N), *range(start)]
        seen: list[tuple[int, str]] = []
        turns = draw.randrange(3000)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def strike() -> None:
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()

                group.start_soon(strike)
                async with (
                    Fetcher(settings) as fetcher,
                    open_limited(fetcher, order, draw.randrange(1, 10)) as frames,
                ):
                    async for frame in frames:
                        seen.append((frame.timestep, digest(frame.pointcloud)))  # noqa: PERF401
        assert seen == [(timestep, expected[timestep]) for timestep in order[: len(seen)]]
        lengths.add(len(seen))

    with run_nginx(served, tmp_path / "nginx", bytes_per_second=30 * MIB) as server:
        for _ in range(100):
            run_alone(watch, lambda: scenario(server))
            watch.look()
            assert state_files(root, "pins") == []
    assert len(lengths) > 1, "at different instants"
    assert_bounded(watch)
    assert visible_files(root).items() <= digests(CORPUS.bodies).items()
    assert Store(root).records.all().keys() == visible_files(root).keys()


# ---- several processes ----------------------------------------------------------------------


def lines_of(told: str) -> list[tuple[int, str]]:
    return [(int(one.split()[0]), one.split()[1]) for one in told.splitlines()]


def test_two_processes_share_one_limit(
    served: Path, expected: dict[int, str], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    watch = DiskWatch(root)
    orders = [[*range(N)], [*reversed(range(N))]]
    with (
        run_nginx(served, tmp_path / "nginx", bytes_per_second=10 * MIB) as server,
        watch.watching(),
        ExitStack() as stack,
    ):
        running = [
            stack.enter_context(streaming(server.url, root, LIMIT, order)) for order in orders
        ]
        told = [process.communicate(timeout=100)[0] for process in running]
    for order, process, out in zip(orders, running, told, strict=True):
        assert process.returncode == 0
        assert lines_of(out) == [(timestep, expected[timestep]) for timestep in order]
    assert_bounded(watch)
    assert_consistent(root, CORPUS, set())


def test_killed_in_the_middle_and_again(
    served: Path, expected: dict[int, str], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    watch = DiskWatch(root)
    draw = random.Random(4)
    kept = set(CORPUS.paths[:2])
    with run_nginx(served, tmp_path / "nginx", bytes_per_second=10 * MIB) as server:
        asyncio.run(fetch(server.url, root, FetchPlan(FILES[:2])))
        with watch.watching():
            for _ in range(3):
                start = draw.randrange(N)
                order = [*range(start, N), *range(start)]
                with streaming(server.url, root, LIMIT, order) as process:
                    assert process.stdout is not None
                    for timestep in order[: draw.randrange(1, 15)]:
                        assert process.stdout.readline().split() == [
                            str(timestep),
                            expected[timestep],
                        ]
                    process.kill()
                    process.wait()
                found = visible_files(root)
                assert found.items() <= digests(CORPUS.bodies).items()
                assert kept <= found.keys()
            with streaming(server.url, root, LIMIT, range(N)) as process:
                out = process.communicate(timeout=100)[0]
                assert process.returncode == 0
    assert lines_of(out) == [(timestep, expected[timestep]) for timestep in range(N)]
    assert_bounded(watch)
    assert_consistent(root, CORPUS, kept)


# ---- when it is tight -----------------------------------------------------------------------


@pytest.mark.asyncio
async def test_everything_is_in_use(server: FaultyServer, tmp_path: Path) -> None:
    for path, body in CORPUS.bodies.items():
        server.put(path, body)
    settings = settings_for(server.url, tmp_path, cache_limit=LIMIT)
    async with (
        Fetcher(settings) as fetcher,
        fetcher.open_on_demand() as on_demand,
        AsyncExitStack() as first,
        AsyncExitStack() as rest,
    ):
        await first.enter_async_context(on_demand.open_file(FILES[0]))
        for file in FILES[1:5]:
            await rest.enter_async_context(on_demand.open_file(file))
        on_demand._room.wait_seconds = 0.0  # nobody will let go of any
        with pytest.raises(CacheError, match=r"full of files in use.*NERSEMBLE_CACHE_LIMIT"):
            await on_demand.fetch(FILES[5])
        on_demand._room.wait_seconds = 60.0
        got: list[Path] = []

        async def ask() -> None:
            got.append(await on_demand.fetch(FILES[6]))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await wait_until(lambda: on_demand._room._waiting)
            assert got == []
            await first.aclose()
        assert got == [tmp_path / FILES[6].path]
        assert visible_files(tmp_path).keys() == {*CORPUS.paths[1:5], CORPUS.paths[6]}
    assert CORPUS.paths[5] not in server.gets()


@pytest.mark.asyncio
@pytest.mark.parametrize("known", [True, False])
async def test_larger_than_the_whole_limit(
    server: FaultyServer, tmp_path: Path, known: bool
) -> None:
    corpus = pointclouds([50_000, 300_000])
    small, large = corpus.plan.files
    for path, body in corpus.bodies.items():
        server.put(path, body)
    settings = settings_for(server.url, tmp_path, cache_limit=100_000)
    async with Fetcher(settings) as fetcher, fetcher.open_on_demand() as on_demand:
        if known:
            await on_demand.fetch(small)
        with pytest.raises(CacheError, match=r"more than the whole limit.*100,000"):
            await on_demand.fetch(large)
        await on_demand.fetch(small)
    assert visible_files(tmp_path) == digests({small.path: corpus.bodies[small.path]})
    assert state_files(tmp_path, "parts") == state_files(tmp_path, "pins") == []


@pytest.mark.asyncio
async def test_a_server_that_tells_no_size(server: FaultyServer, tmp_path: Path) -> None:
    """Then it is counted when it has come: the next one makes up for it."""
    for path, body in CORPUS.bodies.items():
        server.put(path, body)
        server.always[path] = faults.chunked
    settings = settings_for(server.url, tmp_path, cache_limit=LIMIT)
    async with Fetcher(settings) as fetcher, fetcher.open_on_demand() as on_demand:
        for file in FILES[:10]:
            await on_demand.fetch(file)
            there = sum(len(CORPUS.bodies[path]) for path in visible_files(tmp_path))
            assert there <= LIMIT + LARGEST
    assert len(visible_files(tmp_path)) in (5, 6)
