"""What counts as evidence, and what may be judged: own records, given digests, others' locks."""

from __future__ import annotations

import hashlib
from pathlib import Path

import anyio
import pytest

from nersemble_async.cache.partial_file import PartialFile
from nersemble_async.cache.store import Store
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.progress import EvidenceGrade, FetchEvent, FileDeferred, Outcome
from tests.support import faults
from tests.support.corpora import assert_fetched, pointclouds, state_files, visible_files
from tests.support.faulty_server import FaultyServer
from tests.support.fetching import fetch, settings_for

CORPUS = pointclouds([30_000])
(PATH,) = CORPUS.paths
BODY = CORPUS.bodies[PATH]


@pytest.mark.asyncio
async def test_the_record_of_an_unfinished_publication_is_none(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record comes before the name; bytes do not vouch for themselves afterwards."""
    server.put(PATH, BODY)

    def die(_part: PartialFile, _target: Path) -> None:
        raise OSError(5, "the end")

    with monkeypatch.context() as patch:
        patch.setattr(PartialFile, "publish", die)
        run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.file(PATH).outcome is Outcome.FAILED
    store = await anyio.to_thread.run_sync(Store, tmp_path)
    assert store.records.get(PATH) is not None
    run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.file(PATH).grade is EvidenceGrade.CONTENT
    assert run.report.received_bytes == 0
    assert_fetched(tmp_path, CORPUS)


@pytest.mark.asyncio
async def test_what_contradicts_given_digests_loses_its_name(
    server: FaultyServer, tmp_path: Path
) -> None:
    """Even where nothing better can be had."""
    server.put(PATH, BODY)
    root, sums = tmp_path / "root", tmp_path / "sums.txt"
    await fetch(server.url, root, CORPUS.plan)
    assert_fetched(root, CORPUS)
    sums.write_text(f"{hashlib.sha256(b'other').hexdigest()}  {PATH}\n")
    server.always[PATH] = faults.status(404)
    run = await fetch(server.url, root, CORPUS.plan, checksums=sums)
    assert run.file(PATH).outcome is Outcome.FAILED
    assert visible_files(root) == {}
    (aside,) = state_files(root, "quarantine")
    assert (root / ".nersemble_async" / "quarantine" / aside).read_bytes() == BODY


@pytest.mark.asyncio
@pytest.mark.parametrize("right", [True, False])
async def test_nothing_is_judged_that_another_process_is_at(
    server: FaultyServer, tmp_path: Path, right: bool
) -> None:
    server.put(PATH, BODY)
    target = tmp_path / PATH
    target.parent.mkdir(parents=True)
    there = BODY if right else b"x" * len(BODY)
    target.write_bytes(there)
    other = await anyio.to_thread.run_sync(Store(tmp_path).open_partial, PATH)
    deferred = anyio.Event()

    def on_event(event: FetchEvent) -> None:
        if isinstance(event, FileDeferred):
            deferred.set()

    async def let_go() -> None:
        await deferred.wait()
        assert target.read_bytes() == there
        assert state_files(tmp_path, "quarantine") == []
        await anyio.to_thread.run_sync(other.close)

    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        anyio.create_task_group() as group,
    ):
        group.start_soon(let_go)
        report = await fetcher.fetch(CORPUS.plan, on_event=on_event)
    assert deferred.is_set()
    assert report.outcomes == {Outcome.ADOPTED if right else Outcome.FETCHED: 1}
    assert_fetched(tmp_path, CORPUS)
