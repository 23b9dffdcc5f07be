"""A file system that fills up midway: state kept, exit code 4, and on it goes after room is made.

The file system is a real, small tmpfs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import anyio
import pytest

from nersemble_async.errors import DiskFullError
from nersemble_async.fetch.progress import Outcome
from tests.support.corpora import (
    FETCH_POINTCLOUDS,
    Corpus,
    assert_fetched,
    digests,
    pointclouds,
    state_files,
    with_metadata,
)
from tests.support.fetching import command_environment, fetch, run_command
from tests.support.nginx import run_nginx
from tests.support.small_disks import require_mounting, run_in_namespace, small_disk
from tests.support.tree_watch import TreeWatch

MIB = 1 << 20


@pytest.fixture(scope="module")
def mounting(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only tests that can mount go on; the others are skipped, in CI they fail."""
    require_mounting(tmp_path_factory.mktemp("mount"))


def test_all_of_this_in_a_namespace(tmp_path: Path) -> None:
    run_in_namespace(__file__, tmp_path / "mount")


def small_root(tmp_path: Path, size_bytes: int) -> AbstractContextManager[Path]:
    """A root folder on a tmpfs of so many bytes."""
    return small_disk(tmp_path / "root", size_bytes)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    # Too few files for their size to be sampled before they begin.
    return with_metadata(pointclouds([3 * MIB] * 6))


@pytest.mark.usefixtures("mounting")
def test_full_midway_and_on_after_room_was_made(tmp_path: Path, corpus: Corpus) -> None:
    served = corpus.write(tmp_path / "served")
    arguments = (*FETCH_POINTCLOUDS, "--format", "json")
    with (
        run_nginx(served, tmp_path / "nginx", bytes_per_second=20 * MIB) as server,
        small_root(tmp_path, 24 * MIB) as root,
    ):
        (root / "ballast").write_bytes(bytes(11 * MIB))
        environment = command_environment(server.url, root)
        full = run_command(arguments, environment)
        assert full.code == 4, full.err
        assert "Traceback" not in full.err
        assert full.json["error"]["class"] == "DiskFullError"
        # All of it together does not fit, but that shows only when each has begun.
        kept = full.json["received_bytes"]
        assert kept > 0
        (root / "ballast").unlink()
        done = run_command(arguments, environment)
        assert done.code == 0, done.err
        assert_fetched(root, corpus)
        assert state_files(root, "parts") == []
    metadata_bytes = len(corpus.bodies["nvs/metadata.json"])
    assert kept + done.json["received_bytes"] == corpus.total_bytes - metadata_bytes


@pytest.mark.usefixtures("mounting")
def test_what_cannot_fit_is_not_begun(tmp_path: Path) -> None:
    corpus = with_metadata(pointclouds([200_000] * 100))
    served = corpus.write(tmp_path / "served")
    with (
        run_nginx(served, tmp_path / "nginx") as server,
        small_root(tmp_path, 8 * MIB) as root,
    ):
        environment = command_environment(server.url, root)
        done = run_command((*FETCH_POINTCLOUDS, "--format", "json"), environment)
        assert done.code == 4
        assert "--pointcloud-frames" in done.json["error"]["reason"], "it says what to do"
        assert [path for path in server.gets() if path.endswith(".pcd")] == []


@pytest.mark.asyncio
@pytest.mark.usefixtures("mounting")
async def test_full_at_any_instant(tmp_path: Path) -> None:
    """Room for so much and no more: for a journal, a record, half a block."""
    corpus = pointclouds([700_000] * 3)
    served = corpus.write(tmp_path / "served")
    with run_nginx(served, tmp_path / "nginx") as server:
        for pages in (1, 2, 3, 4, 6, 9, 20, 100, 180, 300, 400, 500, 520, 525, 530, 535, 540):
            with small_root(tmp_path / f"{pages}", pages * 4096) as root:
                watch = TreeWatch(root, digests(corpus.bodies))
                run = await fetch(server.url, root, corpus.plan)
                watch.look()
                if run.report.exit_code != 0:
                    assert run.report.exit_code == 4, run.problems
                    assert isinstance(run.report.stopped, DiskFullError)
                    await anyio.run_process(["mount", "-o", "remount,size=8m", str(root)])
                    run = await fetch(server.url, root, corpus.plan)
                assert run.problems == []
                assert Outcome.FAILED not in run.report.outcomes
                assert_fetched(root, corpus)
