"""Everything at once: all files of all tasks, tiny: the right set, each asked for once."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nersemble_async.benchmark.spec import TASKS
from tests.support import planning
from tests.support.corpora import Corpus, assert_fetched, state_files
from tests.support.fetching import command, command_environment
from tests.support.nginx import run_nginx

METADATA = {
    "nvs/metadata.json": planning.nvs_json(),
    "mono_flame_avatar/metadata.json": planning.mono_json(),
}


@pytest.fixture(scope="module")
def everything() -> Corpus:
    """Every file of the benchmark but the optional ones, each with other bytes."""
    plan = planning.plan(frames="all")
    bodies = {file.path: f"the bytes of {file.path}\n".encode() * 3 for file in plan}
    return Corpus(plan, bodies | METADATA)


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is room: on a disk, each of 4,339 files costs an fsync."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 200_000_000:
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            yield Path(folder)
    else:
        yield tmp_path


def write_served(corpus: Corpus, folder: Path) -> Path:
    """The files, and for each task the published digests that tell that they are right."""
    corpus.write(folder)
    for task in TASKS:
        lines = [
            f"{hashlib.sha256(body).hexdigest()}  {path.removeprefix(f'{task}/')}\n"
            for path, body in corpus.bodies.items()
            if path.startswith(f"{task}/")
        ]
        (folder / task / "SHA256SUMS").write_text("".join(lines))
    return folder


_LAUNCHER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
raise SystemExit(code)
"""
"""Starts a command and tells its peak memory in KiB.

The kernel counts the memory of whoever starts a process towards the peak of that process, so it
must be a small one.
"""


def run_measured(arguments: Sequence[str], environment: dict[str, str]) -> tuple[Any, int]:
    """The report of a command, and its peak memory in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", _LAUNCHER, *command(*arguments, "--format", "json")],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), int(done.stderr.splitlines()[-1]) * 1024


def test_all_tasks_in_one_run(tmp_path: Path, quick_folder: Path, everything: Corpus) -> None:
    assert Counter(file.task for file in everything.plan) == {
        "nvs": 3651 + 1,
        "mono_flame_avatar": 295 + 1,
        "svfr": 391,
    }
    served, root = write_served(everything, tmp_path / "served"), quick_folder / "root"
    with run_nginx(served, tmp_path / "nginx") as server:
        environment = command_environment(server.url, root)
        # One file first: what a run costs that has next to nothing to do.
        few = ("fetch", "nvs", "--participant", "388", "--assets", "calibration")
        _, small_bytes = run_measured(
            few,
            {**environment, "NERSEMBLE_BENCHMARK_FOLDER": str(tmp_path / "few")},
        )
        first = len(server.requests())
        arguments = ("fetch", "--pointcloud-frames", "all")
        report, peak_bytes = run_measured(arguments, environment)
        requests = server.requests()[first:]
        again, _ = run_measured(arguments, environment)
        assert len(server.requests()) == first + len(requests), "a second run asks for nothing"
    assert_fetched(root, everything)
    assert state_files(root, "parts") == []
    gets = Counter(r.path for r in requests if r.method == "GET")
    for task in TASKS:  # asked for with metadata.json, and with everything else
        assert gets.pop(f"{task}/SHA256SUMS") <= 2
    assert gets == Counter(everything.paths), "each file once"
    assert Counter(f["path"] for f in report["files"]) == Counter(everything.paths)
    assert report["grades"]["published"] == len(everything.paths)
    assert again["outcomes"]["present"] == len(everything.paths)
    # 4,339 files: their plan and their report, but no open files and no buffers of each.
    assert peak_bytes < 90_000_000
    assert peak_bytes - small_bytes < 30_000_000
