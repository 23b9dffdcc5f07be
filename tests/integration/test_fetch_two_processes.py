"""Two processes at once on one root: right bytes, shared work, and nobody waits for the dead."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.corpora import (
    FETCH_POINTCLOUDS,
    Corpus,
    assert_fetched,
    pointclouds,
    state_files,
    with_metadata,
)
from tests.support.fetching import command_environment, kill, run_command, started
from tests.support.nginx import Nginx, run_nginx

MIB = 1 << 20


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return with_metadata(pointclouds([40_000] * 200 + [3 * MIB] * 4))


JSON = (*FETCH_POINTCLOUDS, "--format", "json")


def environment(server: Nginx, root: Path) -> dict[str, str]:
    return command_environment(server.url, root, NERSEMBLE_CONNECTIONS="2")


def wait_for_parts(root: Path, process: subprocess.Popen[str]) -> None:
    """Return when the process is in the midst of a file."""
    while not state_files(root, "parts"):
        assert process.poll() is None
        time.sleep(0.001)  # leaves the processor to the process


@pytest.mark.parametrize("count", [2, 3])
def test_they_share_the_work(tmp_path: Path, corpus: Corpus, count: int) -> None:
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    # The cap makes sure that they are at it at the same time.
    with (
        run_nginx(served, tmp_path / "nginx", bytes_per_second=4 * MIB) as server,
        ExitStack() as stack,
    ):
        running = [started(JSON, environment(server, root)) for _ in range(count)]
        processes = [stack.enter_context(process) for process in running]
        results = [process.communicate(timeout=60) for process in processes]
        gets = server.gets()
    del gets["nvs/SHA256SUMS"]
    for process, (_, told) in zip(processes, results, strict=True):
        assert process.returncode == 0, told
    assert_fetched(root, corpus)
    assert state_files(root, "parts") == []
    assert gets == Counter(corpus.paths), "each file once, by one of them"
    outcomes = [json.loads(out)["outcomes"] for out, _ in results]
    # metadata.json is fetched before the plan is known and stands in the plan as present.
    assert sum(o["fetched"] for o in outcomes) == len(corpus.paths) - 1
    for told in outcomes:
        # What another one finished while this one looked is adopted.
        assert told["fetched"] + told["present"] + told["adopted"] == len(corpus.paths)


def test_a_dead_process_blocks_nobody(tmp_path: Path, corpus: Corpus) -> None:
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    with (
        run_nginx(served, tmp_path / "nginx", bytes_per_second=4 * MIB) as server,
        started(JSON, environment(server, root)) as dying,
        started(JSON, environment(server, root)) as living,
    ):
        wait_for_parts(root, dying)
        kill(dying)
        _, told = living.communicate(timeout=60)
        assert living.returncode == 0, told
    assert_fetched(root, corpus)
    assert state_files(root, "parts") == []


def test_interrupted_it_keeps_its_state(tmp_path: Path, corpus: Corpus) -> None:
    served, root = corpus.write(tmp_path / "served"), tmp_path / "root"
    with run_nginx(served, tmp_path / "nginx", bytes_per_second=4 * MIB) as server:
        with started(JSON, environment(server, root)) as process:
            wait_for_parts(root, process)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 130
        report = json.loads(out)
        assert report["cancelled"] is True
        received_bytes = report["received_bytes"]
        done = run_command(JSON, environment(server, root))
    assert done.code == 0, done.err
    assert_fetched(root, corpus)
    # Interrupted cleanly, not a byte that came is fetched again.
    metadata_bytes = len(corpus.bodies["nvs/metadata.json"])
    received_bytes += done.json["received_bytes"]
    assert received_bytes == corpus.total_bytes - metadata_bytes
