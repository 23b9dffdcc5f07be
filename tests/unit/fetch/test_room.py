"""How much room a plan will take: known sizes, one sample of each large group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.store import Store
from nersemble_async.errors import DiskFullError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.fetch.room import Estimate, estimate, require_room
from nersemble_async.workers import run_blocking
from tests.support import faults
from tests.support.corpora import planned_pointcloud
from tests.support.faulty_server import Fault, FaultyServer, run_faulty_server
from tests.support.run_contexts import run_context

SIZE = 5000
FILES = [planned_pointcloud(timestep) for timestep in range(60)]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with run_faulty_server() as running:
        for file in FILES:
            running.put(file.path, bytes(SIZE))
        yield running


async def estimated(server: FaultyServer, root: Path, files: list[PlannedFile]) -> Estimate:
    async with run_context(server.url, root, retries=1) as run:
        looked = await run_blocking(run.threads, run.store.look_at, [file.path for file in files])
        return await estimate(run, files, {local.path: local for local in looked})


def heads(server: FaultyServer) -> list[str]:
    return [request.path for request in server.requests if request.method == "HEAD"]


def begin(root: Path, file: PlannedFile, size_bytes: int, here_bytes: int) -> None:
    """Leave a part file of it."""
    with Store(root).open_partial(file.path) as part:
        part.begin(RemoteIdentity(size_bytes, '"a"'))
        part.write(0, bytes(here_bytes))


@pytest.mark.asyncio
async def test_nothing_to_do(server: FaultyServer, tmp_path: Path) -> None:
    assert await estimated(server, tmp_path, []) == Estimate(0, 0, complete=True)


@pytest.mark.asyncio
async def test_one_question_for_a_large_group(server: FaultyServer, tmp_path: Path) -> None:
    found = await estimated(server, tmp_path, FILES)
    assert found == Estimate(60 * SIZE, 60 * SIZE, complete=True)
    assert heads(server) == [FILES[0].path]
    assert server.gets() == {}


@pytest.mark.asyncio
async def test_no_question_for_a_small_group(server: FaultyServer, tmp_path: Path) -> None:
    found = await estimated(server, tmp_path, FILES[:7])
    assert found == Estimate(0, 0, complete=False)
    assert heads(server) == []


@pytest.mark.asyncio
async def test_groups_are_sampled_apart(server: FaultyServer, tmp_path: Path) -> None:
    others = [
        replace(file, path=file.path.replace("388", "422"), participant_id=422) for file in FILES
    ]
    for file in others:
        server.put(file.path, bytes(2 * SIZE))
    found = await estimated(server, tmp_path, [*FILES, *others])
    assert found == Estimate(180 * SIZE, 180 * SIZE, complete=True)
    assert sorted(heads(server)) == sorted([FILES[0].path, others[0].path])


@pytest.mark.asyncio
async def test_what_is_on_disk_already_is_no_question(server: FaultyServer, tmp_path: Path) -> None:
    """Part files know their sizes; their mean stands for the rest of their group."""
    await anyio.to_thread.run_sync(begin, tmp_path, FILES[7], 1000, 400)
    await anyio.to_thread.run_sync(begin, tmp_path, FILES[8], 3000, 1000)
    found = await estimated(server, tmp_path, FILES)
    assert heads(server) == []
    assert found.expected_bytes == 1000 + 3000 + 58 * 2000
    assert found.missing_bytes == found.expected_bytes - 1400
    assert found.complete


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fault", [faults.status(404), faults.status(403), faults.status(500), faults.silence()]
)
async def test_a_server_that_does_not_say_is_no_error_yet(
    server: FaultyServer, tmp_path: Path, fault: Fault
) -> None:
    server.always[FILES[0].path] = fault
    assert await estimated(server, tmp_path, FILES) == Estimate(0, 0, complete=False)


@pytest.mark.asyncio
async def test_a_server_that_tells_no_length(server: FaultyServer, tmp_path: Path) -> None:
    server.always[FILES[0].path] = faults.headers(content_length=None, transfer_encoding="chunked")
    assert await estimated(server, tmp_path, FILES) == Estimate(0, 0, complete=False)


def test_a_plan_that_fits_to_the_byte() -> None:
    require_room(Estimate(10**12, 10**9, complete=True), 10**9, "/data")


def test_a_plan_that_does_not_fit_says_how_much_and_what_to_do() -> None:
    with pytest.raises(DiskFullError) as caught:
        require_room(Estimate(69_600_000_000, 60_000_000_000, complete=False), 10**9, "/data")
    told = str(caught.value)
    assert told.startswith("the plan needs about 60.0 GB more, 1.0 GB are free at /data")
    assert "--participant" in told
