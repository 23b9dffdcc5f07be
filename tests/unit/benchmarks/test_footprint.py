"""Start-up times are of the package that is installed, and a broken start is no figure."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import footprint


def test_times_every_command_against_the_bare_interpreter() -> None:
    starts = footprint.measure_starts(Path(sys.executable), 1)
    assert starts[0].command == "python -c pass"
    assert starts[0].seconds_beyond_bare == 0
    assert [s.command for s in starts[1:]] == [
        "import nersemble_async",
        "from nersemble_async import Fetcher",
        "from nersemble_async import NVSDataManager",
        "nersemble-async --version",
    ]
    assert all(s.seconds > starts[0].seconds for s in starts[1:])


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match="python -c pass: exit 3: broken"):
        footprint.measure_starts(python, 1)


def test_says_what_was_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = [footprint.Start("import nersemble_async", 0.3, 0.28)]
    monkeypatch.setattr(footprint, "measure_starts", lambda _python, _repeat: starts)
    figures = tmp_path / "figures.json"
    assert footprint.main(["--skip-install", "--json", str(figures)]) == 0
    assert "0.4 s: met" in capsys.readouterr().out
    assert json.loads(figures.read_text())["starts"][0]["seconds"] == 0.3
    starts[0] = footprint.Start("import nersemble_async", 0.4, 0.38)
    assert footprint.main(["--skip-install"]) == 1
    assert "0.4 s: MISSED" in capsys.readouterr().out
