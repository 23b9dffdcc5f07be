"""Files whose length the server does not tell: nothing of them can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nersemble_async.errors import TransientFetchError
from nersemble_async.fetch.progress import FileRestarted
from tests.support import faults
from tests.support.corpora import assert_fetched, pointclouds, visible_files
from tests.support.faulty_server import Answer, Fault, FaultyServer, Request, run_faulty_server
from tests.support.fetching import fetch

CORPUS = pointclouds([300_000])
PATH = CORPUS.paths[0]
FIRST = 100_000


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with run_faulty_server() as running:
        running.put(PATH, CORPUS.bodies[PATH])
        yield running


def whole_in_chunks(server: FaultyServer) -> Fault:
    """200 and no length, whatever was asked; the strong ETag stays."""
    whole = faults.ignore_range(server)
    return lambda request, answer: faults.chunked(request, whole(request, answer))


def cut_in_chunks(server: FaultyServer) -> Fault:
    chunks = whole_in_chunks(server)
    return lambda request, answer: faults.cut(FIRST)(request, chunks(request, answer))


@pytest.mark.asyncio
async def test_whole(server: FaultyServer, tmp_path: Path) -> None:
    server.always[PATH] = whole_in_chunks(server)
    run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.problems == []
    assert_fetched(tmp_path, CORPUS)


@pytest.mark.asyncio
async def test_cut_once_it_begins_again(server: FaultyServer, tmp_path: Path) -> None:
    server.always[PATH] = whole_in_chunks(server)
    server.script[PATH].append(cut_in_chunks(server))
    run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.problems == []
    assert_fetched(tmp_path, CORPUS)
    assert len(run.of_kind(FileRestarted)) == 1


@pytest.mark.asyncio
async def test_cut_every_time_it_makes_no_progress(server: FaultyServer, tmp_path: Path) -> None:
    cut = cut_in_chunks(server)

    def cut_or_missing(request: Request, answer: Answer) -> Answer:
        # Not for ever: a test that fails has to end.
        too_often = len(server.asked(PATH)) > 20
        return faults.status(404)(request, answer) if too_often else cut(request, answer)

    server.always[PATH] = cut_or_missing
    run = await fetch(server.url, tmp_path, CORPUS.plan, retries=2)
    assert isinstance(run.file(PATH).error, TransientFetchError)
    assert run.report.retries == 3, "one after progress, two without"
    assert visible_files(tmp_path) == {}


@pytest.mark.asyncio
async def test_a_later_run_begins_again(server: FaultyServer, tmp_path: Path) -> None:
    server.script[PATH].append(cut_in_chunks(server))
    server.always[PATH] = faults.status(404)
    run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.report.exit_code == 1
    server.always[PATH] = whole_in_chunks(server)
    run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.problems == []
    assert_fetched(tmp_path, CORPUS)
