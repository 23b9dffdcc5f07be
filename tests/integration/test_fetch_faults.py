"""Faults that pass and faults for good: what comes of one file, and of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nersemble_async.errors import (
    AccessDeniedError,
    ProtocolError,
    RemoteFileMissingError,
    TransientFetchError,
)
from nersemble_async.fetch.progress import FileRetried, Outcome
from tests.support import faults
from tests.support.corpora import (
    Corpus,
    assert_fetched,
    pointclouds,
    state_files,
    visible_files,
)
from tests.support.faulty_server import (
    Ending,
    Fault,
    FaultyServer,
    run_faulty_server,
)
from tests.support.fetching import Run, fetch

FIRST = 100_000

SMALL = pointclouds([300_000])
PATH = SMALL.paths[0]
BODY = SMALL.bodies[PATH]


async def fetch_small(server: FaultyServer, root: Path, *script: Fault, **given: Any) -> Run:
    server.put(PATH, BODY, *script)
    return await fetch(server.url, root, SMALL.plan, **given)


# ---- faults that pass ---------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.STALL])
async def test_cut_short_it_goes_on_from_there(
    server: FaultyServer, tmp_path: Path, ending: Ending
) -> None:
    run = await fetch_small(server, tmp_path, faults.cut(FIRST, ending), read_timeout=0.5)
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)
    first, second = server.asked(PATH)
    assert first.if_range is None
    assert second.span is not None
    assert second.span[0] == FIRST, "not a byte twice"
    assert second.if_range == server.files[PATH].etag
    assert run.report.received_bytes == len(BODY)
    assert run.report.retries == 1
    assert len(run.of_kind(FileRetried)) == 1


@pytest.mark.asyncio
async def test_a_reset_midway(server: FaultyServer, tmp_path: Path) -> None:
    run = await fetch_small(server, tmp_path, faults.cut(FIRST, Ending.RESET))
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)
    assert len(server.asked(PATH)) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET, Ending.STALL])
async def test_no_answer_at_all(server: FaultyServer, tmp_path: Path, ending: Ending) -> None:
    run = await fetch_small(server, tmp_path, faults.silence(ending), read_timeout=0.5)
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
async def test_statuses_that_pass(server: FaultyServer, tmp_path: Path, code: int) -> None:
    run = await fetch_small(server, tmp_path, faults.status(code), faults.status(code))
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)
    assert len(server.asked(PATH)) == 3
    assert run.report.retries == 2


@pytest.mark.asyncio
async def test_progress_gives_the_budget_back(server: FaultyServer, tmp_path: Path) -> None:
    cuts = [faults.cut(10_000)] * 20
    run = await fetch_small(server, tmp_path, *cuts, retries=1)
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)
    assert run.report.received_bytes == len(BODY)
    assert len(server.asked(PATH)) == 21


@pytest.mark.asyncio
async def test_without_progress_it_is_given_up_and_gone_on_with_later(
    server: FaultyServer, tmp_path: Path
) -> None:
    server.always[PATH] = faults.status(500)
    run = await fetch_small(server, tmp_path, faults.cut(FIRST), retries=3)
    assert run.report.exit_code == 1
    assert isinstance(run.file(PATH).error, TransientFetchError)
    assert run.file(PATH).received_bytes == FIRST
    # The one that brought bytes gave back the budget of 1 + 3 tries.
    assert len(server.asked(PATH)) == 1 + 4
    assert visible_files(tmp_path) == {}
    del server.always[PATH]
    again = await fetch(server.url, tmp_path, SMALL.plan)
    assert again.problems == []
    assert again.report.received_bytes == len(BODY) - FIRST
    assert_fetched(tmp_path, SMALL)


# ---- faults for good ----------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (401, AccessDeniedError, 3),
        (403, AccessDeniedError, 3),
        (404, RemoteFileMissingError, 1),
        (410, RemoteFileMissingError, 1),
        (400, ProtocolError, 1),
        (405, ProtocolError, 1),
        (204, ProtocolError, 1),
    ],
)
async def test_statuses_for_good(
    server: FaultyServer, tmp_path: Path, code: int, kind: type[Exception], exit_code: int
) -> None:
    corpus = pointclouds([3000] * 12)
    for path, body in corpus.bodies.items():
        server.put(path, body)
    bad = corpus.paths[4]
    server.always[bad] = faults.status(code, body=b"" if code == 204 else b"no")
    run = await fetch(server.url, tmp_path, corpus.plan)
    assert run.report.exit_code == exit_code
    assert run.report.outcomes == {Outcome.FETCHED: 11, Outcome.FAILED: 1}
    assert type(run.file(bad).error) is kind
    assert len(server.asked(bad)) == 1
    rest = {path: body for path, body in corpus.bodies.items() if path != bad}
    assert_fetched(tmp_path, Corpus(corpus.plan, rest))
    assert state_files(tmp_path, "parts") == []


@pytest.mark.asyncio
async def test_refused_access_ends_the_run_early(server: FaultyServer, tmp_path: Path) -> None:
    corpus = pointclouds([3000] * 200)
    for path in corpus.paths:
        server.always[path] = faults.status(403)
    run = await fetch(server.url, tmp_path, corpus.plan)
    assert run.report.exit_code == 3
    assert isinstance(run.report.stopped, AccessDeniedError)
    assert run.report.outcomes[Outcome.SKIPPED] > 100
    assert len(run.report.files) == 200


@pytest.mark.asyncio
async def test_fail_fast_ends_the_run(server: FaultyServer, tmp_path: Path) -> None:
    corpus = pointclouds([3000] * 200)
    for path, body in corpus.bodies.items():
        server.put(path, body)
    server.always[corpus.paths[0]] = faults.status(404)
    run = await fetch(server.url, tmp_path, corpus.plan, fail_fast=True, connections=1)
    assert run.report.exit_code == 1
    assert isinstance(run.report.stopped, RemoteFileMissingError)
    assert run.report.outcomes[Outcome.SKIPPED] > 100
    assert len(run.report.files) == 200


@pytest.mark.asyncio
async def test_nobody_listens(tmp_path: Path) -> None:
    corpus = pointclouds([3000] * 200)
    with run_faulty_server() as gone:
        url = gone.url
    run = await fetch(url, tmp_path, corpus.plan, retries=1)
    assert run.report.exit_code == 1
    assert isinstance(run.report.stopped, TransientFetchError)
    assert run.report.outcomes[Outcome.SKIPPED] > 100
    assert len(run.report.files) == 200
