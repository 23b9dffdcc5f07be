"""What the demo shows, as a list of steps; later steps find in `Demo` what earlier ones made."""

from __future__ import annotations

import os
import site
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from nersemble_async.cache.store import LocalState
from nersemble_async.cli.output import leave_bars
from nersemble_async.cli.synthesize import render
from nersemble_async.cli.wording import Line, bytes_in_words, files_in_words, seconds_in_words
from nersemble_async.errors import NersembleError
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.plan import ALL_POINTCLOUD_FRAMES, Selection
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.settings import Settings
from nersemble_async.synthetic.scale import SCALES
from nersemble_async.synthetic.server import FolderServer, serve_folder
from nersemble_async.workers import make_limiter, run_blocking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from nersemble_async.cli.output import Output
    from nersemble_async.fetch.plan import FetchPlan

EVERYTHING = Selection(pointcloud_frames=ALL_POINTCLOUD_FRAMES)
FETCH_EVERYTHING = ("fetch", "--pointcloud-frames", "all")

_SLOW_FROM_SHARE = 0.35
_KILL_AT_SHARE = 0.5
"""Of all bytes."""

_SLOW_BYTES_PER_SECOND = 100_000.0
"""Of each answer, between the two: so that the kill hits transfers that are well under way."""


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


async def make_stand_in(demo: Demo) -> None:
    """A small benchmark of the official layout, rendered from a moving head."""
    await render(demo.output, demo.served, SCALES[demo.scale])
    async with Fetcher(Settings(benchmark_folder=demo.served)) as fetcher:
        plan = await fetcher.plan(EVERYTHING, offline=True)
    demo.total_bytes = await run_blocking(make_limiter(), _bytes_of, demo.served, plan)
    demo.say(
        f"{files_in_words(len(plan))}, {bytes_in_words(demo.total_bytes)}: all three tasks, every "
        "participant, sequence and camera",
    )


def _bytes_of(root: Path, plan: FetchPlan) -> int:
    return sum((root / file.path).stat().st_size for file in plan)


async def fetch_and_kill(demo: Demo) -> None:
    """SIGKILL when half of all bytes were sent: the server decides, not a clock."""

    def slow_down() -> None:
        demo.server.bytes_per_second = _SLOW_BYTES_PER_SECOND

    demo.sent.when(int(_SLOW_FROM_SHARE * demo.total_bytes), slow_down)
    code = await demo.run(*FETCH_EVERYTHING, kill_at=int(_KILL_AT_SHARE * demo.total_bytes))
    leave_bars()
    demo.server.bytes_per_second = None
    if code >= 0:
        raise DemoError(f"fetch ended by itself with exit code {code} before it could be killed")
    demo.output.lines(
        [Line(f"   killed with SIGKILL after {bytes_in_words(demo.sent.total)}", "bad")]
    )


async def look_at_what_is_left(demo: Demo) -> None:
    """Complete files under their final names, all others in part files with journals."""
    settings = Settings(benchmark_folder=demo.root)
    async with Fetcher(settings) as fetcher:
        plan = await fetcher.plan(EVERYTHING, offline=True)
        status = await fetcher.status(plan)
    complete = sum(asset.files[LocalState.COMPLETE] for asset in status.assets)
    partial = sum(asset.files[LocalState.PARTIAL] for asset in status.assets)
    unrecorded = sum(asset.files[LocalState.UNRECORDED] for asset in status.assets)
    demo.say(
        f"{files_in_words(complete + unrecorded)} under their final names, each whole and checked",
        f"{files_in_words(partial)} in part, out of sight in .nersemble_async",
        f"{bytes_in_words(sum(asset.local_bytes for asset in status.assets))} on disk",
    )


async def go_on(demo: Demo) -> None:
    """The same command; what is here is not sent again."""
    before_bytes = demo.sent.total
    code = await demo.run(*FETCH_EVERYTHING)
    if code != ExitCode.OK:
        raise DemoError(f"fetch ended with exit code {code}")
    now_bytes = demo.sent.total - before_bytes
    again_bytes = max(0, demo.sent.total - demo.total_bytes)
    demo.say(
        f"the server sent {bytes_in_words(now_bytes)} of {bytes_in_words(demo.total_bytes)}: "
        f"{bytes_in_words(demo.total_bytes - now_bytes)} were not sent again"
    )
    demo.summary += [
        ("fetched", f"{bytes_in_words(demo.total_bytes)}, interrupted once with SIGKILL"),
        ("sent twice", f"{bytes_in_words(again_bytes)} ({again_bytes / demo.total_bytes:.1%})"),
    ]


async def verify(demo: Demo) -> None:
    """Every byte on disk against the record of it."""
    code = await demo.run("verify")
    if code != ExitCode.OK:
        raise DemoError(f"verify ended with exit code {code}")
    demo.summary.append(("verified", "every file hashed anew: all as recorded"))


async def draw_contact_sheet(demo: Demo) -> None:
    """A picture of what was fetched."""
    from nersemble_async.preview.root_sheet import write_root_sheet  # noqa: PLC0415 -- numpy, av

    sheet = demo.out / "contact_sheet.png"
    await run_blocking(make_limiter(), write_root_sheet, demo.root, sheet)
    demo.say(str(sheet))
    demo.summary += [("contact sheet", str(sheet)), ("data folder", str(demo.root))]


STEPS = (
    Step("Make a small stand-in of the benchmark and serve it", make_stand_in),
    Step("Fetch it, and pull the plug midway", fetch_and_kill),
    Step("Look at what is left", look_at_what_is_left),
    Step("Fetch again: it goes on where it stopped", go_on),
    Step("Verify", verify),
    Step("Look at what was fetched", draw_contact_sheet),
)
