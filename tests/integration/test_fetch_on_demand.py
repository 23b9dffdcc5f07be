"""Single files for loaders: once for all who ask, ahead of plans, and nothing left behind."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from nersemble_async.cache.store import LocalState, Store
from nersemble_async.errors import (
    AccessDeniedError,
    MissingBenchmarkUrlError,
    NersembleError,
    RemoteFileMissingError,
    TransientFetchError,
)
from nersemble_async.fetch.connection_slots import Priority
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.on_demand import OnDemand
from nersemble_async.fetch.plan import FetchPlan, PlannedFile
from nersemble_async.fetch.progress import FetchEvent, FileFinished, Outcome
from nersemble_async.settings import Settings
from tests.support import faults
from tests.support.corpora import assert_fetched, digests, pointclouds, state_files, visible_files
from tests.support.faulty_server import Answer, Ending, Fault, FaultyServer, Request
from tests.support.fetching import fetch, settings_for
from tests.support.nginx import run_nginx
from tests.support.waiting import wait_until

MIB = 1 << 20
CORPUS = pointclouds([20_000 + 100 * i for i in range(30)])
FILES = CORPUS.plan.files
FIRST = FILES[0]


def put_all(server: FaultyServer, *script: Fault) -> None:
    """The whole corpus, with faults for the first file's requests."""
    for path, body in CORPUS.bodies.items():
        server.put(path, body)
    server.script[FIRST.path].extend(script)


def assert_clean(root: Path) -> None:
    """No pin, no part file and nothing doubted is left."""
    for folder in ("pins", "parts", "quarantine"):
        assert state_files(root, folder) == []


async def settle() -> None:
    for _ in range(30):
        await anyio.lowlevel.checkpoint()


# ---- what is there, what is missing ---------------------------------------------------------


@pytest.mark.asyncio
async def test_fetched_recorded_and_then_simply_there(server: FaultyServer, tmp_path: Path) -> None:
    put_all(server)
    async with Fetcher(settings_for(server.url, tmp_path)) as fetcher:
        async with fetcher.open_on_demand() as on_demand:
            for _ in range(2):
                for file in FILES:
                    async with on_demand.open_file(file) as path:
                        assert path == tmp_path / file.path
                        body = await anyio.Path(path).read_bytes()
                        assert body == CORPUS.bodies[file.path]
                        assert len(state_files(tmp_path, "pins")) == 1
        report = await fetcher.fetch(CORPUS.plan)
    gets = server.gets()
    assert gets.pop("nvs/SHA256SUMS") == 1
    assert gets == Counter(CORPUS.paths)
    assert report.outcomes == {Outcome.PRESENT: len(FILES)}
    assert_fetched(tmp_path, CORPUS)
    assert_clean(tmp_path)


@pytest.mark.asyncio
async def test_what_is_there_needs_neither_url_nor_request(
    server: FaultyServer, tmp_path: Path
) -> None:
    put_all(server)
    await fetch(server.url, tmp_path, FetchPlan(FILES[:2]))
    unrecorded = tmp_path / FILES[2].path
    await anyio.Path(unrecorded).write_bytes(b"put there by hand")
    before = len(server.requests)
    async with (
        Fetcher(Settings(benchmark_folder=tmp_path)) as fetcher,
        fetcher.open_on_demand() as on_demand,
    ):
        for file in FILES[:3]:
            assert await on_demand.fetch(file) == tmp_path / file.path
        with pytest.raises(MissingBenchmarkUrlError):
            await on_demand.fetch(FILES[3])
    assert len(server.requests) == before
    assert unrecorded.read_bytes() == b"put there by hand"
    assert_clean(tmp_path)


@pytest.mark.asyncio
async def test_a_part_that_came_before_is_gone_on_with(
    server: FaultyServer, tmp_path: Path
) -> None:
    put_all(server)
    server.always[FIRST.path] = faults.cut(9000)
    await fetch(server.url, tmp_path, FetchPlan((FIRST,)), retries=0)
    del server.always[FIRST.path]
    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        fetcher.open_on_demand() as on_demand,
    ):
        await on_demand.fetch(FIRST)
    last = server.asked(FIRST.path)[-1]
    assert last.span is not None
    assert last.span[0] > 0
    assert visible_files(tmp_path) == digests({FIRST.path: CORPUS.bodies[FIRST.path]})


# ---- several who ask ------------------------------------------------------------------------


