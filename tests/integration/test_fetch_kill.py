"""kill -9 at random instants, then go on: right bytes, never a wrong file, little sent again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from tests.support.corpora import (
    FETCH_POINTCLOUDS,
    assert_fetched,
    digests,
    pointclouds,
    state_files,
    with_metadata,
)
from tests.support.fetching import command_environment, kill, run_command, started
from tests.support.nginx import LoggedRequest, run_nginx
from tests.support.tree_watch import TreeWatch

MIB = 1 << 20
QUIET = (*FETCH_POINTCLOUDS, "--format", "quiet")


def received_bytes(root: Path) -> int:
    """Body bytes on disk, in part files (blocks that hold data) and under final names."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith((".pcd", ".part")):
                # It may be renamed between the listing and the look.
                with contextlib.suppress(FileNotFoundError):
                    total += Path(folder, name).stat().st_blocks * 512
    return total


def watch_until(process: subprocess.Popen[str], watch: TreeWatch, root: Path, goal: int) -> None:
    """Look at the tree until so many bytes are there, or the process has ended."""
    while process.poll() is None and received_bytes(root) < goal:
        watch.look()
        time.sleep(0.005)  # leaves the processor to the process that is watched


def test_many_kills(tmp_path: Path) -> None:
    draw = random.Random(1)
    sizes = [draw.randrange(1000, 4 * MIB) for _ in range(14)] + [20 * MIB]
    corpus = with_metadata(pointclouds(sizes))
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    watch = TreeWatch(root, digests(corpus.bodies))
    kills = 0
    with run_nginx(served, tmp_path / "nginx", bytes_per_second=12 * MIB) as server:
        for _ in range(8):
            goal = received_bytes(root) + draw.randrange(6 * MIB)
            environment = command_environment(server.url, root, NERSEMBLE_CONNECTIONS="4")
            with started(QUIET, environment) as process:
                watch_until(process, watch, root, goal)
                # No synchronisation: the instant of death is drawn, and any will do.
                time.sleep(draw.uniform(0.0, 0.1))
                kills += kill(process) == -signal.SIGKILL
            watch.look()
        done = run_command(QUIET, command_environment(server.url, root))
        assert (done.code, done.out, done.err) == (0, "", "")
        watch.look()
    assert kills >= 4
    assert watch.complete
    assert_fetched(root, corpus)
    assert state_files(root, "parts") == []
    assert state_files(root, "quarantine") == []


def test_at_most_one_percent_is_sent_again(tmp_path: Path) -> None:
    corpus = with_metadata(pointclouds([72 * MIB] * 3))
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx", bytes_per_second=60 * MIB) as server:
        environment = command_environment(server.url, root, NERSEMBLE_CONNECTIONS="2")
        with started(QUIET, environment) as process:
            watch_until(process, TreeWatch(root, digests(corpus.bodies)), root, 100 * MIB)
            # The network is not to blame: let the process have what was sent before it dies.
            with server.frozen():
                wait_until_idle(process)
                assert kill(process) == -signal.SIGKILL
        here_bytes = received_bytes(root)
        before = len(server.requests())
        done = run_command(QUIET, command_environment(server.url, root))
        assert done.code == 0
        requests = server.requests()
    assert_fetched(root, corpus)
    again_bytes = data_bytes(requests) - corpus.total_bytes
    assert 0 <= again_bytes <= 0.01 * corpus.total_bytes
    # Nothing that was on the disk is asked for again (up to how the file system counts).
    asked_bytes = data_bytes(requests[before:])
    assert asked_bytes <= corpus.total_bytes - here_bytes + 64 * 1024


def data_bytes(requests: list[LoggedRequest]) -> int:
    """Body bytes of files, without the question for a list of digests."""
    return sum(r.body_bytes for r in requests if not r.path.endswith("SHA256SUMS"))


def wait_until_idle(process: subprocess.Popen[str]) -> None:
    """It has used no processor time for a fifth of a second."""
    used, quiet = processor_ticks(process.pid), 0
    while quiet < 20:
        time.sleep(0.01)
        now = processor_ticks(process.pid)
        quiet = quiet + 1 if now == used else 0
        used = now


def processor_ticks(process_id: int) -> int:
    """User and system time in clock ticks, of all threads."""
    fields = Path(f"/proc/{process_id}/stat").read_text("utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
