"""``nersemble-async checksums``: what was recorded, for ``sha256sum -c`` and for colleagues."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat, print_error
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from nersemble_async.cli.session import Session

Out = Annotated[
    Path | None,
    typer.Argument(
        metavar="[OUT]", help="The file to write; none: stdout.", dir_okay=False, show_default=False
    ),
]


def checksums(
    out: Out = None,
    root: options.Root = None,
    log_format: options.LogFormatOption = None,
) -> None:
    """Write the recorded sha-256 of every complete file, sorted by path.

    In the root, `sha256sum -c OUT` checks them; `fetch --checksums OUT` holds another download
    to them. The list holds no URL, so labs can share it.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    async def work(session: "Session") -> ExitCode:
        return await _write(session, out)

    run_command(
        "checksums",
        work,
        output_format=OutputFormat.HUMAN,
        log_format=log_format,
        given={"benchmark_folder": root},
    )


async def _write(session: "Session", out: Path | None) -> ExitCode:
    from nersemble_async.fetch.fetcher import Fetcher  # noqa: PLC0415 -- not for --help

    async with Fetcher(session.settings) as fetcher:
        sums = await fetcher.checksums()
    if not sums:
        print_error("Error: nothing is recorded there: `fetch` fetches, and adopts what is there")
        return ExitCode.SOME_FAILED
    text = "".join(f"{sha256}  {path}\n" for path, sha256 in sums)
    if out is None:
        sys.stdout.write(text)
        return ExitCode.OK
    partial = out.with_name(out.name + ".partial")
    try:
        partial.write_text(text, "utf-8")
        partial.replace(out)
    except OSError as error:
        print_error(f"Error: {out} cannot be written: {error.strerror}")
        return ExitCode.SOME_FAILED
    print_error(f"{len(sums):,} checksums in {out}")
    return ExitCode.OK
