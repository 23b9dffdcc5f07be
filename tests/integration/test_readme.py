"""What README.md shows is run: every Python block, and every command of the section on fetching."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nersemble_async.submission.metadata_source import find_metadata
from tests.support.fetching import command_environment, run_command
from tests.support.nginx import run_nginx
from tests.support.submissions import pictures, video_entries
from tests.support.torch_python import torch_python

README = Path(__file__).parents[2] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


def shown_commands() -> list[list[str]]:
    """The arguments of each ``nersemble-async …`` line, but those that only set up."""
    lines = [line for block in blocks("shell") for line in block.splitlines()]
    shown = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in shown if words[:1] == ["nersemble-async"]]


def test_every_python_block_runs(stand_in: Path, tmp_path: Path) -> None:
    with run_nginx(stand_in, tmp_path / "nginx") as server:
        environment = command_environment(server.url, tmp_path / "root")
        found = blocks("python")
        assert len(found) >= 2
        for code in found:
            script = tmp_path / "block.py"  # a file: workers that are spawned import it
            script.write_text(code, "utf-8")
            needs_torch = "from torch" in code
            done = subprocess.run(
                [torch_python() if needs_torch else sys.executable, script],
                env={**environment, "PYTHONPATH": str(README.parent)},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr


def write_renderings(folder: Path, root: Path) -> None:
    """A JPEG for each frame of an NVS submission."""
    metadata = find_metadata("nvs", root)
    assert metadata is not None
    for entry in video_entries("nvs"):
        n_frames = metadata.n_frames(entry.participant_id, entry.sequence_name)
        images = folder / entry.path.removesuffix(".mp4")
        images.mkdir(parents=True)
        for index, image in enumerate(pictures("nvs", entry, n_frames or 0)):
            Image.fromarray(image).save(images / f"{index:04d}.jpg")


def test_every_command_runs(
    stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order, in one folder, against a server of the stand-in."""
    monkeypatch.chdir(tmp_path)
    write_renderings(tmp_path / "renders", stand_in)
    commands = shown_commands()
    assert {
        "fetch",
        "status",
        "verify",
        "checksums",
        "synthesize",
        "prepare",
        "info",
        "preview",
        "pack",
        "validate",
    } <= {c[0] for c in commands}
    with run_nginx(stand_in, tmp_path / "nginx") as server:
        environment = command_environment(server.url, tmp_path / "root")
        for arguments in commands:
            if arguments[-1] == "demo":
                continue  # has a test of its own
            done = run_command(arguments, environment)
            assert done.code == 0, (arguments, done.err)


def test_the_two_set_up_commands_are_one_line_each() -> None:
    lines = [line for block in blocks("shell") for line in block.splitlines()]
    set_up = [line for line in lines if line.startswith("python3 -m venv")]
    assert len(set_up) == 2
    assert set_up[0].endswith("nersemble-async demo")
    assert set_up[1].endswith("pytest")
