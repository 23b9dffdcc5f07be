"""``nersemble-async fetch``: bring the selected files; with --dry-run say what it would take."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat
from nersemble_async.cli.report import fetch_document
from nersemble_async.cli.tally import Progress, Tally, kinds_of
from nersemble_async.cli.wording import fetch_summary
from nersemble_async.fetch.progress import ExitCode, FetchReport

if TYPE_CHECKING:
    from nersemble_async.cli.session import Session

Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", envvar="NERSEMBLE_OVERWRITE", help="Fetch complete files anew, too."
    ),
]
CheckRemote = Annotated[
    bool,
    typer.Option(
        "--check-remote",
        envvar="NERSEMBLE_CHECK_REMOTE",
        help="Ask the server whether complete files changed there.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        envvar="NERSEMBLE_DRY_RUN",
        help=(
            "Fetch nothing but a metadata.json that is not there; tell files, bytes, what is "
            "there, and whether the rest fits."
        ),
    ),
]
FailFast = Annotated[
    bool,
    typer.Option(
        "--fail-fast", envvar="NERSEMBLE_FAIL_FAST", help="End with the first file that fails."
    ),
]


def fetch(  # noqa: PLR0917 -- an option each; typer passes them by keyword
    tasks: options.Tasks = None,
    root: options.Root = None,
    assets: options.Assets = None,
    participant: options.Participants = None,
    sequence: options.Sequences = None,
    serial: options.Serials = None,
    pointcloud_frames: options.PointcloudFrames = None,
    connections: options.Connections = None,
    max_rate: options.MaxRate = None,
    checksums: options.Checksums = None,
    overwrite: Overwrite = False,
    check_remote: CheckRemote = False,
    dry_run: DryRun = False,
    read_timeout: options.ReadTimeout = None,
    fail_fast: FailFast = False,
    output_format: options.FormatOption = OutputFormat.HUMAN,
    log_format: options.LogFormatOption = None,
) -> None:
    """Fetch the benchmark's files: resumable, verified, several at a time.

    Run the same command again after any interruption: only what is missing is fetched.

    The base URL is a secret and has no option: it is read from NERSEMBLE_BENCHMARK_URL in the
    environment, else from ~/.config/nersemble_benchmark/.env.

    Exit codes: 0 all there, 1 some files failed, 2 usage, 3 no or refused access, 4 disk full,
    5 integrity, 130 interrupted.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    selection = options.SelectionOptions(
        tasks, assets, participant, sequence, serial, pointcloud_frames
    )
    job = FetchJob(selection, overwrite=overwrite, check_remote=check_remote, fail_fast=fail_fast)
    run_command(
        "fetch --dry-run" if dry_run else "fetch",
        job.survey if dry_run else job.fetch,
        output_format=output_format,
        log_format=log_format,
        given={
            "benchmark_folder": root,
            "connections": connections,
            "max_rate": max_rate,
            "checksums": checksums,
            "read_timeout": read_timeout,
        },
        on_interrupt=None if dry_run else job.tell_interrupted,
    )


class FetchJob:
    """One fetch; remembers how far it came, for the report of an interrupted one."""

    def __init__(
        self,
        selected: options.SelectionOptions,
        *,
        overwrite: bool,
        check_remote: bool,
        fail_fast: bool,
    ) -> None:
        self._selected = selected
        self._overwrite = overwrite
        self._check_remote = check_remote
        self._fail_fast = fail_fast
        self._report: FetchReport | None = None

    async def fetch(self, session: "Session") -> ExitCode:
        """Fetch, with progress and a summary."""
        from nersemble_async.fetch.fetcher import Fetcher  # noqa: PLC0415 -- aiohttp takes 0.3 s

        selection = self._selected.selection()
        async with Fetcher(session.settings) as fetcher:
            # What changed on the server may be which files there are.
            refresh = self._overwrite or self._check_remote
            plan = await fetcher.plan(selection, refresh=refresh)
            tally = Tally(kinds_of(plan), time.monotonic)
            async with (
                session.output.following(Progress("Fetching", tally)),
                fetcher.open_fetch(
                    plan,
                    overwrite=self._overwrite,
                    check_remote=self._check_remote,
                    fail_fast=self._fail_fast,
                ) as run,
            ):
                self._report = run.report
                async for event in run:
                    tally.add(event)
        self._tell(session, run.report)
        return run.report.exit_code

    def tell_interrupted(self, session: "Session") -> None:
        """Report what was done until a Ctrl-C."""
        report = self._report or FetchReport()
        report.cancelled = True
        self._tell(session, report)

    async def survey(self, session: "Session") -> ExitCode:
        """Tell what a fetch would bring, and whether it fits."""
        from nersemble_async.cli import survey  # noqa: PLC0415 -- only for --dry-run
        from nersemble_async.fetch.fetcher import Fetcher  # noqa: PLC0415

        selection = self._selected.selection()
        async with Fetcher(session.settings) as fetcher:
            plan = await fetcher.plan(selection)
            tally = Tally({}, time.monotonic)

            def looked(files: int, of_files: int) -> None:
                tally.complete_files, tally.files = files, of_files

            async with session.output.following(Progress("Asking for sizes", tally)):
                found = await fetcher.survey(plan, on_progress=looked)
        root = session.settings.root
        session.output.table(survey.survey_table(found))
        session.output.lines(survey.survey_lines(found, root))
        code = survey.exit_code_of_survey(found)
        session.output.document(survey.survey_document(found, root, code))
        return code

    def _tell(self, session: "Session", report: FetchReport) -> None:
        session.output.lines(fetch_summary(report, session.settings.root))
        session.output.document(fetch_document(report, session.settings.root))
