"""Servers that break off, contradict themselves or refuse: what a review of fetching found."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from pathlib import Path

import anyio
import pytest

from nersemble_async.benchmark.spec import Task
from nersemble_async.errors import RemoteFileMissingError, TransientFetchError
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.plan import Selection
from nersemble_async.fetch.progress import EvidenceGrade, Outcome
from tests.support import faults
from tests.support.corpora import assert_fetched, pointclouds, state_files, visible_files
from tests.support.faulty_server import (
    Answer,
    Ending,
    Fault,
    FaultyServer,
    RemoteFile,
    Request,
    correct_answer,
)
from tests.support.fetching import fetch, settings_for

MIB = 1 << 20
CUT = 100_000
HANG_SECONDS = 60
"""Far more than a run takes, far less than the waits that a server may ask for."""

TRIO = pointclouds([300_000, 200_000, 250_000])
FIRST = TRIO.paths[0]
LARGE = pointclouds([10 * MIB, 50_000])
MONO_METADATA = "mono_flame_avatar/metadata.json"


def put_all(server: FaultyServer, *script: Fault) -> None:
    """All of `TRIO`, with faults for the first of them."""
    for path, body in TRIO.bodies.items():
        server.put(path, body)
    server.script[FIRST].extend(script)


def together(*several: Fault) -> Fault:
    """One fault after another, on the same answer."""

    def fault(request: Request, answer: Answer) -> Answer:
        return reduce(lambda changed, one: one(request, changed), several, answer)

    return fault


# ---- parts that cannot be joined ----------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("etag", ['W/"x"', None])
@pytest.mark.parametrize("length", ["sent", "not sent"])
async def test_a_weak_whole_that_breaks_off_then_strong_parts(
    server: FaultyServer, tmp_path: Path, etag: str | None, length: str
) -> None:
    weak = [faults.ignore_range(server), faults.headers(etag=etag)]
    weak += [faults.chunked] if length == "not sent" else []
    put_all(server, together(*weak, faults.cut(CUT)))
    run = await fetch(server.url, tmp_path, TRIO.plan)
    assert run.problems == []
    assert_fetched(tmp_path, TRIO)
    assert len(server.asked(FIRST)) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("etag", ['W/"x"', None])
async def test_a_weak_whole_of_an_earlier_run_then_strong_parts(
    server: FaultyServer, tmp_path: Path, etag: str | None
) -> None:
    put_all(server)
    server.always[FIRST] = together(
        faults.ignore_range(server), faults.headers(etag=etag), faults.cut(CUT)
    )
    first = await fetch(server.url, tmp_path, TRIO.plan, retries=0)
    assert first.file(FIRST).outcome is Outcome.FAILED
    assert visible_files(tmp_path).keys() == {*TRIO.paths[1:]}
    del server.always[FIRST]
    run = await fetch(server.url, tmp_path, TRIO.plan)
    assert run.problems == []
    assert_fetched(tmp_path, TRIO)
    assert run.file(FIRST).received_bytes == len(TRIO.bodies[FIRST])


def without_total(_request: Request, answer: Answer) -> Answer:
    """``bytes a-b/*``: the server does not say of how many."""
    span = answer.headers["content-range"].partition("/")[0]
    return answer.with_headers(content_range=f"{span}/*")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "spoilt",
    [faults.headers(content_range=None), without_total, faults.headers(etag=None)],
    ids=["no Content-Range", "no total", "no ETag"],
)
async def test_a_later_part_that_cannot_be_placed(
    server: FaultyServer, tmp_path: Path, spoilt: Fault
) -> None:
    put_all(server, faults.cut(CUT), spoilt)
    run = await fetch(server.url, tmp_path, TRIO.plan)
    assert run.problems == []
    assert_fetched(tmp_path, TRIO)
    _, later, whole = server.asked(FIRST)
    assert later.span is not None
    assert later.span[0] > 0
    assert whole.range is None


def two_servers(server: FaultyServer, *, heed_if_range: bool) -> Fault:
    """Each answer comes from the other of two servers, which name the same bytes differently."""
    etags = itertools.cycle(['"one"', '"two"'])

    def fault(request: Request, _answer: Answer) -> Answer:
        if not heed_if_range:
            kept = {name: text for name, text in request.headers.items() if name != "if-range"}
            request = replace(request, headers=kept)
        file = RemoteFile(server.files[request.path].body, next(etags))
        return correct_answer(file, request)

    return fault


@pytest.mark.asyncio
@pytest.mark.parametrize("heed_if_range", [True, False])
async def test_two_servers_behind_one_name(
    server: FaultyServer, tmp_path: Path, *, heed_if_range: bool
) -> None:
    large, small = LARGE.paths
    for path, body in LARGE.bodies.items():
        server.put(path, body)
    server.always[large] = two_servers(server, heed_if_range=heed_if_range)
    run = await fetch(server.url, tmp_path, LARGE.plan)
    assert run.problems == []
    assert_fetched(tmp_path, LARGE)
    asked = server.asked(large)
    assert asked[0].range is not None
    assert asked[-1].range is None
    assert len(server.asked(small)) == 1


# ---- what is not to be had ----------------------------------------------------------------------


def put_task(server: FaultyServer, stand_in: Path, task: str) -> None:
    for location in (stand_in / task).rglob("*"):
        if location.is_file():
            server.put(location.relative_to(stand_in).as_posix(), location.read_bytes())


@pytest.mark.asyncio
@pytest.mark.parametrize(("task", "asset"), [("nvs", "calibration"), ("svfr", "images")])
async def test_a_task_without_its_metadata_does_not_stop_the_other(
    server: FaultyServer, tmp_path: Path, stand_in: Path, task: Task, asset: str
) -> None:
    put_task(server, stand_in, task)
    both = Selection((task, "mono_flame_avatar"), assets=(asset, "flame2023_tracking_v2"))
    async with Fetcher(settings_for(server.url, tmp_path)) as fetcher:
        plan = await fetcher.plan(both)
        alone = await fetcher.plan(Selection((task,), assets=(asset,)))
        report = await fetcher.fetch(plan)
    assert len(alone) >= 5
    assert {file.path for file in plan} == {file.path for file in alone} | {MONO_METADATA}
    (failed,) = report.failures
    assert failed.path == MONO_METADATA
    assert isinstance(failed.error, RemoteFileMissingError)
    assert report.exit_code == 1
    assert visible_files(tmp_path).keys() == {file.path for file in alone}


@pytest.mark.asyncio
async def test_the_only_task_without_its_metadata_cannot_be_planned(
    server: FaultyServer, tmp_path: Path
) -> None:
    async with Fetcher(settings_for(server.url, tmp_path)) as fetcher:
        with pytest.raises(RemoteFileMissingError) as caught:
            await fetcher.plan(Selection(("mono_flame_avatar",)))
    assert caught.value.path == MONO_METADATA


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "refusal",
    [faults.status(503, retry_after="500"), faults.silence(Ending.STALL)],
    ids=["later", "stalled"],
)
async def test_no_list_of_digests_holds_up_a_run(
    server: FaultyServer, tmp_path: Path, refusal: Fault
) -> None:
    put_all(server)
    server.always["nvs/SHA256SUMS"] = refusal
    with anyio.fail_after(HANG_SECONDS):
        run = await fetch(server.url, tmp_path, TRIO.plan, read_timeout=1.0)
    assert run.problems == []
    assert_fetched(tmp_path, TRIO)
    assert run.report.grades == {EvidenceGrade.CONTENT: 3}
    assert 1 <= len(server.asked("nvs/SHA256SUMS")) <= 2


def length_is(text: str) -> Callable[[Request, Answer], Answer]:
    return faults.only_for("HEAD", faults.headers(content_length=text))


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["0", "17"])
async def test_a_wrong_length_by_head_does_not_doubt_a_good_file(
    server: FaultyServer, tmp_path: Path, text: str
) -> None:
    put_all(server)
    TRIO.write(tmp_path)
    for path in TRIO.paths:
        server.always[path] = length_is(text)
    run = await fetch(server.url, tmp_path, TRIO.plan)
    assert run.problems == []
    assert run.report.outcomes == {Outcome.ADOPTED: 3}
    assert_fetched(tmp_path, TRIO)
    assert state_files(tmp_path, "quarantine") == []
    assert all(len(server.asked(path, "HEAD")) == 1 for path in TRIO.paths)
    # Of each file a byte was asked for, which tells its true length.
    assert {r.range for r in server.requests if r.path in TRIO.paths} == {None, "bytes=0-0"}
    assert run.report.received_bytes == 0


@pytest.mark.asyncio
async def test_a_server_that_refuses_everything_is_given_up_on(
    server: FaultyServer, tmp_path: Path
) -> None:
    corpus = pointclouds([1000] * 200)
    for path in [*corpus.paths, "nvs/SHA256SUMS"]:
        server.always[path] = faults.status(503)
    with anyio.fail_after(HANG_SECONDS):
        run = await fetch(server.url, tmp_path, corpus.plan, connections=4, retries=1)
    assert isinstance(run.report.stopped, TransientFetchError)
    assert run.report.exit_code == 1
    asked = server.gets().keys() & set(corpus.paths)
    assert 4 <= len(asked) <= 16
    assert run.report.outcomes[Outcome.SKIPPED] >= 200 - 16
    assert visible_files(tmp_path) == {}
