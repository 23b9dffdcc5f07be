"""What a terminal shows, drawn into memory."""

from __future__ import annotations

import io

import anyio
import pytest
from rich.console import Console

from nersemble_async.cli.console import (
    SHOWN_ACTIVE_FILES,
    TerminalOutput,
    progress_picture,
    tail_of,
)
from nersemble_async.cli.output import Table
from nersemble_async.cli.tally import Progress, Tally
from nersemble_async.cli.wording import Line
from nersemble_async.fetch.progress import BytesReceived, FileRetried, FileStarted

WIDTH = 80


def make_console(*, terminal: bool = True) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=WIDTH, markup=False)
    return console, file


def draw(tally: Tally) -> list[str]:
    console, file = make_console(terminal=False)
    console.print(progress_picture(Progress("Fetching", tally), WIDTH))
    lines = file.getvalue().splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    return lines


def make_tally(files: int) -> Tally:
    paths = [f"nvs/388/sequences/GLASSES/images/cam_{222200000 + i}.mp4" for i in range(files)]
    return Tally(dict.fromkeys(paths, ("nvs", "images")), lambda: 10.0)


def test_the_whole_and_its_active_files() -> None:
    tally = make_tally(2)
    first, second = tally._kinds
    tally.add(FileStarted(first, 4_000_000, 0))
    tally.add(BytesReceived(first, 1_000_000))
    tally.add(FileStarted(second, None, 500))
    lines = draw(tally)
    assert lines[0].startswith("Fetching ")
    assert lines[0].endswith("13%")
    assert lines[1].startswith("0/2 files, 1.0 MB of about 8.0 MB")
    assert "cam_222200000.mp4" in lines[2]
    assert lines[2].endswith("1.0 MB of 4.0 MB")
    assert lines[3].endswith("500 B")


def test_only_a_handful_of_files_is_shown() -> None:
    tally = make_tally(20)
    for path in tally._kinds:
        tally.add(FileStarted(path, 1000, 0))
    lines = draw(tally)
    assert len(lines) == 2 + SHOWN_ACTIVE_FILES + 1
    assert lines[-1] == "  and 14 more"


def test_a_waiting_file_says_why() -> None:
    tally = make_tally(1)
    (path,) = tally._kinds
    tally.add(FileStarted(path, 1000, 0))
    tally.add(FileRetried(path, 1, 4.0, "reset"))
    assert draw(tally)[2].endswith("again in 4 s: reset")


def test_nothing_known_draws_an_empty_bar() -> None:
    assert len(draw(Tally({}, lambda: 0.0))) == 2


def test_paths_keep_their_end() -> None:
    assert tail_of("nvs/a/b.mp4", 40) == "nvs/a/b.mp4"
    assert tail_of("nvs/a/b.mp4", 6) == "…b.mp4"


def test_lines_are_coloured_and_brackets_stay() -> None:
    console, file = make_console()
    TerminalOutput(console).lines([Line("[bad] wrong", "bad"), Line("plain")])
    assert "\x1b[31m[bad] wrong" in file.getvalue()


def test_tables_have_head_rows_and_sums() -> None:
    console, file = make_console(terminal=False)
    output = TerminalOutput(console)
    output.table(
        Table(("task", "asset", "files"), [("nvs", "images", "3")], footer=("all", "", "3"))
    )
    output.document({"for": "programs"})
    assert [line.split() for line in file.getvalue().splitlines()] == [
        ["task", "asset", "files"],
        ["nvs", "images", "3"],
        ["all", "3"],
    ]


@pytest.mark.asyncio
async def test_bars_are_gone_when_the_work_is_done() -> None:
    console, file = make_console()
    async with TerminalOutput(console).following(Progress("Fetching", make_tally(1))):
        await anyio.lowlevel.checkpoint()
        assert "Fetching" in file.getvalue()
    # The cursor is shown again, and the lines that were drawn are erased.
    assert "\x1b[?25h" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K")
