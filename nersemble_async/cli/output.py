"""Where a command's results go: as plain text, as one JSON object, or nowhere.

`open_output` chooses; on a terminal it is `nersemble_async.cli.console.TerminalOutput`.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import anyio

from nersemble_async.cli.wording import Line, progress_in_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from nersemble_async.cli.tally import Progress

PLAIN_INTERVAL_SECONDS = 10.0
"""Between two lines of progress where there is no terminal."""


class OutputFormat(StrEnum):
    """How results are told."""

    HUMAN = "human"
    JSON = "json"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the first ``left_columns`` columns are words, the others numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_columns: int = 2
    footer: Sequence[str] | None = None
    """A row of sums."""


class Output(Protocol):
    """What commands write to."""

    def lines(self, lines: Iterable[Line]) -> None:
        """Text for a person."""

    def table(self, table: Table) -> None:
        """Rows for a person."""

    def document(self, document: Mapping[str, object]) -> None:
        """The report for a program: once, at the very end."""

    def following(self, progress: Progress) -> AbstractAsyncContextManager[None]:
        """Show how far it is while the context lasts."""


def print_error(text: str) -> None:
    """One message on stderr, in every format."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def leave_bars() -> None:
    """After bars that ended without clean-up: a new line, and the cursor that they had hidden."""
    if os.isatty(1):
        os.write(1, b"\x1b[?25h\n")


def open_output(output_format: OutputFormat, *, logs_shown: bool) -> Output:
    """The output for ``--format``.

    Bars need a terminal of their own: where events are logged to the same one, plain lines do.
    """
    if output_format is OutputFormat.JSON:
        return JsonOutput()
    if output_format is OutputFormat.QUIET:
        return QuietOutput()
    capable = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    if capable and not (logs_shown and sys.stderr.isatty()):
        from nersemble_async.cli.console import TerminalOutput  # noqa: PLC0415 -- rich takes 0.1 s

        return TerminalOutput()
    return PlainOutput()


@asynccontextmanager
async def repeating(interval_seconds: float, call: Callable[[], None]) -> AsyncIterator[None]:
    """``call()`` every ``interval_seconds`` while the context lasts.

    What the body raises leaves as it is, not inside an ExceptionGroup.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_repeat, interval_seconds, call)
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- it is raised again outside of the group
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _repeat(interval_seconds: float, call: Callable[[], None]) -> None:
    while True:
        await anyio.sleep(interval_seconds)
        call()


class PlainOutput:
    """Text without colours or cursor movements, for pipes, files and batch systems."""

    def __init__(self, interval_seconds: float = PLAIN_INTERVAL_SECONDS) -> None:
        self._interval_seconds = interval_seconds

    def lines(self, lines: Iterable[Line]) -> None:
        """Each as a line of its own."""
        for line in lines:
            sys.stdout.write(f"{line.text}\n")
        sys.stdout.flush()

    def table(self, table: Table) -> None:
        """Columns aligned with spaces."""
        self.lines(map(Line, table_in_text(table)))

    def document(self, document: Mapping[str, object]) -> None:
        """Nothing: it is for programs."""

    @asynccontextmanager
    async def following(self, progress: Progress) -> AsyncIterator[None]:
        """A line at intervals, and, where it took that long, one at the end."""
        told = False

        def tell() -> None:
            nonlocal told
            told = True
            self.lines([Line(f"{progress.verb}: {progress_in_words(progress.tally)}")])

        async with repeating(self._interval_seconds, tell):
            yield
        if told:
            tell()


class QuietOutput:
    """Nothing on stdout."""

    def lines(self, lines: Iterable[Line]) -> None:
        """Nothing."""

    def table(self, table: Table) -> None:
        """Nothing."""

    def document(self, document: Mapping[str, object]) -> None:
        """Nothing."""

    @asynccontextmanager
    async def following(self, progress: Progress) -> AsyncIterator[None]:  # noqa: ARG002 -- the protocol's signature
        """Nothing."""
        yield


class JsonOutput(QuietOutput):
    """One JSON object on stdout."""

    def document(self, document: Mapping[str, object]) -> None:
        """The object, on one line."""
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


def table_in_text(table: Table) -> list[str]:
    """The table's lines: words to the left, numbers to the right, sums below a rule."""
    every = [table.columns, *table.rows, *([table.footer] if table.footer else [])]
    widths = [max(len(row[column]) for row in every) for column in range(len(table.columns))]

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.ljust(width) if column < table.left_columns else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [line(table.columns), rule, *map(line, table.rows)]
    return [*lines, rule, line(table.footer)] if table.footer else lines
