"""Everything at once: all files of all tasks, tiny: the right set, each asked for once."""

from __future__ import annotations

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
from nersemble_async.synthetic.tiny_layout import write_tiny_layout
from tests.support.corpora import state_files, visible_files
from tests.support.fetching import command, command_environment
from tests.support.nginx import run_nginx

OPTIONAL = "flame2023_tracking.npz"


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is room: on a disk, each of 4,339 files costs an fsync."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 200_000_000:
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            yield Path(folder)
    else:
        yield tmp_path


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


def test_all_tasks_in_one_run(quick_folder: Path) -> None:
    served, root = quick_folder / "served", quick_folder / "root"
    published = write_tiny_layout(served)
    wanted = [file.path for file in published if not file.path.endswith(OPTIONAL)]
    assert Counter(path.split("/")[0] for path in wanted) == {
        "nvs": 3651 + 1,
        "mono_flame_avatar": 295 + 1,
        "svfr": 391,
    }
    with run_nginx(served, quick_folder / "nginx") as server:
        environment = command_environment(server.url, root)
        # A few files first: what a run costs that has next to nothing to do.
        few = ("fetch", "nvs", "--participant", "388", "--serial", "222200042")
        elsewhere = {**environment, "NERSEMBLE_BENCHMARK_FOLDER": str(quick_folder / "few")}
        _, few_bytes = run_measured(few, elsewhere)
        first = len(server.requests())
        arguments = ("fetch", "--pointcloud-frames", "all")
        report, peak_bytes = run_measured(arguments, environment)
        requests = server.requests()[first:]
        again, _ = run_measured(arguments, environment)
        assert len(server.requests()) == first + len(requests), "a second run asks for nothing"
    there = visible_files(served)
    assert visible_files(root) == {path: there[path] for path in wanted}
    assert state_files(root, "parts") == []
    gets = Counter(r.path for r in requests if r.method == "GET")
    for task in TASKS:  # asked for with metadata.json, and with everything else
        assert gets.pop(f"{task}/SHA256SUMS") <= 2
    assert gets == Counter(wanted), "each file once"
    assert Counter(f["path"] for f in report["files"]) == Counter(wanted)
    assert report["grades"]["content"] == len(wanted)
    assert again["outcomes"]["present"] == len(wanted)
    # 4,339 files: their plan and their report, but no open files and no buffers of each.
    assert peak_bytes < 90_000_000
    assert peak_bytes - few_bytes < 30_000_000
