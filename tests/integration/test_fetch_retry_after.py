"""Retry-After, in both of its forms, with a clock that is moved on instead of waited for."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from nersemble_async.errors import TransientFetchError
from nersemble_async.fetch.progress import FileRetried
from tests.support import faults
from tests.support.corpora import assert_fetched, pointclouds
from tests.support.faulty_server import run_faulty_server
from tests.support.fetching import fetch

CORPUS = pointclouds([50_000])
PATH = CORPUS.paths[0]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every wait of the fetch path, none of which takes time."""
    asked: list[float] = []

    async def sleep(delay: float) -> None:
        asked.append(delay)
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(anyio, "sleep", sleep)
    return asked


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [429, 503])
async def test_seconds_are_obeyed(tmp_path: Path, waits: list[float], code: int) -> None:
    with run_faulty_server() as server:
        server.put(PATH, CORPUS.bodies[PATH], faults.status(code, retry_after="120"))
        run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.problems == []
    assert_fetched(tmp_path, CORPUS)
    assert waits == [120.0]
    assert [event.wait_seconds for event in run.of_kind(FileRetried)] == [120.0]


@pytest.mark.asyncio
async def test_a_date_is_obeyed(tmp_path: Path, waits: list[float]) -> None:
    with run_faulty_server() as server:
        date = formatdate(time.time() + 400, usegmt=True)
        server.put(PATH, CORPUS.bodies[PATH], faults.status(503, retry_after=date))
        run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.problems == []
    (wait,) = waits
    assert 200 < wait <= 400


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["-5", "soon", "1e3", "", "Mon, 99 Foo 2026", "0"])
async def test_nonsense_and_zero_wait_as_usual(
    tmp_path: Path, waits: list[float], text: str
) -> None:
    with run_faulty_server() as server:
        server.put(PATH, CORPUS.bodies[PATH], faults.status(503, retry_after=text))
        run = await fetch(server.url, tmp_path, CORPUS.plan, retry_base_seconds=1.0)
    assert run.problems == []
    assert len(waits) == 1
    assert 0 <= waits[0] <= 1.0


@pytest.mark.asyncio
async def test_nobody_waits_for_a_day(tmp_path: Path, waits: list[float]) -> None:
    with run_faulty_server() as server:
        server.always[PATH] = faults.status(503, retry_after="86400")
        run = await fetch(server.url, tmp_path, CORPUS.plan)
    assert run.report.exit_code == 1
    assert isinstance(run.file(PATH).error, TransientFetchError)
    assert waits == []


@pytest.mark.asyncio
async def test_the_wait_grows_and_is_bounded(tmp_path: Path, waits: list[float]) -> None:
    with run_faulty_server() as server:
        server.always[PATH] = faults.silence()
        run = await fetch(server.url, tmp_path, CORPUS.plan, retries=12, retry_base_seconds=1.0)
    assert run.report.exit_code == 1
    assert len(waits) == 12
    assert all(0 <= wait <= min(2.0**i, 60.0) for i, wait in enumerate(waits))
    assert len(set(waits)) > 1, "full jitter"
