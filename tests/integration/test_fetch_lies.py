"""Servers that lie about what they send, send it in odd forms, or from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nersemble_async.errors import ProtocolError, TransientFetchError
from nersemble_async.fetch.progress import FileRestarted, Outcome
from tests.support import faults
from tests.support.corpora import (
    Corpus,
    assert_fetched,
    pointclouds,
    visible_files,
)
from tests.support.faulty_server import (
    Answer,
    Fault,
    FaultyServer,
    Request,
)
from tests.support.fetching import Run, fetch

MIB = 1 << 20
FIRST = 100_000

SMALL = pointclouds([300_000])
LARGE = pointclouds([10 * MIB])
PATH = SMALL.paths[0]
BODY = SMALL.bodies[PATH]


async def fetch_small(server: FaultyServer, root: Path, *script: Fault, **given: Any) -> Run:
    server.put(PATH, BODY, *script)
    return await fetch(server.url, root, SMALL.plan, **given)


def always(fault: Fault) -> Callable[[FaultyServer], None]:
    def prepare(server: FaultyServer) -> None:
        for path in (PATH, *LARGE.paths):
            server.always[path] = fault

    return prepare


def ignores_ranges(server: FaultyServer) -> None:
    always(faults.ignore_range(server))(server)


def sends_longer_parts(server: FaultyServer) -> None:
    always(faults.longer_part(server))(server)


LIES = {
    "ignores ranges": ignores_ranges,
    "parts longer than asked": sends_longer_parts,
    "part starts later": always(faults.shifted_part(start=1)),
    "part starts earlier": always(
        lambda q, a: faults.shifted_part(start=-1, stop=-1)(q, a) if q.span and q.span[0] else a
    ),
    "part ends later": always(faults.shifted_part(stop=1, total=1)),
    "part ends earlier": always(faults.shifted_part(stop=-1)),
    "total too large": always(faults.shifted_part(total=7)),
    "total too small": always(faults.shifted_part(total=-7)),
    "part without Content-Range": always(
        lambda _q, a: a.with_headers(content_range=None) if a.status == 206 else a
    ),
    "nonsense in Content-Range": always(
        lambda _q, a: a.with_headers(content_range="bytes 7") if a.status == 206 else a
    ),
    "parts shorter than asked": always(faults.shorter_part(70_001)),
    "gzip": always(faults.gzipped),
    "chunked": always(faults.chunked),
    "until close": always(faults.only_for("GET", faults.until_close)),
    "weak ETag": always(faults.headers(etag='W/"x"')),
    "no validator": always(faults.headers(etag=None)),
    "416 for bytes that exist": always(faults.only_ranges(faults.status(416))),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("corpus", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_lies_do_no_harm(
    server: FaultyServer, tmp_path: Path, lie: Callable[[FaultyServer], None], corpus: Corpus
) -> None:
    (path,) = corpus.paths
    server.put(path, corpus.bodies[path])
    lie(server)
    run = await fetch(server.url, tmp_path, corpus.plan)
    assert run.problems == []
    assert_fetched(tmp_path, corpus)
    assert run.file(path).size_bytes == len(corpus.bodies[path])
    discarded_bytes = sum(event.discarded_bytes for event in run.of_kind(FileRestarted))
    assert run.report.received_bytes == corpus.total_bytes + discarded_bytes


@pytest.mark.asyncio
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_lies_and_cuts_do_no_harm(
    server: FaultyServer, tmp_path: Path, lie: Callable[[FaultyServer], None]
) -> None:
    """The same, and the connection breaks at a third of every file, four times."""
    lie(server)
    spoil = server.always[PATH]

    def cut_lie(request: Request, answer: Answer) -> Answer:
        return faults.cut(FIRST)(request, spoil(request, answer))

    run = await fetch_small(server, tmp_path, *[cut_lie] * 4)
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)


@pytest.mark.asyncio
@pytest.mark.parametrize("corpus", [SMALL, LARGE], ids=["small", "large"])
async def test_surplus_bytes_are_never_written(
    server: FaultyServer, tmp_path: Path, corpus: Corpus
) -> None:
    """aiohttp throws an answer away with which bytes behind its end come: it may fail."""
    (path,) = corpus.paths
    server.put(path, corpus.bodies[path])
    server.always[path] = faults.surplus(b"surplus" * 1000)
    run = await fetch(server.url, tmp_path, corpus.plan)
    if run.report.exit_code == 0:
        assert_fetched(tmp_path, corpus)
    else:
        assert isinstance(run.file(path).error, TransientFetchError)
        assert visible_files(tmp_path) == {}
    # A well-behaved server then completes what was kept.
    del server.always[path]
    again = await fetch(server.url, tmp_path, corpus.plan)
    assert again.problems == []
    assert run.report.received_bytes + again.report.received_bytes == corpus.total_bytes
    assert_fetched(tmp_path, corpus)


@pytest.mark.asyncio
async def test_without_ranges_it_begins_anew_as_often_as_allowed(
    server: FaultyServer, tmp_path: Path
) -> None:
    """A server without ranges that dies eight times: no progress, but ten tries."""
    server.always[PATH] = faults.ignore_range(server)

    def die(request: Request, answer: Answer) -> Answer:
        return faults.cut(FIRST)(request, server.always[PATH](request, answer))

    run = await fetch_small(server, tmp_path, *[die] * 8, retries=10)
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)


# ---- redirects and HEAD -------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_redirect_is_followed(server: FaultyServer, tmp_path: Path) -> None:
    server.put("elsewhere.pcd", BODY)
    server.always[PATH] = faults.redirect(f"/{server.token}/elsewhere.pcd")
    run = await fetch_small(server, tmp_path)
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)


@pytest.mark.asyncio
async def test_a_circle_of_redirects_is_left(server: FaultyServer, tmp_path: Path) -> None:
    server.always[PATH] = faults.redirect(f"/{server.token}/{PATH}")
    run = await fetch_small(server, tmp_path)
    assert run.report.exit_code == 1
    assert isinstance(run.file(PATH).error, ProtocolError)


@pytest.mark.asyncio
async def test_adoption_where_head_is_not_allowed(server: FaultyServer, tmp_path: Path) -> None:
    SMALL.write(tmp_path)
    server.always[PATH] = faults.only_for("HEAD", faults.status(405))
    run = await fetch_small(server, tmp_path)
    assert run.report.outcomes == {Outcome.ADOPTED: 1}
    assert run.report.received_bytes == 0
    assert [r.range for r in server.asked(PATH)] == ["bytes=0-0"]
    assert_fetched(tmp_path, SMALL)
