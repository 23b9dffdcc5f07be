"""What `pack` says at its end."""

from __future__ import annotations

from pathlib import Path

from nersemble_async.cli.pack_report import Packing, _end_lines
from nersemble_async.fetch.progress import ExitCode


def test_what_an_earlier_run_packed_is_not_denied_by_an_early_ctrl_c(tmp_path: Path) -> None:
    packing = Packing("nvs", tmp_path, tmp_path / "a.zip")
    (line,) = _end_lines(packing, None, ExitCode.INTERRUPTED)
    assert line.text == f"Not written: {tmp_path / 'a.zip'}; nothing was packed yet"
    partial = tmp_path / "a.zip.partial"
    partial.touch()
    (line,) = _end_lines(packing, None, ExitCode.INTERRUPTED)
    assert line.text.endswith(f"a.zip; what an earlier run packed stays in {partial}")
