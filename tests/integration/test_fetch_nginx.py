from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nersemble_async.fetch.plan import FetchPlan
from nersemble_async.fetch.progress import EvidenceGrade, FileFinished, Outcome, RunStarted
from tests.support.corpora import Corpus, assert_fetched, pointclouds, state_files
from tests.support.fetching import fetch
from tests.support.nginx import Nginx, run_nginx

MIB = 1 << 20


@pytest.fixture(scope="module")
def small() -> Corpus:
    return pointclouds([20_000 + 137 * i for i in range(60)])


@pytest.fixture(scope="module")
def large() -> Corpus:
    return pointclouds([40 * MIB])


def data_gets(server: Nginx) -> Counter[str]:
    """GETs of files of the plan: the server's own list of digests is asked for once, apart."""
    gets = server.gets()
    assert gets.pop("nvs/SHA256SUMS", 0) <= 1
    return gets


@pytest.mark.asyncio
async def test_one_get_for_each_small_file(tmp_path: Path, small: Corpus) -> None:
    served, root = small.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx") as server:
        run = await fetch(server.url, root, small.plan)
        assert run.problems == []
        assert_fetched(root, small)
        assert data_gets(server) == Counter(small.paths)
        requests = server.requests()
    assert {r.accept_encoding for r in requests} == {"identity"}
    # Connections are kept alive: never more of them than asked for.
    assert len({r.connection for r in requests}) <= 8
    assert run.report.received_bytes == small.total_bytes == run.report.size_bytes
    assert run.report.outcomes == {Outcome.FETCHED: 60}
    assert run.report.grades == {EvidenceGrade.CONTENT: 60}
    assert run.report.retries == 0
    assert len(run.of_kind(RunStarted)) == 1
    assert Counter(f.path for f in run.of_kind(FileFinished)) == Counter(small.paths)
    assert state_files(root, "parts") == []


@pytest.mark.asyncio
async def test_a_complete_root_makes_no_request(tmp_path: Path, small: Corpus) -> None:
    served, root = small.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx") as server:
        await fetch(server.url, root, small.plan)
        before = len(server.requests())
        run = await fetch(server.url, root, small.plan)
        assert len(server.requests()) == before
        assert run.report.outcomes == {Outcome.PRESENT: 60}
        assert run.report.received_bytes == 0
        # Asked to look: one question a file, still not a byte.
        run = await fetch(server.url, root, small.plan, check_remote=True)
        asked = server.requests()[before:]
        heads = Counter(r.path for r in asked if r.method == "HEAD")
        assert heads == Counter(small.paths)
        assert run.report.outcomes == {Outcome.PRESENT: 60}
        assert run.report.received_bytes == 0
        # Asked to overwrite: everything once more.
        run = await fetch(server.url, root, small.plan, overwrite=True)
        assert run.report.outcomes == {Outcome.FETCHED: 60}
        assert run.report.received_bytes == small.total_bytes
    assert_fetched(root, small)


@pytest.mark.asyncio
async def test_check_remote_fetches_what_changed(tmp_path: Path, small: Corpus) -> None:
    served, root = small.write(tmp_path / "served"), tmp_path / "root"
    changed = small.paths[7]
    other = pointclouds([50_000], seed=9)
    with run_nginx(served, tmp_path / "nginx") as server:
        await fetch(server.url, root, small.plan)
        (served / changed).write_bytes(other.bodies[other.paths[0]])
        run = await fetch(server.url, root, small.plan, check_remote=True)
    assert run.report.outcomes == {Outcome.PRESENT: 59, Outcome.FETCHED: 1}
    assert run.file(changed).outcome is Outcome.FETCHED
    bodies = {**small.bodies, changed: other.bodies[other.paths[0]]}
    assert_fetched(root, Corpus(small.plan, bodies))


@pytest.mark.asyncio
async def test_a_large_file_comes_in_disjoint_ranges(tmp_path: Path, large: Corpus) -> None:
    served, root = large.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx") as server:
        run = await fetch(server.url, root, large.plan)
        assert run.problems == []
        assert_fetched(root, large)
        requests = [r for r in server.requests() if r.path == large.paths[0] and r.method == "GET"]
    assert len(requests) > 1
    assert {r.status for r in requests} == {206}
    assert sum(r.body_bytes for r in requests) == large.total_bytes, "not a byte twice"
    assert all(r.if_range for r in requests[1:])