class Gate:
    """A fault that holds answers back until it is opened."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.opened = threading.Event()

    def __call__(self, _request: Request, answer: Answer) -> Answer:
        self.asked.set()
        self.opened.wait(30)
        return answer

    async def wait(self) -> None:
        """Until a request is held back."""
        await anyio.to_thread.run_sync(self.asked.wait, 30)


@pytest.mark.asyncio
async def test_one_transfer_for_all_who_ask(server: FaultyServer, tmp_path: Path) -> None:
    gate = Gate()
    put_all(server, gate)
    got: list[Path] = []
    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        fetcher.open_on_demand() as on_demand,
    ):

        async def ask() -> None:
            got.append(await on_demand.fetch(FIRST))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)
            await gate.wait()
            await settle()
            gate.opened.set()
    assert got == [tmp_path / FIRST.path] * 5
    assert server.gets()[FIRST.path] == 1
    assert_clean(tmp_path)


@pytest.mark.asyncio
async def test_one_who_leaves_takes_nothing_from_the_others(
    server: FaultyServer, tmp_path: Path
) -> None:
    gate = Gate()
    put_all(server, gate)
    got: list[Path] = []
    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        fetcher.open_on_demand() as on_demand,
    ):

        async def ask(scope: anyio.CancelScope) -> None:
            with scope:
                got.append(await on_demand.fetch(FIRST))

        scopes = [anyio.CancelScope() for _ in range(3)]
        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(ask, scope)
            await gate.wait()
            scopes[0].cancel()  # whoever asked first
            await settle()
            gate.opened.set()
    assert len(got) == 2
    assert server.gets()[FIRST.path] == 1
    assert_clean(tmp_path)


@pytest.mark.asyncio
async def test_used_after_it_was_closed(server: FaultyServer, tmp_path: Path) -> None:
    """An error each time: the second one found the first one's request, and waited for ever."""
    put_all(server)
    async with Fetcher(settings_for(server.url, tmp_path)) as fetcher:
        async with fetcher.open_on_demand() as on_demand:
            pass
        for _ in range(2):
            with anyio.fail_after(10), pytest.raises(RuntimeError, match="outside its context"):
                await on_demand.fetch(FIRST)
    assert_clean(tmp_path)


@pytest.mark.asyncio
async def test_left_by_all_it_stops_and_a_later_one_begins_anew(
    server: FaultyServer, tmp_path: Path
) -> None:
    put_all(server, faults.cut(5000, Ending.STALL))
    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        fetcher.open_on_demand() as on_demand,
    ):

        async def ask() -> None:
            await on_demand.fetch(FIRST)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.to_thread.run_sync(server.stalled.wait, 30)
            group.cancel_scope.cancel()
        assert on_demand._requests == {}
        await on_demand.fetch(FIRST)
    assert server.gets()[FIRST.path] == 2
    assert visible_files(tmp_path) == digests({FIRST.path: CORPUS.bodies[FIRST.path]})
    assert_clean(tmp_path)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.status(403), AccessDeniedError),
        (faults.status(404), RemoteFileMissingError),
        (faults.status(503), TransientFetchError),
    ],
)
async def test_all_who_ask_get_the_files_error(
    server: FaultyServer, tmp_path: Path, fault: Fault, kind: type[NersembleError]
) -> None:
    put_all(server)
    server.always[FIRST.path] = fault
    errors: list[NersembleError] = []
    async with (
        Fetcher(settings_for(server.url, tmp_path, retries=1)) as fetcher,
        fetcher.open_on_demand() as on_demand,
    ):

        async def ask() -> None:
            try:
                await on_demand.fetch(FIRST)
            except NersembleError as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
        assert [type(error) for error in errors] == [kind] * 3
        assert len(set(map(id, errors))) == 3
        assert FIRST.path in str(errors[0])
        # It is not remembered, and nothing else is hurt by it.
        del server.always[FIRST.path]
        for file in FILES[:3]:
            await on_demand.fetch(file)
    assert_clean(tmp_path)


# ---- beside a fetch on purpose --------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_loaders_file_comes_before_what_is_left_of_a_plan(tmp_path: Path) -> None:
    corpus = pointclouds([300_000] * 60)
    wanted = corpus.plan.files[-1]
    plan = FetchPlan(corpus.plan.files[:-1])
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    order: list[str] = []
    with run_nginx(served, tmp_path / "nginx", bytes_per_second=6 * MIB) as server:
        settings = settings_for(server.url, root, connections=2)
        async with Fetcher(settings) as fetcher, fetcher.open_on_demand() as on_demand:

            async def ask() -> None:
                await on_demand.fetch(wanted)
                order.append(wanted.path)

            async with anyio.create_task_group() as group:

                def on_event(event: FetchEvent) -> None:
                    if isinstance(event, FileFinished):
                        order.append(event.path)
                        if len(order) == 10:
                            group.start_soon(ask)

                report = await fetcher.fetch(plan, on_event=on_event)
        assert report.exit_code == 0
        asked = [r.path for r in server.requests() if r.path in corpus.bodies]
        assert len({r.connection for r in server.requests()}) <= 2
    assert_fetched(root, corpus)
    assert len(order) == 60
    # Of those that had not begun none is ahead: only what held a connection, or was being
    # hashed and recorded, at that moment.
    assert order.index(wanted.path) <= 10 + 2 + 4
    assert asked.index(wanted.path) <= 10 + 2 + 4


