"""``nersemble-async verify``: hash files anew, name damaged ranges, fetch those on request."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat
from nersemble_async.cli.tally import Progress, Tally
from nersemble_async.fetch.progress import BytesReceived, ExitCode, FileStarted, RunStarted

if TYPE_CHECKING:
    from nersemble_async.cli.session import Session
    from nersemble_async.fetch.progress import FetchEvent

Repair = Annotated[
    bool,
    typer.Option(
        "--repair",
        envvar="NERSEMBLE_REPAIR",
        help="Fetch damaged ranges, and what is gone, again.",
    ),
]


def verify(  # noqa: PLR0917 -- an option each; typer passes them by keyword
    tasks: options.Tasks = None,
    root: options.Root = None,
    assets: options.Assets = None,
    participant: options.Participants = None,
    sequence: options.Sequences = None,
    serial: options.Serials = None,
    pointcloud_frames: options.PointcloudFrames = None,
    repair: Repair = False,
    connections: options.Connections = None,
    max_rate: options.MaxRate = None,
    output_format: options.FormatOption = OutputFormat.HUMAN,
    log_format: options.LogFormatOption = None,
) -> None:
    """Hash the files on disk anew and compare them with what was recorded.

    Nothing selected: every recorded file; else those of them that are selected. What was never
    fetched is no damage: `status` tells of that.

    Exit codes: 0 all as recorded (or mended), 1 some are gone, 5 some are damaged, 130
    interrupted.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    selected = options.SelectionOptions(
        tasks, assets, participant, sequence, serial, pointcloud_frames
    )

    async def work(session: "Session") -> ExitCode:
        return await _verify(session, selected, repair=repair)

    run_command(
        "verify",
        work,
        output_format=output_format,
        log_format=log_format,
        given={"benchmark_folder": root, "connections": connections, "max_rate": max_rate},
    )


async def _verify(
    session: "Session", selected: options.SelectionOptions, *, repair: bool
) -> ExitCode:
    from nersemble_async.cli.findings import verify_document, verify_summary  # noqa: PLC0415
    from nersemble_async.fetch.fetcher import Fetcher  # noqa: PLC0415
    from nersemble_async.fetch.plan import FetchPlan  # noqa: PLC0415
    from nersemble_async.workers import make_limiter, run_blocking  # noqa: PLC0415

    selection = selected.selection(all_pointcloud_frames=True)
    async with Fetcher(session.settings) as fetcher:
        sizes_bytes = await run_blocking(make_limiter(), _recorded, session.settings.root)
        plan = None  # every recorded file, also where the metadata.json is what is damaged
        if selected.chosen:
            known = await fetcher.plan(selection, offline=True)
            plan = FetchPlan(tuple(file for file in known if file.path in sizes_bytes))
            sizes_bytes = {file.path: sizes_bytes[file.path] for file in plan}
        progress = Progress("Hashing", Tally({_HASHED: ()}, time.monotonic))
        follower = _Follower(progress, sum(sizes_bytes.values()))
        async with session.output.following(progress):
            report = await fetcher.verify(plan, repair=repair, on_event=follower.take)
    root = session.settings.root
    session.output.lines(verify_summary(report, root))
    session.output.document(verify_document(report, root))
    return report.exit_code


_HASHED = "recorded files"


def _recorded(root: Path) -> dict[str, int]:
    """Path and size in bytes of what there is a record of; blocking."""
    from nersemble_async.cache.store import Store  # noqa: PLC0415 -- not for --help

    return {path: record.size_bytes for path, record in Store(root).records.all().items()}


class _Follower:
    """Adds up hashed bytes as one big file, then follows the repair with a tally of its own."""

    def __init__(self, progress: Progress, expected_bytes: int) -> None:
        self._progress = progress
        self._repairing = False
        progress.tally.files = 0
        progress.tally.add(FileStarted(_HASHED, expected_bytes, 0))

    def take(self, event: "FetchEvent") -> None:
        if isinstance(event, RunStarted) and not self._repairing:
            self._repairing = True
            self._progress.verb = "Repairing"
            self._progress.tally = Tally({}, time.monotonic)
        elif isinstance(event, BytesReceived) and not self._repairing:
            event = BytesReceived(_HASHED, event.count_bytes)
        self._progress.tally.add(event)
