"""Every way in which a server breaks HTTP: one file, and what must come of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nersemble_async.errors import (
    AccessDeniedError,
    IntegrityError,
    ProtocolError,
    RemoteFileMissingError,
    TransientFetchError,
)
from nersemble_async.fetch.progress import EvidenceGrade, FileRestarted, FileRetried, Outcome
from tests.support import faults
from tests.support.corpora import (
    Corpus,
    assert_fetched,
    pointclouds,
    state_files,
    visible_files,
)
from tests.support.faulty_server import (
    DATE,
    Answer,
    Ending,
    Fault,
    FaultyServer,
    RemoteFile,
    Request,
    run_faulty_server,
)
from tests.support.fetching import Run, fetch

MIB = 1 << 20
FIRST = 100_000

SMALL = pointclouds([300_000])
LARGE = pointclouds([10 * MIB])
PATH = SMALL.paths[0]
BODY = SMALL.bodies[PATH]
OTHER = Corpus(SMALL.plan, {PATH: pointclouds([300_000], seed=1).bodies[PATH]})
"""Another version of the same file: same path, same size, other bytes."""


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with run_faulty_server() as running:
        yield running


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


# ---- lies about what is sent --------------------------------------------------------------------


def always(fault: Fault) -> Callable[[FaultyServer], None]:
    def prepare(server: FaultyServer) -> None:
        for path in (PATH, *LARGE.paths):
            server.always[path] = fault

    return prepare


def ignores_ranges(server: FaultyServer) -> None:
    always(faults.ignore_range(server))(server)


LIES = {
    "ignores ranges": ignores_ranges,
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
    "surplus bytes": always(faults.only_for("GET", faults.surplus(b"surplus" * 1000))),
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


# ---- files that change --------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"old"', '"new"'),
        ('W/"old"', 'W/"new"'),
        ('W/"same"', 'W/"same"'),
        (None, None),
        ('"old"', None),
        (None, '"new"'),
        ('"old"', 'W/"old"'),
    ],
)
async def test_a_change_midway_of_the_same_size(
    server: FaultyServer, tmp_path: Path, old: str | None, new: str | None
) -> None:
    server.files[PATH] = RemoteFile(BODY, old)
    change = faults.change_file(server, PATH, RemoteFile(OTHER.bodies[PATH], new))
    server.script[PATH].append(faults.cut(FIRST, afterwards=change))
    run = await fetch(server.url, tmp_path, SMALL.plan)
    assert run.problems == []
    assert_fetched(tmp_path, OTHER)
    assert len(run.of_kind(FileRestarted)) == 1
    assert run.of_kind(FileRestarted)[0].discarded_bytes == FIRST


@pytest.mark.asyncio
async def test_a_change_midway_told_by_dates_alone(server: FaultyServer, tmp_path: Path) -> None:
    server.files[PATH] = RemoteFile(BODY, None, DATE)
    later = RemoteFile(OTHER.bodies[PATH], None, "Wed, 21 Oct 2015 07:28:01 GMT")
    change = faults.change_file(server, PATH, later)
    server.script[PATH].append(faults.cut(FIRST, afterwards=change))
    run = await fetch(server.url, tmp_path, SMALL.plan)
    assert run.problems == []
    assert_fetched(tmp_path, OTHER)
    assert server.asked(PATH)[1].if_range == DATE


@pytest.mark.asyncio
async def test_a_server_that_ignores_if_range(server: FaultyServer, tmp_path: Path) -> None:
    """206 for the new file although the condition names the old one: its ETag gives it away."""
    (path,) = LARGE.paths
    other = Corpus(LARGE.plan, {path: pointclouds([10 * MIB], seed=1).bodies[path]})
    server.put(path, LARGE.bodies[path])
    new = RemoteFile.of(other.bodies[path])

    def ignore_condition(request: Request, answer: Answer) -> Answer:
        if request.span is None:
            return answer
        server.files[path] = new
        first, last = request.span
        stop = len(new.body) if last is None else last + 1
        body = new.body[first:stop]
        return Answer(206, answer.headers, body).with_headers(
            etag=new.etag,
            content_length=str(len(body)),
            content_range=f"bytes {first}-{first + len(body) - 1}/{len(new.body)}",
        )

    server.script[path].append(faults.none)
    server.always[path] = ignore_condition
    run = await fetch(server.url, tmp_path, LARGE.plan)
    assert run.problems == []
    assert_fetched(tmp_path, other)
    assert len(server.asked(path)) > 3, "ranges of the old file, then of the new one"


@pytest.mark.asyncio
@pytest.mark.parametrize("new_size_bytes", [50_000, 300_000, 900_000])
async def test_a_change_between_two_runs(
    server: FaultyServer, tmp_path: Path, new_size_bytes: int
) -> None:
    other = Corpus(SMALL.plan, {PATH: pointclouds([new_size_bytes], seed=1).bodies[PATH]})
    server.always[PATH] = faults.silence()
    run = await fetch_small(server, tmp_path, faults.cut(FIRST), retries=1)
    assert run.report.exit_code == 1
    del server.always[PATH]
    server.put(PATH, other.bodies[PATH])
    run = await fetch(server.url, tmp_path, SMALL.plan)
    assert run.problems == []
    assert_fetched(tmp_path, other)


@pytest.mark.asyncio
async def test_a_file_that_never_keeps_still(server: FaultyServer, tmp_path: Path) -> None:
    count = 0

    def change_again(_request: Request, answer: Answer) -> Answer:
        nonlocal count
        count += 1
        next_one = faults.change_file(server, PATH, RemoteFile(BODY, f'"{count}"'))
        return faults.cut(FIRST, afterwards=next_one)(_request, answer)

    server.always[PATH] = change_again
    run = await fetch_small(server, tmp_path)
    assert run.report.exit_code == 1
    assert run.file(PATH).outcome is Outcome.FAILED
    assert visible_files(tmp_path) == {}
    assert count < 20


# ---- bytes that contradict their evidence -------------------------------------------------------


def with_repr_digest(body: bytes) -> Fault:
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return faults.headers(repr_digest=f"sha-256=:{digest}:")


def flipped(request: Request, answer: Answer) -> Answer:
    """One bit falls over on the way."""
    answer = with_repr_digest(BODY)(request, answer)
    body = bytearray(answer.body)
    body[len(body) // 2] ^= 1
    return Answer(answer.status, answer.headers, bytes(body))


@pytest.mark.asyncio
async def test_a_flipped_bit_is_fetched_once_more(server: FaultyServer, tmp_path: Path) -> None:
    server.always[PATH] = with_repr_digest(BODY)
    run = await fetch_small(server, tmp_path, flipped)
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)
    assert run.file(PATH).grade is EvidenceGrade.PUBLISHED
    assert len(server.asked(PATH)) == 2
    assert len(run.of_kind(FileRestarted)) == 1
    assert len(state_files(tmp_path, "quarantine")) == 1


@pytest.mark.asyncio
async def test_bytes_that_stay_wrong_are_never_shown(server: FaultyServer, tmp_path: Path) -> None:
    server.always[PATH] = flipped
    run = await fetch_small(server, tmp_path)
    assert run.report.exit_code == 5
    assert isinstance(run.file(PATH).error, IntegrityError)
    assert len(server.asked(PATH)) == 2
    assert visible_files(tmp_path) == {}
    assert len(state_files(tmp_path, "quarantine")) == 1
    assert state_files(tmp_path, "parts") == []


@pytest.mark.asyncio
async def test_a_cut_that_no_length_gives_away_is_found_by_the_content(
    server: FaultyServer, tmp_path: Path
) -> None:
    def cut_until_close(request: Request, answer: Answer) -> Answer:
        return faults.cut(FIRST)(request, faults.until_close(request, answer))

    server.put(PATH, BODY, cut_until_close)
    server.script[PATH][0] = _without_range(cut_until_close, server)
    run = await fetch(server.url, tmp_path, SMALL.plan)
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)
    assert len(server.asked(PATH)) == 2


def _without_range(fault: Fault, server: FaultyServer) -> Fault:
    return lambda request, answer: fault(request, faults.ignore_range(server)(request, answer))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("missing", faults.status(404)),
        ("refused", faults.status(403)),
        ("broken", faults.status(500)),
        ("page", faults.status(200, body=b"<html>This is no list</html>")),
        ("not text", faults.status(200, body=bytes(range(256)))),
        ("silent", faults.silence()),
    ],
)
async def test_a_list_of_digests_that_cannot_be_had(
    server: FaultyServer, tmp_path: Path, name: str, fault: Fault
) -> None:
    server.always["nvs/SHA256SUMS"] = fault
    run = await fetch_small(server, tmp_path, retries=1)
    assert run.problems == []
    assert_fetched(tmp_path, SMALL)
    assert run.file(PATH).grade is EvidenceGrade.CONTENT


@pytest.mark.asyncio
async def test_an_empty_file_that_is_published_so(server: FaultyServer, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"").hexdigest()
    server.put("nvs/SHA256SUMS", f"{digest} *{PATH.removeprefix('nvs/')}\n".encode())
    server.put(PATH, b"")
    run = await fetch(server.url, tmp_path, SMALL.plan)
    assert run.problems == []
    assert visible_files(tmp_path) == {PATH: digest}
    assert run.file(PATH).grade is EvidenceGrade.PUBLISHED


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
