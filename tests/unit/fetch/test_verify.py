"""Hashing files anew: what is right, what is damaged and where, and mending just that."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
import pytest_asyncio

from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.store import LocalState, Store
from nersemble_async.errors import CacheLockedError, IntegrityError, MissingBenchmarkUrlError
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.plan import FetchPlan
from nersemble_async.fetch.progress import (
    BytesReceived,
    EvidenceGrade,
    ExitCode,
    FetchEvent,
    FetchReport,
    FileFinished,
    Outcome,
)
from nersemble_async.fetch.verify import FileVerification, VerifyReport, VerifyState
from nersemble_async.settings import Settings
from tests.support.corpora import assert_fetched, pointclouds, with_metadata
from tests.support.faulty_server import FaultyServer, run_faulty_server
from tests.support.fetching import fetch, settings_for
from tests.support.records import line

MIB = 1 << 20
CORPUS = pointclouds([3_500_000, 2000, 3000])
LARGE, SMALL, OTHER = CORPUS.paths
SIZE = len(CORPUS.bodies[LARGE])


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with run_faulty_server() as running:
        for path, body in CORPUS.bodies.items():
            running.put(path, body)
        yield running


@pytest_asyncio.fixture
async def fetched(server: FaultyServer, tmp_path: Path) -> Path:
    """A root with everything."""
    run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.problems == []
    return tmp_path


async def verify(
    root: Path, plan: FetchPlan | None = CORPUS.plan
) -> tuple[VerifyReport, list[FetchEvent]]:
    """Without a URL: looking makes no request."""
    events: list[FetchEvent] = []
    async with Fetcher(Settings(benchmark_folder=root)) as fetcher:
        return await fetcher.verify(plan, on_event=events.append), events


async def repair(server: FaultyServer, root: Path) -> VerifyReport:
    async with Fetcher(settings_for(server.url, root)) as fetcher:
        return await fetcher.verify(CORPUS.plan, repair=True)


def of(report: VerifyReport, path: str) -> FileVerification:
    (found,) = [file for file in report.files if file.path == path]
    return found


def damage(path: Path, *offsets: int) -> None:
    """Flip a bit at each; the time stays, as a failing disk leaves it."""
    stat = path.stat()
    body = bytearray(path.read_bytes())
    for offset in offsets:
        body[offset] ^= 1
    path.write_bytes(body)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.asyncio
async def test_all_is_as_recorded(fetched: Path) -> None:
    report, events = await verify(fetched)
    assert report.exit_code is ExitCode.OK
    assert report.repairable == []
    for path, body in CORPUS.bodies.items():
        digest = hashlib.sha256(body).hexdigest()
        assert of(report, path) == FileVerification(
            path, VerifyState.OK, len(body), digest, EvidenceGrade.CONTENT
        )
    assert {type(event) for event in events} == {BytesReceived}
    hashed = [event.count_bytes for event in events if isinstance(event, BytesReceived)]
    assert sum(hashed) == CORPUS.total_bytes


@pytest.mark.asyncio
async def test_every_recorded_file_where_no_plan_is_given(fetched: Path) -> None:
    report, _ = await verify(fetched, None)
    assert sorted(file.path for file in report.files) == sorted(CORPUS.paths)
    assert report.exit_code is ExitCode.OK


@pytest.mark.asyncio
async def test_a_touched_file_is_known_again(fetched: Path) -> None:
    os.utime(fetched / SMALL)
    report, _ = await verify(fetched)
    assert of(report, SMALL).state is VerifyState.OK
    store = await anyio.to_thread.run_sync(Store, fetched)
    local = await anyio.to_thread.run_sync(store.look, SMALL)
    assert local.state is LocalState.COMPLETE, "the next fetch need not ask"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("offsets", "ranges"),
    [
        ([0], [ByteRange(0, MIB)]),
        ([MIB - 1, MIB], [ByteRange(0, 2 * MIB)]),
        ([5, 2 * MIB + 5], [ByteRange(0, MIB), ByteRange(2 * MIB, 3 * MIB)]),
        ([SIZE - 1], [ByteRange(3 * MIB, SIZE)]),
    ],
)
async def test_damage_is_found_and_mended_to_the_mib(
    server: FaultyServer, fetched: Path, offsets: list[int], ranges: list[ByteRange]
) -> None:
    damage(fetched / LARGE, *offsets)
    report, _ = await verify(fetched)
    found = of(report, LARGE)
    assert (found.state, found.grade) == (VerifyState.DAMAGED, None)
    assert found.damaged_ranges == tuple(ranges)
    assert isinstance(found.error, IntegrityError)
    assert report.exit_code is ExitCode.INTEGRITY
    assert report.repairable == [LARGE]
    before = len(server.asked(LARGE))
    mended = await repair(server, fetched)
    assert mended.exit_code is ExitCode.OK
    assert mended.repaired is not None
    assert mended.repaired.received_bytes == sum(map(len, ranges))
    asked = [request.range for request in server.asked(LARGE)[before:]]
    assert sorted(filter(None, asked)) == sorted(f"bytes={r.start}-{r.stop - 1}" for r in ranges)
    assert_fetched(fetched, CORPUS)
    assert (await verify(fetched))[0].exit_code is ExitCode.OK


@pytest.mark.asyncio
@pytest.mark.parametrize("size_bytes", [0, 1_500_000, 2 * MIB, SIZE + 9])
async def test_another_length_is_damage_too(
    server: FaultyServer, fetched: Path, size_bytes: int
) -> None:
    (fetched / LARGE).write_bytes((CORPUS.bodies[LARGE] + bytes(9))[:size_bytes])
    report, _ = await verify(fetched)
    found = of(report, LARGE)
    assert (found.state, found.size_bytes) == (VerifyState.DAMAGED, size_bytes)
    assert all(gap.stop <= SIZE for gap in found.damaged_ranges)
    mended = await repair(server, fetched)
    assert mended.exit_code is ExitCode.OK
    assert mended.repaired is not None
    missing = SIZE - min(size_bytes // MIB * MIB, SIZE // MIB * MIB)
    assert mended.repaired.received_bytes == missing
    assert_fetched(fetched, CORPUS)


@pytest.mark.asyncio
async def test_missing_files_are_fetched_again(server: FaultyServer, fetched: Path) -> None:
    (fetched / SMALL).unlink()
    report, _ = await verify(fetched)
    assert of(report, SMALL) == FileVerification(SMALL, VerifyState.MISSING)
    assert report.exit_code is ExitCode.SOME_FAILED
    mended = await repair(server, fetched)
    assert mended.exit_code is ExitCode.OK
    assert_fetched(fetched, CORPUS)


@pytest.mark.asyncio
async def test_files_without_a_record(server: FaultyServer, tmp_path: Path) -> None:
    CORPUS.write(tmp_path)
    (tmp_path / SMALL).write_bytes(b"no pointcloud")
    report, _ = await verify(tmp_path)
    adopted, rejected = of(report, LARGE), of(report, SMALL)
    assert (adopted.state, adopted.grade) == (VerifyState.ADOPTED, EvidenceGrade.CONTENT)
    assert rejected.state is VerifyState.REJECTED
    assert isinstance(rejected.error, IntegrityError)
    assert report.exit_code is ExitCode.INTEGRITY
    again, _ = await verify(tmp_path)
    assert of(again, LARGE).state is VerifyState.OK, "recorded now"
    mended = await repair(server, tmp_path)
    assert mended.exit_code is ExitCode.OK
    assert_fetched(tmp_path, CORPUS)


@pytest.mark.asyncio
async def test_repair_without_a_url_changes_nothing(fetched: Path) -> None:
    damage(fetched / LARGE, 0)
    body = (fetched / LARGE).read_bytes()
    async with Fetcher(Settings(benchmark_folder=fetched)) as fetcher:
        with pytest.raises(MissingBenchmarkUrlError):
            await fetcher.verify(CORPUS.plan, repair=True)
    assert (fetched / LARGE).read_bytes() == body


@pytest.mark.asyncio
async def test_what_another_process_writes_does_not_stop_the_repair_of_the_rest(
    server: FaultyServer, fetched: Path
) -> None:
    damage(fetched / LARGE, 0)
    damage(fetched / SMALL, 1500)
    store = await anyio.to_thread.run_sync(Store, fetched)
    part = await anyio.to_thread.run_sync(store.open_partial, LARGE)
    mended = await repair(server, fetched)
    await anyio.to_thread.run_sync(part.close)
    assert [type(error) for error in mended.unrepaired] == [CacheLockedError]
    assert mended.exit_code is ExitCode.INTEGRITY
    assert mended.repaired is not None
    assert [file.path for file in mended.repaired.files] == [SMALL]
    assert (fetched / SMALL).read_bytes() == CORPUS.bodies[SMALL]
    assert (await repair(server, fetched)).exit_code is ExitCode.OK
    assert_fetched(fetched, CORPUS)


def test_the_exit_code_of_a_repair_is_that_of_its_fetch() -> None:
    failed = FileFinished(SMALL, Outcome.FAILED, error=IntegrityError(SMALL, "differs"))
    for repaired, code in (
        (None, ExitCode.SOME_FAILED),
        (FetchReport([failed]), ExitCode.INTEGRITY),
        (FetchReport(), ExitCode.OK),
    ):
        report = VerifyReport([FileVerification(SMALL, VerifyState.MISSING)], repaired=repaired)
        assert report.exit_code is code


# ---- what must not end the whole verification ---------------------------------------------------


@pytest.mark.asyncio
async def test_a_file_that_cannot_be_read_is_a_finding(fetched: Path) -> None:
    (fetched / SMALL).unlink()
    (fetched / SMALL).mkdir()
    report, _ = await verify(fetched)
    assert of(report, SMALL).state is not VerifyState.OK
    assert of(report, SMALL).error is not None
    assert of(report, LARGE).state is VerifyState.OK


@pytest.mark.asyncio
async def test_a_record_with_an_unknown_grade(server: FaultyServer, fetched: Path) -> None:
    """From a later version, or damaged."""

    def rewrite() -> None:
        store = Store(fetched)
        known = store.records.get(SMALL)
        assert known is not None
        with (store.state_folder / "records.jsonl").open("ab") as log:
            log.write(line(replace(known, grade="notarised")))

    await anyio.to_thread.run_sync(rewrite)
    report, _ = await verify(fetched)
    assert report.exit_code is ExitCode.OK
    await anyio.to_thread.run_sync(rewrite)
    run = await fetch(server.url, fetched, CORPUS.plan)
    assert run.problems == []


@pytest.mark.asyncio
async def test_damaged_metadata_is_a_finding(server: FaultyServer, tmp_path: Path) -> None:
    corpus = with_metadata(CORPUS)
    server.put("nvs/metadata.json", corpus.bodies["nvs/metadata.json"])
    await fetch(server.url, tmp_path, corpus.plan)
    (tmp_path / "nvs" / "metadata.json").write_bytes(b"{")
    report, _ = await verify(tmp_path, None)
    assert of(report, "nvs/metadata.json").state is VerifyState.DAMAGED
    assert of(report, LARGE).state is VerifyState.OK
