"""``prepare`` as a process of its own: Ctrl-C in the middle, and on again."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from typing import IO

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.cache.frame_space import FrameSpace
from tests.support.fetching import command, command_environment, run_command

SERIALS = BENCHMARKS["nvs"].train_serials[:3]
PREPARE = ("prepare", "--serial", *SERIALS, "nvs/388/GLASSES")
N_FRAMES = 3
"""Of each video in the tiny stand-in."""


def read_until(stream: IO[str], text: str) -> None:
    """Read lines to the first with ``text``; fails where the process ends before."""
    assert any(text in line for line in stream)


def test_ctrl_c_and_on_again(stand_in: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    environment = command_environment(None, stand_in, NERSEMBLE_FRAME_CACHE_FOLDER=str(frames))
    begun = run_command(("prepare", "--serial", SERIALS[0], "nvs/388/GLASSES"), environment)
    assert (begun.code, begun.err) == (0, f"data folder: {stand_in}\n")
    assert "\x1b" not in begun.out
    with subprocess.Popen(
        command(*PREPARE),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # While somebody else writes to the folder, it waits with its first frames.
        space = FrameSpace(frames, None)
        with closing(space), space.held():
            read_until(process.stdout, "to be written to")
            process.send_signal(signal.SIGINT)
            read_until(process.stderr, "what is here is kept")
        # Not `communicate`: it would not see what the streams have read ahead.
        out, err = process.stdout.read(), process.stderr.read()
        process.wait(timeout=30)
    assert "Not complete: " in out
    assert "run the same command again to go on" in err
    assert process.returncode == 130
    report = json.loads(run_command((*PREPARE, "--format", "json"), environment).out)
    assert report["frames"] == 3 * N_FRAMES
    assert N_FRAMES <= report["present_frames"] < 3 * N_FRAMES
    assert report["present_frames"] + report["stored_frames"] == 3 * N_FRAMES
