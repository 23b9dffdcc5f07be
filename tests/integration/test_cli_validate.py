"""``validate`` as a process of its own: what is printed where, and Ctrl-C in the middle."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from nersemble_async.submission.entries import expected_entries
from tests.integration.test_cli_terminal import on_terminal
from tests.support.broken_zips import NVS, write_zip
from tests.support.fetching import command, command_environment, run_command
from tests.support.submission_files import good_video


@pytest.fixture
def long_zip(tmp_path: Path) -> Path:
    """Seconds of work where every frame is decoded."""
    video = good_video("nvs", 0, 40)
    return write_zip(tmp_path / "out.zip", [(path, video) for path in expected_entries("nvs")])


def test_ctrl_c_leaves_at_the_next_frame_and_nothing_behind(long_zip: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = command_environment(None, tmp_path / "root", TMPDIR=str(temporary))
    with on_terminal(command("validate", "nvs", str(long_zip), "--deep"), environment) as terminal:
        terminal.read_until("/15 entries")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.finish() == 130
    assert "interrupted" in terminal.shown
    assert "\x1b[?25h" in terminal.shown  # the cursor is back
    assert list(temporary.iterdir()) == []


def test_bars_and_colours_on_a_terminal_only(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "out.zip", [(NVS[0], b"")])
    environment = command_environment(None, tmp_path / "root")
    with on_terminal(command("validate", "nvs", str(path)), environment) as terminal:
        assert terminal.finish() == 1
    assert "\x1b[31merror missing-entry" in terminal.shown
    piped = run_command(("validate", "nvs", str(path)), environment)
    assert (piped.code, piped.err) == (1, "")
    assert "\x1b" not in piped.out
    assert piped.out.splitlines()[0].startswith("error unreadable-video: ")


def test_a_program_reads_one_object(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "out.zip", [(NVS[0], b"")])
    environment = command_environment(None, tmp_path / "root", NERSEMBLE_FORMAT="json")
    done = run_command(("validate", "nvs", str(path)), environment)
    assert (done.code, done.err) == (1, "")
    document = json.loads(done.out)
    assert document["valid"] is False
    assert {issue["rule"] for issue in document["issues"]} == {"unreadable-video", "missing-entry"}
