"""The demo's own server through the real fetch path: ranges, digests, a kill it can time."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.progress import EvidenceGrade, Outcome
from nersemble_async.synthetic.server import serve_folder
from tests.support.corpora import assert_fetched, pointclouds, state_files
from tests.support.fetching import fetch, settings_for

MIB = 1 << 20
CORPUS = pointclouds([50_000] * 20 + [9 * MIB])


@pytest.mark.asyncio
async def test_all_files_are_published(tmp_path: Path) -> None:
    served, root = CORPUS.write(tmp_path / "served"), tmp_path / "root"
    sent: dict[str, int] = {}

    def count(path: str, count_bytes: int) -> None:
        sent[path] = sent.get(path, 0) + count_bytes

    async with serve_folder(served, on_bytes=count) as server:
        run = await fetch(server.url, root, CORPUS.plan)
    assert run.problems == []
    assert run.report.grades == {EvidenceGrade.PUBLISHED: len(CORPUS.paths)}
    assert sent == {path: len(body) for path, body in CORPUS.bodies.items()}
    assert_fetched(root, CORPUS)


@pytest.mark.asyncio
async def test_stopped_by_its_hook_and_gone_on_with(tmp_path: Path) -> None:
    """As the demo does it: stop when half of the large file was sent, then go on."""
    served, root = CORPUS.write(tmp_path / "served"), tmp_path / "root"
    large = CORPUS.paths[-1]
    half_sent = anyio.Event()
    sent_bytes = 0

    def watch(path: str, count_bytes: int) -> None:
        nonlocal sent_bytes
        sent_bytes += count_bytes if path == large else 0
        if sent_bytes > len(CORPUS.bodies[large]) // 2:
            half_sent.set()

    async with serve_folder(served, on_bytes=watch, bytes_per_second=20.0 * MIB) as server:
        async with (
            Fetcher(settings_for(server.url, root)) as fetcher,
            anyio.create_task_group() as group,
            fetcher.open_fetch(CORPUS.plan) as run,
        ):

            async def stop() -> None:
                await half_sent.wait()
                run.stop()

            group.start_soon(stop)
            async for _ in run:
                pass
        assert run.report.cancelled
        assert not (root / large).exists()
        again = await fetch(server.url, root, CORPUS.plan)
    assert again.problems == []
    assert again.report.outcomes[Outcome.PRESENT] + again.report.outcomes[Outcome.FETCHED] == 21
    assert run.report.received_bytes + again.report.received_bytes == CORPUS.total_bytes
    assert_fetched(root, CORPUS)
    assert state_files(root, "parts") == []
