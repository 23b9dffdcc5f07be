"""Measuring a program, and the arithmetic of a comparison."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from benchmarks import harness

MOUNTS = """\
/dev/vda / ext4 rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
disk /mnt/two\\040words xfs rw 0 0
overlay /dev/shm overlay rw 0 0
"""

ENV = {"PATH": os.defpath}


def run(script: str, output: Path, **given: object) -> harness.Measurement:
    return harness.measure(
        [sys.executable, "-c", script],
        env=ENV,
        output_file=output,
        timeout_seconds=60,
        **given,  # type: ignore[arg-type]
    )


def test_measures_the_childs_own_peak_and_not_the_harness_s(tmp_path: Path) -> None:
    ballast = b"x" * 300_000_000
    small = run("input_never_read = 1; import time; time.sleep(0.3)", tmp_path / "out")
    large = run("block = b'x' * 200_000_000; import time; time.sleep(0.3)", tmp_path / "out")
    assert len(ballast) > large.peak_rss_bytes > 200_000_000
    assert 1_000_000 < small.peak_rss_bytes < 100_000_000


def test_counts_the_cpu_of_grandchildren(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    measured = run(
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])",
        tmp_path / "out",
    )
    assert measured.cpu_seconds >= 0.3


def test_keeps_exit_code_and_output(tmp_path: Path) -> None:
    measured = run("import sys; print('said'); sys.exit(7)", tmp_path / "out")
    assert measured.exit_code == 7
    assert measured.output == "said\n"
    assert not measured.killed


def test_kills_the_whole_group_when_asked(tmp_path: Path) -> None:
    ready, alive = tmp_path / "ready", tmp_path / "alive"
    os.mkfifo(alive)
    script = (
        "import pathlib, signal, subprocess, sys\n"
        f"held = open({str(alive)!r}, 'wb')\n"
        "code = 'import signal; signal.pause()'\n"
        "child = subprocess.Popen([sys.executable, '-c', code], pass_fds=[held.fileno()])\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "signal.pause()"
    )
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    try:
        measured = run(script, tmp_path / "out", kill_when=ready.exists)
        os.set_blocking(reader, True)
        # The end comes when the last process that holds the other side is gone.
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)
    assert measured.killed
    assert measured.exit_code == -signal.SIGKILL


def test_tools_take_turns() -> None:
    assert list(harness.alternate("ab", 2)) == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]


def test_ratio_is_above_one_where_ours_is_faster() -> None:
    theirs, ours = [2.0, 4.0, 90.0], [1.0, 2.0, 2.0]
    assert harness.ratio_of_medians(theirs, ours) == 2.0
    assert harness.median_of_ratios([2.0, 4.0, 90.0], [1.0, 1.0, 1.0]) == 4.0


def test_rounds_must_pair() -> None:
    with pytest.raises(ValueError, match="zip"):
        harness.median_of_ratios([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/x", "ext4"),
        ("/dev/shm/x", "overlay"),  # mounted over the tmpfs, later
        ("/dev/shmother", "ext4"),
        ("/mnt/two words/x", "xfs"),
    ],
)
def test_finds_the_file_system(path: str, kind: str) -> None:
    assert harness.file_system_in(MOUNTS, Path(path)) == kind
