"""What a fetch would do: sizes known, sizes asked, sizes nobody tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.store import LocalState, Store
from nersemble_async.errors import (
    MissingBenchmarkUrlError,
    RemoteFileMissingError,
    ServerUnreachableError,
    TransientFetchError,
)
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.survey import FileSurvey, PlanSurvey
from nersemble_async.settings import Settings
from tests.support import faults
from tests.support.corpora import planned_pointcloud, pointclouds, state_files
from tests.support.faulty_server import FaultyServer, run_faulty_server
from tests.support.fetching import fetch, settings_for

CORPUS = pointclouds([2000 + 100 * i for i in range(30)])
PATHS = CORPUS.paths
SIZES = {path: len(body) for path, body in CORPUS.bodies.items()}


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with run_faulty_server() as running:
        for path, body in CORPUS.bodies.items():
            running.put(path, body)
        yield running


async def survey(url: str, root: Path, **given: object) -> tuple[PlanSurvey, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    async with Fetcher(settings_for(url, root, **given)) as fetcher:
        found = await fetcher.survey(
            CORPUS.plan, on_progress=lambda done, files: told.append((done, files))
        )
    return found, told


@pytest.mark.asyncio
async def test_nothing_is_there(server: FaultyServer, tmp_path: Path) -> None:
    found, told = await survey(server.url, tmp_path)
    assert [file.file for file in found.files] == list(CORPUS.plan)
    assert {file.state for file in found.files} == {LocalState.MISSING}
    assert {file.file.path: file.size_bytes for file in found.files} == SIZES
    assert found.missing_bytes == CORPUS.total_bytes
    assert found.fits
    assert told == [(done, 30) for done in range(1, 31)]
    assert server.gets() == {}, "not a byte is fetched"
    assert state_files(tmp_path, "parts") == [], "and nothing is begun"


@pytest.mark.asyncio
async def test_what_is_there_is_not_asked(server: FaultyServer, tmp_path: Path) -> None:
    await fetch(server.url, tmp_path, CORPUS.plan)
    missing, partial, foreign = PATHS[2:5]

    def change() -> None:
        store = Store(tmp_path)
        store.target(missing).unlink()
        store.target(partial).unlink()
        with store.open_partial(partial) as part:
            part.begin(RemoteIdentity(SIZES[partial], '"a"'))
            part.write(0, bytes(700))
        store.target(foreign).write_bytes(b"x" * 50)

    await anyio.to_thread.run_sync(change)
    before = len(server.requests)
    found, told = await survey(server.url, tmp_path)
    by_path = {file.file.path: file for file in found.files}
    assert by_path[missing].state is LocalState.MISSING
    assert (by_path[partial].state, by_path[partial].local_bytes) == (LocalState.PARTIAL, 700)
    assert (by_path[foreign].state, by_path[foreign].local_bytes) == (LocalState.UNRECORDED, 50)
    states = [file.state for file in found.files]
    assert states.count(LocalState.COMPLETE) == 27
    asked = [(request.method, request.path) for request in server.requests[before:]]
    assert sorted(asked) == sorted([("HEAD", missing), ("HEAD", foreign)])
    expected = SIZES[missing] + SIZES[partial] - 700 + SIZES[foreign] - 50
    assert found.missing_bytes == expected
    assert told == [(29, 30), (30, 30)]


@pytest.mark.asyncio
async def test_a_complete_root_needs_no_server(server: FaultyServer, tmp_path: Path) -> None:
    await fetch(server.url, tmp_path, CORPUS.plan)
    async with Fetcher(Settings(benchmark_folder=tmp_path)) as fetcher:
        found = await fetcher.survey(CORPUS.plan)
    assert found.missing_bytes == 0


@pytest.mark.asyncio
async def test_without_a_url_there_is_nobody_to_ask(tmp_path: Path) -> None:
    async with Fetcher(Settings(benchmark_folder=tmp_path)) as fetcher:
        with pytest.raises(MissingBenchmarkUrlError):
            await fetcher.survey(CORPUS.plan)


@pytest.mark.asyncio
async def test_a_file_whose_size_is_refused_does_not_stop_the_others(
    server: FaultyServer, tmp_path: Path
) -> None:
    server.always[PATHS[0]] = faults.status(404)
    server.always[PATHS[1]] = faults.status(500)
    server.always[PATHS[2]] = faults.headers(content_length=None, transfer_encoding="chunked")
    server.script[PATHS[3]].append(faults.status(503))
    found, _ = await survey(server.url, tmp_path, retries=1)
    assert isinstance(found.files[0].error, RemoteFileMissingError)
    assert isinstance(found.files[1].error, TransientFetchError)
    assert found.files[2].error is None
    assert [file.size_bytes for file in found.files[:3]] == [None, None, None]
    assert found.files[3].size_bytes == SIZES[PATHS[3]], "asked again"
    assert found.missing_bytes == sum(SIZES[path] for path in PATHS[3:])


@pytest.mark.asyncio
async def test_no_server_is_one_error_and_not_thirty(tmp_path: Path) -> None:
    with run_faulty_server() as gone:
        url = gone.url
    with pytest.raises(ServerUnreachableError):
        await survey(url, tmp_path, retries=0)


@pytest.mark.parametrize(
    ("local_bytes", "size_bytes", "missing_bytes"),
    [(0, 10, 10), (4, 10, 6), (10, 10, 0), (12, 10, 0), (4, None, 0)],
)
def test_missing_bytes_of_a_file(
    local_bytes: int, size_bytes: int | None, missing_bytes: int
) -> None:
    file = FileSurvey(planned_pointcloud(0), LocalState.PARTIAL, local_bytes, size_bytes)
    assert file.missing_bytes == missing_bytes
    assert PlanSurvey((file, file), 2 * missing_bytes).fits
    assert PlanSurvey((file, file), 2 * missing_bytes - 1).fits is False
