"""``nersemble-async validate``: every flaw of a submission zip, before it is sent."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nersemble_async.benchmark.layout import Task
from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat, open_output
from nersemble_async.cli.submission_options import Metadata, SubmittedTask, chosen_task
from nersemble_async.cli.tally import Progress, Tally
from nersemble_async.errors import ConfigurationError, MetadataError
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from nersemble_async.cli.session import Session


def _print_rules(value: bool) -> None:
    if value:
        from nersemble_async.cli.validate_report import rule_lines  # noqa: PLC0415 -- only here

        open_output(OutputFormat.HUMAN, logs_shown=False).lines(rule_lines())
        raise typer.Exit


Zip = Annotated[
    Path,
    typer.Argument(
        metavar="ZIP",
        help="The submission.",
        exists=True,
        dir_okay=False,
        readable=True,
        show_default=False,
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Warnings make it invalid too.")]
Deep = Annotated[bool, typer.Option("--deep", help="Decode every frame of every video.")]
Rules = Annotated[
    bool,
    typer.Option(
        "--rules", help="List every rule, and leave.", callback=_print_rules, is_eager=True
    ),
]


def validate(  # noqa: PLR0917 -- an option each; typer passes them by keyword
    task: SubmittedTask,
    path: Zip,
    metadata: Metadata = None,
    root: options.Root = None,
    strict: Strict = False,
    deep: Deep = False,
    rules: Rules = False,
    output_format: options.FormatOption = OutputFormat.HUMAN,
    log_format: options.LogFormatOption = None,
) -> None:
    """Tell every problem of a submission zip at once, and how to mend it.

    Without --metadata, how long videos have to be is read from the data folder, else fetched. With
    fetched data at hand, cameras are compared with it. Exit codes: 0 valid, 1 invalid, 2 usage.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    del rules  # its callback did the work
    chosen = chosen_task(task)

    async def work(session: "Session") -> ExitCode:
        return await _validate(session, path, chosen, metadata, strict=strict, deep=deep)

    run_command(
        "validate",
        work,
        output_format=output_format,
        log_format=log_format,
        given={"benchmark_folder": root},
        root_told=False,
    )


async def _validate(
    session: "Session", path: Path, task: Task, metadata: Path | None, *, strict: bool, deep: bool
) -> ExitCode:
    from nersemble_async.cli.validate_report import (  # noqa: PLC0415 -- not for --help
        exit_code_of,
        validate_document,
        validate_lines,
    )
    from nersemble_async.data_managers.submission_validation import (  # noqa: PLC0415
        validate_submission,
    )

    tally = Tally({}, time.monotonic, unit="entries")

    def count(done: int, total: int) -> None:
        tally.complete_files, tally.files = done, total

    root = session.settings.root
    try:
        async with session.output.following(Progress("Validating", tally)):
            report = await validate_submission(
                path, task, metadata=metadata, benchmark_folder=root, deep=deep, on_progress=count
            )
    except MetadataError as error:
        raise ConfigurationError(f"--metadata: {error}") from None
    except OSError as error:
        # 1 means that the submission is not valid, and nobody has looked at it.
        raise ConfigurationError(f"{error.filename or path}: {error.strerror or error}") from None
    session.output.lines(validate_lines(report, strict=strict))
    session.output.document(validate_document(report, root, strict=strict))
    return exit_code_of(report, strict=strict)
