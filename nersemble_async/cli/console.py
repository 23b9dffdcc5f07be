"""Output on a terminal: bars, coloured lines, tables. The only user of rich."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table as RichTable
from rich.text import Text

from nersemble_async.cli.output import repeating
from nersemble_async.cli.wording import bytes_in_words, progress_in_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from rich.console import RenderableType

    from nersemble_async.cli.output import Table
    from nersemble_async.cli.tally import ActiveFile, Progress, Tally
    from nersemble_async.cli.wording import Line, Style

REDRAW_SECONDS = 0.25
SHOWN_ACTIVE_FILES = 6

_STYLES: Mapping[Style, str] = {
    "plain": "",
    "strong": "bold",
    "good": "bold green",
    "warn": "yellow",
    "bad": "red",
    "dim": "dim",
}
_ACTIVE_BAR_WIDTH = 20
_ACTIVE_NUMBERS_WIDTH = 22


class TerminalOutput:
    """Text with colours, and bars that are gone when the work is done."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(
            file=sys.stdout, highlight=False, markup=False, emoji=False
        )

    def lines(self, lines: Iterable[Line]) -> None:
        """Each as a line of its own, long ones wrapped."""
        for line in lines:
            self._console.print(Text(line.text, style=_STYLES[line.style]))

    def table(self, table: Table) -> None:
        """A table with a bold head and bold sums."""
        drawn = RichTable(box=None, pad_edge=False, show_footer=table.footer is not None)
        for index, name in enumerate(table.columns):
            drawn.add_column(
                name,
                footer=table.footer[index] if table.footer is not None else "",
                justify="left" if index < table.left_columns else "right",
                header_style="bold",
                footer_style="bold",
                overflow="fold",
            )
        for row in table.rows:
            drawn.add_row(*row)
        self._console.print(drawn)

    def document(self, document: Mapping[str, object]) -> None:
        """Nothing: it is for programs."""

    @asynccontextmanager
    async def following(self, progress: Progress) -> AsyncIterator[None]:
        """Bars while the context lasts; what is printed meanwhile stands above them."""
        live = Live(
            console=self._console,
            auto_refresh=False,  # drawn from the event loop: the tally is not shared with a thread
            transient=True,
            redirect_stdout=False,
            redirect_stderr=sys.stderr.isatty(),
        )

        def draw() -> None:
            live.update(progress_picture(progress, self._console.width), refresh=True)

        with live:
            draw()
            async with repeating(REDRAW_SECONDS, draw):
                yield


def progress_picture(progress: Progress, width: int) -> RenderableType:
    """A bar for the whole, the numbers, and a line for each of a handful of active files."""
    tally = progress.tally
    share = tally.share
    overall = RichTable.grid(padding=(0, 1), expand=True)
    overall.add_column(no_wrap=True)
    overall.add_column(ratio=1)
    overall.add_column(justify="right", width=5)
    overall.add_row(
        Text(progress.verb, style="bold"),
        ProgressBar(total=1.0, completed=share or 0.0),
        "" if share is None else f"{share:.0%}",
    )
    rows: list[RenderableType] = [overall, Text(progress_in_words(tally))]
    if tally.active:
        rows.append(_active_files(tally, width))
    more = len(tally.active) - SHOWN_ACTIVE_FILES
    if more > 0:
        rows.append(Text(f"  and {more} more", style="dim"))
    return Group(*rows)


def _active_files(tally: Tally, width: int) -> RichTable:
    path_width = max(16, width - _ACTIVE_BAR_WIDTH - _ACTIVE_NUMBERS_WIDTH - 6)
    table = RichTable.grid(padding=(0, 1))
    table.add_column(width=path_width + 2, no_wrap=True)
    table.add_column(width=_ACTIVE_BAR_WIDTH)
    table.add_column(width=_ACTIVE_NUMBERS_WIDTH, justify="right", no_wrap=True)
    for file in islice(tally.active.values(), SHOWN_ACTIVE_FILES):
        total = file.size_bytes
        table.add_row(
            Text("  " + tail_of(file.path, path_width), style="dim"),
            ProgressBar(total=total or 1, completed=file.have_bytes if total else 0),
            Text(_numbers_of(file), style="yellow" if file.note else "", overflow="ellipsis"),
        )
    return table


def _numbers_of(file: ActiveFile) -> str:
    if file.note:
        return file.note
    if file.size_bytes is None:
        return bytes_in_words(file.have_bytes)
    return f"{bytes_in_words(file.have_bytes)} of {bytes_in_words(file.size_bytes)}"


def tail_of(path: str, width: int) -> str:
    """The end of ``path``, which tells more than its beginning, in at most ``width`` columns."""
    return path if len(path) <= width else "…" + path[len(path) - width + 1 :]
