"""What the demo stands on: its folders, its server, and one step after another."""

from __future__ import annotations

import os
import site
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from nersemble_async.cli.wording import Line, seconds_in_words
from nersemble_async.errors import NersembleError
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.synthetic.server import FolderServer, serve_folder
from nersemble_async.workers import make_limiter, run_blocking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from nersemble_async.cli.output import Output


class DemoError(NersembleError):
    """A step did not come out as it should."""


@dataclass(slots=True)
class SentBytes:
    """What the server sent, and what is to happen when it has sent so much."""

    total: int = 0
    _alarms: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    def add(self, path: str, count_bytes: int) -> None:
        """Count a chunk; called by the server in the event loop."""
        del path
        self.total += count_bytes
        while self._alarms and self.total >= self._alarms[0][0]:
            self._alarms.pop(0)[1]()

    def when(self, total: int, call: Callable[[], None]) -> None:
        """``call()`` once, in the event loop, as soon as ``total`` bytes were sent."""
        self._alarms.append((total, call))
        self._alarms.sort(key=lambda alarm: alarm[0])


@dataclass(slots=True)
class Demo:
    """The folders of one demo, its server, and what the steps found out."""

    out: Path
    output: Output
    server: FolderServer
    sent: SentBytes
    scale: str
    """Of the stand-in; a name in `SCALES`."""
    summary: list[tuple[str, str]] = field(default_factory=list)
    """What was found, and its figure, for the end."""
    total_bytes: int = 0
    """Of the stand-in."""

    @property
    def served(self) -> Path:
        """The stand-in that the server serves."""
        return self.out / "server"

    @property
    def root(self) -> Path:
        """Where `fetch` puts it."""
        return self.out / "benchmark"

    @property
    def flame(self) -> Path:
        """Where a made-up FLAME model is put."""
        return self.out / "FLAME"

    @property
    def submission(self) -> Path:
        """The zip that is written of it."""
        return self.out / "submission.zip"

    def say(self, *texts: str) -> None:
        """Tell something in passing."""
        self.output.lines([Line(f"   {text}", "dim") for text in texts])

    def environment(self) -> dict[str, str]:
        """The commands' environment: nothing of the user's own settings, URL and files."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("NERSEMBLE_")
        }
        return {
            **kept,
            "HOME": str(self.out / "home"),
            "PYTHONUSERBASE": site.getuserbase(),  # else it would follow HOME
            "NERSEMBLE_BENCHMARK_URL": self.server.url,
            "NERSEMBLE_BENCHMARK_FOLDER": str(self.root),
        }

    async def run(self, *arguments: str, kill_at: int | None = None) -> int:
        """The real command line in a process of its own, showing what it shows; its exit code.

        Args:
            arguments: after the program's name.
            kill_at: SIGKILL when the server has sent so many bytes in all.
        """
        self.output.lines([Line(f"   $ nersemble-async {' '.join(arguments)}", "strong")])
        async with await anyio.open_process(
            [sys.executable, "-m", "nersemble_async", *arguments],
            stdin=None,
            stdout=None,
            stderr=None,
            env=self.environment(),
        ) as process:
            if kill_at is not None:
                self.sent.when(kill_at, process.kill)
            return await process.wait()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the demo shows."""

    title: str
    show: Callable[[Demo], Awaitable[None]]


async def run_steps(
    steps: Sequence[Step], out: Path, output: Output, scale: str = "small"
) -> ExitCode:
    """Show each step, then the summary.

    Raises:
        DemoError: a step did not come out as it should.
    """
    started = time.monotonic()
    sent = SentBytes()
    for folder in ("server", "home"):
        await run_blocking(make_limiter(), (out / folder).mkdir)
    async with serve_folder(out / "server", on_bytes=sent.add) as server:
        demo = Demo(out, output, server, sent, scale)
        for number, step in enumerate(steps, 1):
            output.lines([Line(""), Line(f"{number}. {step.title}", "strong")])
            await step.show(demo)
    width = max((len(what) for what, _ in demo.summary), default=0)
    output.lines(
        [
            Line(""),
            Line(f"Done in {seconds_in_words(time.monotonic() - started)}", "good"),
            *(Line(f"   {what.ljust(width)}  {figure}") for what, figure in demo.summary),
        ]
    )
    return ExitCode.OK
