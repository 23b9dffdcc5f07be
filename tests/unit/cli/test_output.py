"""Each format says its own, and nothing else, on stdout."""

from __future__ import annotations

import json
import os
import sys

import anyio
import anyio.lowlevel
import pytest

from nersemble_async.cli.console import TerminalOutput
from nersemble_async.cli.output import (
    JsonOutput,
    Output,
    OutputFormat,
    PlainOutput,
    QuietOutput,
    Table,
    open_output,
    print_error,
    repeating,
    table_in_text,
)
from nersemble_async.cli.tally import Progress, Tally
from nersemble_async.cli.wording import Line

TABLE = Table(("task", "asset", "files"), [("nvs", "images", "1,000")], footer=("all", "", "2"))


def use(output: Output) -> None:
    output.lines([Line("one", "good"), Line("two")])
    output.table(TABLE)
    output.document({"exit_code": 0, "root": "/ä"})


def test_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    use(PlainOutput())
    out = capsys.readouterr().out
    assert out.startswith("one\ntwo\ntask")
    assert "\x1b" not in out
    assert "exit_code" not in out


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    use(JsonOutput())
    assert json.loads(capsys.readouterr().out) == {"exit_code": 0, "root": "/ä"}


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    use(QuietOutput())
    assert capsys.readouterr().out == ""


def test_errors_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("why")
    assert capsys.readouterr() == ("", "why\n")


def test_tables_are_aligned() -> None:
    assert table_in_text(TABLE) == [
        "task  asset   files",
        "-------------------",
        "nvs   images  1,000",
        "-------------------",
        "all               2",
    ]


@pytest.mark.parametrize(
    ("output_format", "kind"),
    [
        (OutputFormat.HUMAN, PlainOutput),
        (OutputFormat.JSON, JsonOutput),
        (OutputFormat.QUIET, QuietOutput),
    ],
)
def test_no_terminal_no_bars(output_format: OutputFormat, kind: type[Output]) -> None:
    assert type(open_output(output_format, logs_shown=False)) is kind


@pytest.mark.parametrize(
    ("term", "logs_shown", "kind"),
    [("xterm", False, TerminalOutput), ("xterm", True, PlainOutput), ("dumb", False, PlainOutput)],
)
def test_bars_need_a_terminal_of_their_own(
    monkeypatch: pytest.MonkeyPatch, term: str, kind: type[Output], *, logs_shown: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    output = open_output(OutputFormat.HUMAN, logs_shown=logs_shown)
    assert type(output) is kind
    assert os.environ["TERM"] == term


@pytest.mark.asyncio
async def test_plain_progress_comes_at_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("Fetching", Tally({"nvs/a": ("nvs",)}, anyio.current_time))
    told = ""
    with anyio.fail_after(20):
        async with PlainOutput(interval_seconds=0.001).following(progress):
            while told.count("\n") < 2:
                await anyio.lowlevel.checkpoint()
                told += capsys.readouterr().out
    assert set((told + capsys.readouterr().out).splitlines()) == {"Fetching: 0/1 files"}


@pytest.mark.asyncio
async def test_short_work_tells_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("Fetching", Tally({}, anyio.current_time))
    async with PlainOutput().following(progress), JsonOutput().following(progress):
        await anyio.lowlevel.checkpoint()
    assert capsys.readouterr().out == ""


@pytest.mark.asyncio
async def test_what_the_body_raises_leaves_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with repeating(1000.0, lambda: None):
            raise KeyError("mine")
