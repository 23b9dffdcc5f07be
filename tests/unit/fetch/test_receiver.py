"""Cancelled at any of its events, a transfer keeps right bytes and goes on from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from nersemble_async.cache.store import Store
from nersemble_async.fetch.progress import BytesReceived, FetchEvent
from nersemble_async.fetch.transfer import FileTransfer
from nersemble_async.workers import run_blocking
from tests.support.corpora import assert_fetched, pointclouds
from tests.support.faulty_server import FaultyServer, run_faulty_server
from tests.support.fetching import fetch
from tests.support.part_files import recheck
from tests.support.run_contexts import run_context

MIB = 1 << 20
CORPUS = pointclouds([5 * MIB + 12_345])
(PATH,) = CORPUS.paths
BODY = CORPUS.bodies[PATH]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with run_faulty_server() as running:
        running.put(PATH, BODY)
        yield running


async def fetch_until(url: str, root: Path, last_event: int) -> int:
    """Cancel the run while it tells the so-many-th piece; how many bytes it had told by then."""
    told: list[int] = []

    async def emit(event: FetchEvent) -> None:
        if isinstance(event, BytesReceived):
            told.append(event.count_bytes)
            if len(told) == last_event:
                scope.cancel()
        # As where whoever reads the events is slow: the cancellation comes while it is told.
        await anyio.lowlevel.checkpoint()

    (file,) = CORPUS.plan
    with anyio.CancelScope() as scope:
        async with run_context(url, root, connections=1) as run:
            run.emit = emit
            found = await run_blocking(run.threads, run.store.look, file.path)
            await FileTransfer(run, file, found).fetch()
    assert scope.cancelled_caught
    assert len(told) == last_event
    return sum(told)


def believed_bytes(root: Path) -> int:
    """How many bytes a later run believes; all of them have to be right."""
    with Store(root).open_partial(PATH) as part:
        recheck(part)
        present, missing = part.present_bytes, part.missing()
        there = bytearray(part.location.read_bytes().ljust(len(BODY), b"\0"))
    for gap in missing:
        there[gap.start : gap.stop] = BODY[gap.start : gap.stop]
    assert there == BODY
    return present


@pytest.mark.asyncio
@pytest.mark.parametrize("last_event", [1, 2, 4])
async def test_cancelled_while_an_event_is_told(
    server: FaultyServer, tmp_path: Path, last_event: int
) -> None:
    told_bytes = await fetch_until(server.url, tmp_path, last_event)
    here_bytes = await anyio.to_thread.run_sync(believed_bytes, tmp_path)
    assert told_bytes <= here_bytes < len(BODY)
    run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.problems == []
    assert_fetched(tmp_path, CORPUS)
    assert run.report.received_bytes == len(BODY) - here_bytes
