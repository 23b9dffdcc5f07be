"""A real server behind a link that delays, or on which every connection dies before long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.corpora import assert_fetched, pointclouds, state_files
from tests.support.fetching import fetch
from tests.support.nginx import run_nginx
from tests.support.weak_link import run_weak_link

MIB = 1 << 20


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_connection_dies(tmp_path: Path, seed: int) -> None:
    corpus = pointclouds([30_000, 400_000, 1_500_000] * 4 + [8 * MIB], seed=seed)
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    with (
        run_nginx(served, tmp_path / "nginx") as server,
        run_weak_link(server.port, dies_after_bytes=(1000, 700_000), seed=seed) as link,
    ):
        run = await fetch(link.url(server.url), root, corpus.plan, retries=20)
    assert link.deaths > 10
    assert run.problems == []
    assert_fetched(root, corpus)
    assert state_files(root, "parts") == []
    assert run.report.retries >= link.deaths - 1, "all but the list of digests were noticed"
    # A reset may take bytes with it that had come; none that was written comes again.
    assert run.report.received_bytes == corpus.total_bytes


@pytest.mark.asyncio
@pytest.mark.parametrize("connections", [1, 3])
async def test_connections_are_kept_and_never_more_than_asked_for(
    tmp_path: Path, connections: int
) -> None:
    corpus = pointclouds([20_000] * 60 + [9 * MIB])
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    with (
        run_nginx(served, tmp_path / "nginx") as server,
        run_weak_link(server.port, delay_seconds=0.0005) as link,
    ):
        run = await fetch(link.url(server.url), root, corpus.plan, connections=connections)
    assert run.problems == []
    assert_fetched(root, corpus)
    assert link.most_at_once <= connections
    assert link.connections <= connections
