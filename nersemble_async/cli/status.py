"""``nersemble-async status``: what of the benchmark is on disk, and what else. No network."""

from typing import TYPE_CHECKING

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from nersemble_async.cli.session import Session


def status(  # noqa: PLR0917 -- an option each; typer passes them by keyword
    tasks: options.Tasks = None,
    root: options.Root = None,
    assets: options.Assets = None,
    participant: options.Participants = None,
    sequence: options.Sequences = None,
    serial: options.Serials = None,
    pointcloud_frames: options.PointcloudFrames = None,
    output_format: options.FormatOption = OutputFormat.HUMAN,
    log_format: options.LogFormatOption = None,
) -> None:
    """Say per task and asset what is on disk. Makes no request and hashes nothing.

    Without --pointcloud-frames it tells of all of them. Unrecorded files were not fetched by
    this tool, or were touched since: `fetch` checks and adopts them. Foreign ones belong to no
    task.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    selected = options.SelectionOptions(
        tasks, assets, participant, sequence, serial, pointcloud_frames
    )

    async def work(session: "Session") -> ExitCode:
        return await _status(session, selected)

    run_command(
        "status",
        work,
        output_format=output_format,
        log_format=log_format,
        given={"benchmark_folder": root},
    )


async def _status(session: "Session", selected: options.SelectionOptions) -> ExitCode:
    from nersemble_async.cli.findings import (  # noqa: PLC0415
        status_document,
        status_lines,
        status_table,
    )
    from nersemble_async.fetch.fetcher import Fetcher  # noqa: PLC0415

    selection = selected.selection(all_pointcloud_frames=True)
    async with Fetcher(session.settings) as fetcher:
        report = await fetcher.status(await fetcher.plan(selection, offline=True))
    session.output.table(status_table(report))
    session.output.lines(status_lines(report))
    session.output.document(status_document(report, session.settings.root))
    return ExitCode.OK
