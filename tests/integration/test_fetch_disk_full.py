"""A file system that fills up midway: state kept, exit code 4, and on it goes after room is made.

The file system is a real, small tmpfs. Mounting takes root: where the tests run as an ordinary
user, they run once more in a user namespace, in which they are root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.support.tree_watch import TreeWatch

MIB = 1 << 20
_INSIDE = "NERSEMBLE_TESTS_INSIDE_NAMESPACE"
# Read at import: the fixture `clean_environment` removes NERSEMBLE_* from a running test.
_IS_INSIDE = _INSIDE in os.environ


def _can(*arguments: str) -> bool:
    return subprocess.run(arguments, check=False, capture_output=True, timeout=20).returncode == 0


def _can_mount(folder: Path) -> bool:
    folder.mkdir(exist_ok=True)
    if not _can("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)):
        return False
    subprocess.run(["umount", str(folder)], check=True, timeout=20)
    return True


@pytest.fixture(scope="module")
def mounting(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only tests that can mount go on; the others are skipped, in CI they fail."""
    if _can_mount(tmp_path_factory.mktemp("mount")):
        return
    reason = "a small tmpfs can be mounted neither as this user nor in a user namespace"
    if not _IS_INSIDE and shutil.which("unshare") and _can("unshare", "-rm", "true"):
        reason = "runs inside a user namespace: see test_all_of_this_in_a_namespace"
    elif os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def test_all_of_this_in_a_namespace(tmp_path: Path) -> None:
    if _IS_INSIDE or _can_mount(tmp_path / "mount"):
        pytest.skip("not needed: this user may mount")
    if not (shutil.which("unshare") and _can("unshare", "-rm", "true")):
        pytest.skip("there are no user namespaces here")
    inner = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        ["unshare", "-rm", *inner],
        env={**os.environ, _INSIDE: "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout.replace("1 skipped", ""), done.stdout


@contextmanager
def small_root(tmp_path: Path, size_bytes: int) -> Iterator[Path]:
    """A root folder on a tmpfs of so many bytes."""
    root = tmp_path / "root"
    root.mkdir(parents=True)
    options = ["-o", f"size={size_bytes}"]
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(root)], check=True, timeout=20)
    try:
        yield root
    finally:
        subprocess.run(["umount", str(root)], check=True, timeout=20)


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