@pytest.mark.asyncio
async def test_the_next_free_connection_is_the_loaders(
    server: FaultyServer, tmp_path: Path
) -> None:
    gate = Gate()
    put_all(server, gate)
    few, wanted = FILES[:5], FILES[-1]  # so few that no size is asked for beforehand
    async with (
        Fetcher(settings_for(server.url, tmp_path, connections=1)) as fetcher,
        fetcher.open_on_demand() as on_demand,
        anyio.create_task_group() as group,
    ):
        waiting = fetcher._slots._queues
        group.start_soon(fetcher.fetch, FetchPlan(few))
        await gate.wait()
        await wait_until(lambda: waiting[Priority.BACKGROUND])
        group.start_soon(on_demand.fetch, wanted)
        await wait_until(lambda: waiting[Priority.LOADER])
        before = len(server.requests)
        gate.opened.set()
    assert server.requests[before].path == wanted.path
    gets = server.gets()
    assert gets.pop("nvs/SHA256SUMS") == 1
    assert gets == Counter([wanted.path, *(file.path for file in few)])


@pytest.mark.asyncio
async def test_a_file_that_a_plan_is_at_is_waited_for(server: FaultyServer, tmp_path: Path) -> None:
    gate = Gate()
    put_all(server, gate)
    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        fetcher.open_on_demand() as on_demand,
        anyio.create_task_group() as group,
    ):
        group.start_soon(fetcher.fetch, FetchPlan((FIRST,)))
        await gate.wait()
        group.start_soon(on_demand.fetch, FIRST)
        await settle()
        gate.opened.set()
    assert server.gets()[FIRST.path] == 1
    async with Fetcher(settings_for(server.url, tmp_path)) as fetcher:
        status = await fetcher.status(CORPUS.plan)
        assert status.assets[0].files[LocalState.COMPLETE] == 1
    assert_clean(tmp_path)


# ---- at any instant -------------------------------------------------------------------------


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def run_alone(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run it in a loop of its own; no task, thread or descriptor may be left by it."""

    async def main() -> None:
        before = open_descriptors()
        await scenario()
        for _ in range(3):  # a socket is closed by the loop, in its next round
            await anyio.lowlevel.checkpoint()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert open_descriptors() <= before

    before = set(threading.enumerate())
    asyncio.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive(), f"{thread.name} was left behind"


MIXED = pointclouds([30_000] * 20 + [400_000] * 10)
LIMIT_BYTES = 900_000


async def read(
    on_demand: OnDemand, file: PlannedFile, scope: anyio.CancelScope, turns: int
) -> None:
    """Use a file, so many turns of the loop from now."""
    with scope:
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        async with on_demand.open_file(file) as path:
            assert await anyio.Path(path).read_bytes() == MIXED.bodies[file.path]


async def use_and_strike(url: str, root: Path, draw: random.Random) -> None:
    """Several readers, of which some, or all, or everything at once is cancelled sometime."""
    everything = anyio.CancelScope()
    files = draw.choices(MIXED.plan.files, k=draw.randrange(1, 12))
    scopes = [anyio.CancelScope() for _ in files]
    struck = draw.choice([scopes, [*scopes[::2], everything], [everything]])
    turns = 1 + draw.randrange(1, 400) // len(struck)

    async def strike() -> None:
        for scope in struck:
            for _ in range(draw.randrange(turns)):
                await anyio.lowlevel.checkpoint()
            scope.cancel()

    settings = settings_for(url, root, cache_limit=LIMIT_BYTES)
    with everything:
        async with (
            Fetcher(settings) as fetcher,
            fetcher.open_on_demand() as on_demand,
            anyio.create_task_group() as group,
        ):
            for file, scope in zip(files, scopes, strict=True):
                group.start_soon(read, on_demand, file, scope, draw.randrange(5))
            group.start_soon(strike)


async def fetch_each(url: str, root: Path) -> None:
    settings = settings_for(url, root, cache_limit=LIMIT_BYTES)
    async with Fetcher(settings) as fetcher, fetcher.open_on_demand() as on_demand:
        for file in MIXED.plan:
            await on_demand.fetch(file)


def test_random_cancellations(tmp_path: Path) -> None:
    served, root = MIXED.write(tmp_path / "served"), tmp_path / "root"
    draw = random.Random(7)
    expected = digests(MIXED.bodies)
    with run_nginx(served, tmp_path / "nginx", bytes_per_second=20 * MIB) as server:
        for _ in range(120):
            run_alone(lambda: use_and_strike(server.url, root, draw))
            assert state_files(root, "pins") == []
            assert state_files(root, "quarantine") == []
            assert visible_files(root).items() <= expected.items()
        run_alone(lambda: fetch_each(server.url, root))
    found = visible_files(root)
    assert found.items() <= expected.items()
    assert sum(len(MIXED.bodies[path]) for path in found) <= LIMIT_BYTES
    assert_clean(root)
    assert Store(root).records.all().keys() == found.keys(), "of each that is there, of no other"
