"""Cancelled at any await, the state is kept, nothing is left behind, and a next run goes on."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.progress import (
    BytesReceived,
    FetchEvent,
    FetchReport,
    FileFinished,
    FileStarted,
    Outcome,
)
from nersemble_async.fetch.stream import FetchRun
from tests.support.corpora import Corpus, assert_fetched, digests, pointclouds, state_files
from tests.support.fetching import fetch, settings_for
from tests.support.nginx import run_nginx
from tests.support.tree_watch import TreeWatch

MIB = 1 << 20


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return pointclouds([30_000, 400_000, 1_500_000] * 5 + [12 * MIB])


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def run_alone(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run it in a loop of its own; no task, thread or descriptor may be left by it."""

    async def main() -> None:
        before = open_descriptors()
        await scenario()
        # A socket is closed by the loop, in its next round.
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert open_descriptors() <= before

    before = set(threading.enumerate())
    asyncio.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive(), f"{thread.name} was left behind"


async def cancel_after(
    url: str, root: Path, corpus: Corpus, events: int, turns: int
) -> FetchReport:
    """A fetch that is cancelled from outside, so many events and turns of the loop after its start.

    Its report, which is true at every instant.
    """
    run: FetchRun | None = None
    async with Fetcher(settings_for(url, root)) as fetcher:
        with anyio.CancelScope() as scope:
            async with fetcher.open_fetch(corpus.plan) as run, anyio.create_task_group() as group:

                async def strike() -> None:
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()

                async for _ in run:
                    events -= 1
                    if events == 0:
                        group.start_soon(strike)
    assert run is not None
    return run.report


def test_at_many_instants(tmp_path: Path, corpus: Corpus) -> None:
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    watch = TreeWatch(root, digests(corpus.bodies))
    draw = random.Random(3)
    received_bytes = 0
    fetched = 0
    cancelled = 0
    with run_nginx(served, tmp_path / "nginx", bytes_per_second=40 * MIB) as server:
        for _ in range(60):

            async def scenario() -> None:
                nonlocal received_bytes, fetched, cancelled
                report = await cancel_after(
                    server.url, root, corpus, draw.randrange(1, 9), draw.randrange(60)
                )
                received_bytes += report.received_bytes
                fetched += report.outcomes[Outcome.FETCHED]
                cancelled += report.outcomes[Outcome.SKIPPED] > 0
                assert len(report.files) == len(corpus.plan), "a word on every file"

            run_alone(scenario)
            watch.look()
            assert state_files(root, "quarantine") == []

        async def rest() -> None:
            nonlocal received_bytes, fetched
            run = await fetch(server.url, root, corpus.plan)
            assert run.problems == []
            received_bytes += run.report.received_bytes
            fetched += run.report.outcomes[Outcome.FETCHED]

        run_alone(rest)
    assert cancelled >= 10
    assert_fetched(root, corpus)
    assert state_files(root, "parts") == []
    # What was received was kept each time: not one byte was written twice.
    assert received_bytes == corpus.total_bytes


@pytest.mark.asyncio
async def test_complete_but_not_yet_published(tmp_path: Path) -> None:
    """Cancelled when the last byte is written: nothing is asked of the server again."""
    corpus = pointclouds([300_000])
    (path,) = corpus.paths
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx") as server:
        async with Fetcher(settings_for(server.url, root)) as fetcher:
            received = 0

            def on_event(event: FetchEvent) -> None:
                nonlocal received
                if isinstance(event, BytesReceived):
                    received += event.count_bytes
                    if received == corpus.total_bytes:
                        scope.cancel()

            with anyio.CancelScope() as scope:
                await fetcher.fetch(corpus.plan, on_event=on_event)
        assert scope.cancelled_caught
        assert not (root / path).exists()
        assert server.gets()[path] == 1
        run = await fetch(server.url, root, corpus.plan)
        assert server.gets()[path] == 1
    assert run.problems == []
    assert run.report.received_bytes == 0
    assert_fetched(root, corpus)


@pytest.mark.asyncio
async def test_leaving_the_stream_early_stops_the_run(tmp_path: Path, corpus: Corpus) -> None:
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx", bytes_per_second=40 * MIB) as server:
        async with Fetcher(settings_for(server.url, root)) as fetcher:
            async with fetcher.open_fetch(corpus.plan) as run:
                async for event in run:
                    if isinstance(event, FileStarted):
                        break
            report = run.report
            assert len(report.files) == len(corpus.plan)
            assert report.outcomes[Outcome.SKIPPED] > 0
            # The same fetcher goes on.
            again = await fetcher.fetch(corpus.plan)
    assert again.exit_code == 0
    assert report.received_bytes + again.received_bytes == corpus.total_bytes
    assert_fetched(root, corpus)


@pytest.mark.asyncio
async def test_stop(tmp_path: Path, corpus: Corpus) -> None:
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx", bytes_per_second=40 * MIB) as server:
        async with (
            Fetcher(settings_for(server.url, root)) as fetcher,
            fetcher.open_fetch(corpus.plan) as run,
        ):
            async for event in run:
                if isinstance(event, FileFinished):
                    run.stop()
        assert run.report.cancelled
        assert run.report.exit_code == 130
        again = await fetch(server.url, root, corpus.plan)
    assert again.problems == []
    assert_fetched(root, corpus)


@pytest.mark.asyncio
async def test_a_slow_consumer_slows_the_run_and_loses_nothing(
    tmp_path: Path,
) -> None:
    many = pointclouds([2000] * 400)
    served, root = many.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx") as server:
        async with (
            Fetcher(settings_for(server.url, root)) as fetcher,
            fetcher.open_fetch(many.plan) as run,
        ):
            seen: list[FetchEvent] = [await anext(run)]
            # Nobody takes events: the run comes to a stand, with most of its work undone.
            ended = -1
            while ended != (ended := len(run.report.files)) or ended == 0:
                for _ in range(300):
                    await anyio.lowlevel.checkpoint()
            assert ended < 400
            seen.extend([event async for event in run])
    assert sum(isinstance(event, FileFinished) for event in seen) == 400
    assert_fetched(root, many)
