"""Files that change on the server, and bytes that contradict the evidence for them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from nersemble_async.errors import (
    IntegrityError,
)
from nersemble_async.fetch.progress import EvidenceGrade, FileRestarted, Outcome
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
    Fault,
    FaultyServer,
    RemoteFile,
    Request,
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


async def fetch_small(server: FaultyServer, root: Path, *script: Fault, **given: Any) -> Run:
    server.put(PATH, BODY, *script)
    return await fetch(server.url, root, SMALL.plan, **given)


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
