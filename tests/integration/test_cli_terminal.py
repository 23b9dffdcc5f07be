"""The command line on a terminal: bars, and the question for the URL."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.corpora import pointclouds
from tests.support.fetching import command, command_environment
from tests.support.nginx import Nginx, run_nginx

CALIBRATION = ("fetch", "nvs", "--participant", "388", "--assets", "calibration")
PROMPT = "stored for the next time): "


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nginx]:
    """A server with one calibration, so small that its content is all there is to it."""
    folder = pointclouds([2_000]).write(tmp_path / "served")
    calibration = folder / "nvs/388/calibration/camera_params.json"
    calibration.parent.mkdir(parents=True)
    rows = ", ".join(
        "[" + ", ".join("1.0" if r == c else "0.0" for c in range(4)) + "]" for r in range(4)
    )
    matrix = "[[900.0, 0.0, 550.0], [0.0, 900.0, 802.0], [0.0, 0.0, 1.0]]"
    calibration.write_text(
        f'{{"world_2_cam": {{"222200042": [{rows}]}}, "intrinsics": {{"222200042": {matrix}}}}}',
        "utf-8",
    )
    (folder / "nvs/metadata.json").write_text(
        '{"sequences": {"388": {"sequence_name": "GLASSES", "timesteps": [0]}}}', "utf-8"
    )
    with run_nginx(folder, tmp_path / "nginx") as nginx:
        yield nginx


class Terminal:
    """A process on a pseudo-terminal of 100 × 30; what it shows is gathered in ``shown``."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._own, theirs = pty.openpty()
        self.shown = ""
        # A session of its own: no /dev/tty, so the question is asked on the pseudo-terminal.
        self.process = subprocess.Popen(
            arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
            start_new_session=True,
        )
        os.close(theirs)

    def read_until(self, text: str, times: int = 1) -> None:
        """Read until ``text`` was shown ``times`` times; fails where the process ends before."""
        while self.shown.count(text) < times:
            assert self._read(), f"ended without {text!r}: {self.shown}"

    def type(self, line: str) -> None:
        os.write(self._own, line.encode() + b"\n")

    def finish(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(timeout=30)

    def _read(self) -> bool:
        try:
            data = os.read(self._own, 65536)
        except OSError:  # what Linux says when the other side is closed
            return False
        self.shown += data.decode()
        return bool(data)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(timeout=30)
        os.close(self._own)


@contextmanager
def on_terminal(arguments: list[str], environment: dict[str, str]) -> Iterator[Terminal]:
    terminal = Terminal(arguments, environment)
    try:
        yield terminal
    finally:
        terminal.close()


def test_bars_and_colours(tmp_path: Path, server: Nginx) -> None:
    environment = command_environment(server.url, tmp_path / "root")
    with on_terminal(command(*CALIBRATION), environment) as terminal:
        assert terminal.finish() == 0
    assert "\x1b[1mFetching" in terminal.shown
    assert "\x1b[1;32mComplete: 2 files" in terminal.shown
    assert "\x1b[?25h" in terminal.shown  # the cursor is back
    assert server.url.rsplit("/", 1)[1] not in terminal.shown


def test_the_url_is_asked_for_once_and_stored_for_oneself(tmp_path: Path, server: Nginx) -> None:
    home = tmp_path / "home"
    stored = home / ".config/nersemble_benchmark/.env"
    stored.parent.mkdir(parents=True)
    stored.write_text("NERSEMBLE_CONNECTIONS=3\n", "utf-8")
    environment = command_environment(None, tmp_path / "root", HOME=str(home))
    with on_terminal(command(*CALIBRATION), environment) as terminal:
        terminal.read_until(PROMPT)
        terminal.type("not a url")
        terminal.read_until(PROMPT, times=2)  # what is typed before a question is dropped
        assert "That cannot be it" in terminal.shown
        terminal.type(server.url)
        assert terminal.finish() == 0
    assert "Complete: 2 files" in terminal.shown
    assert server.url.rsplit("/", 1)[1] not in terminal.shown
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    text = stored.read_text("utf-8")
    assert "NERSEMBLE_CONNECTIONS=3" in text
    assert server.url in text

    with on_terminal(command(*CALIBRATION, "--overwrite"), environment) as terminal:
        assert terminal.finish() == 0
    assert "not shown" not in terminal.shown


def test_no_answer_is_no_access(tmp_path: Path) -> None:
    environment = command_environment(None, tmp_path / "root", HOME=str(tmp_path))
    with on_terminal(command(*CALIBRATION), environment) as terminal:
        terminal.read_until(PROMPT)
        terminal.type("")
        assert terminal.finish() == 3
    assert not (tmp_path / ".config").exists()