@pytest.mark.asyncio
@pytest.mark.parametrize("etag", [True, False])
async def test_a_server_without_ranges(
    tmp_path: Path, small: Corpus, large: Corpus, etag: bool
) -> None:
    with run_nginx(tmp_path / "served", tmp_path / "nginx", ranges=False, etag=etag) as server:
        for name, corpus in (("small", small), ("large", large)):
            corpus.write(tmp_path / "served")
            root = tmp_path / name
            run = await fetch(server.url, root, corpus.plan)
            assert run.problems == []
            assert_fetched(root, corpus)
            assert run.report.received_bytes == corpus.total_bytes
        gets = server.gets()
    del gets["nvs/SHA256SUMS"]
    assert gets == Counter(small.paths) + Counter(large.paths)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "options", [{"etag": False}, {"gzip": True}, {"bytes_per_second": 20 * MIB}]
)
async def test_other_servers(tmp_path: Path, large: Corpus, options: dict[str, Any]) -> None:
    served, root = large.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx", **options) as server:
        run = await fetch(server.url, root, large.plan)
        assert run.problems == []
        assert_fetched(root, large)
        # A capped connection is no reason to leave the others idle.
        requests = [r for r in server.requests() if r.path == large.paths[0] and r.method == "GET"]
        assert len({r.connection for r in requests}) > 1
        assert sum(r.body_bytes for r in requests) == large.total_bytes


@pytest.mark.asyncio
async def test_a_folder_of_the_official_toolkit_is_adopted(tmp_path: Path, small: Corpus) -> None:
    served, root = small.write(tmp_path / "served"), small.write(tmp_path / "root")
    damaged, short = small.paths[3], small.paths[4]
    (root / damaged).write_bytes(b"x" * len(small.bodies[damaged]))
    (root / short).write_bytes(small.bodies[short][:1000])
    with run_nginx(served, tmp_path / "nginx") as server:
        run = await fetch(server.url, root, small.plan)
        # The short one is doubted only after a GET of one byte said what HEAD had said.
        assert data_gets(server) == {damaged: 1, short: 2}
    assert run.problems == []
    assert run.report.outcomes == {Outcome.ADOPTED: 58, Outcome.FETCHED: 2}
    assert_fetched(root, small)


@pytest.mark.asyncio
async def test_published_digests_are_evidence(tmp_path: Path, small: Corpus) -> None:
    served, root = small.write(tmp_path / "served"), tmp_path / "root"
    wrong = small.paths[5]
    lines = []
    for path, body in small.bodies.items():
        digest = hashlib.sha256(body if path != wrong else b"other").hexdigest()
        lines.append(f"{digest}  {path.removeprefix('nvs/')}\n")
    (served / "nvs" / "SHA256SUMS").write_text("".join(lines))
    with run_nginx(served, tmp_path / "nginx") as server:
        run = await fetch(server.url, root, small.plan)
        gets = server.gets()
    assert gets["nvs/SHA256SUMS"] == 1
    assert gets[wrong] == 2, "fetched once more before it is given up"
    assert run.report.exit_code == 5
    assert run.report.grades == {EvidenceGrade.PUBLISHED: 59}
    assert run.file(wrong).outcome is Outcome.FAILED
    assert not (root / wrong).exists()
    assert len(state_files(root, "quarantine")) == 1


@pytest.mark.asyncio
async def test_names_are_percent_encoded(tmp_path: Path) -> None:
    """A plus is no space, and reaches the server as a plus, encoded or not."""
    corpus = pointclouds([2000])
    name = "nvs/388/sequences/EXP-3-cheeks+nose/pointclouds/frame_00000.pcd"
    plan = FetchPlan((replace(corpus.plan.files[0], path=name),))
    corpus = Corpus(plan, {name: corpus.bodies[corpus.paths[0]]})
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx") as server:
        run = await fetch(server.url, root, plan)
    assert run.problems == []
    assert_fetched(root, corpus)
