"""The demo's steps that fetch: a stand-in is served, fetched, interrupted, resumed, verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nersemble_async.cache.store import LocalState
from nersemble_async.cli.demo_stage import DemoError
from nersemble_async.cli.output import leave_bars
from nersemble_async.cli.synthesize import render
from nersemble_async.cli.wording import Line, bytes_in_words, files_in_words
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.plan import ALL_POINTCLOUD_FRAMES, Selection
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.settings import Settings
from nersemble_async.synthetic.scale import SCALES
from nersemble_async.workers import make_limiter, run_blocking

if TYPE_CHECKING:
    from pathlib import Path

    from nersemble_async.cli.demo_stage import Demo
    from nersemble_async.fetch.plan import FetchPlan

EVERYTHING = Selection(pointcloud_frames=ALL_POINTCLOUD_FRAMES)
FETCH_EVERYTHING = ("fetch", "--pointcloud-frames", "all")

_SLOW_FROM_SHARE = 0.35
_KILL_AT_SHARE = 0.5
"""Of all bytes."""

_SLOW_BYTES_PER_SECOND = 100_000.0
"""Of each answer, between the two: so that the kill hits transfers that are well under way."""


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
