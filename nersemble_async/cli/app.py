"""The commands put together, and the way into and out of the process."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from nersemble_async.benchmark.layout import TASKS
from nersemble_async.cli.arguments import ArgumentError, expand_arguments, refuse_urls
from nersemble_async.cli.checksums import checksums
from nersemble_async.cli.demo import demo
from nersemble_async.cli.fetch import fetch
from nersemble_async.cli.info import info
from nersemble_async.cli.output import print_error
from nersemble_async.cli.pack import pack
from nersemble_async.cli.prepare import prepare
from nersemble_async.cli.preview import preview
from nersemble_async.cli.secrecy import SCRUBBER, guard_output
from nersemble_async.cli.status import status
from nersemble_async.cli.synthesize import synthesize
from nersemble_async.cli.validate import validate
from nersemble_async.cli.verify import verify
from nersemble_async.fetch.progress import ExitCode

app = typer.Typer(
    name="nersemble-async",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it would show local variables, and with them the URL
    rich_markup_mode=None,  # errors on one line, which can be searched for
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    fetch,
    verify,
    status,
    checksums,
    info,
    preview,
    prepare,
    pack,
    validate,
    synthesize,
    demo,
):
    app.command()(command)


def _print_version(value: bool) -> None:
    if value:
        from nersemble_async.version import __version__  # noqa: PLC0415 -- only here

        sys.stdout.write(f"nersemble-async {__version__}\n")
        raise typer.Exit


@app.callback()
def nersemble_async(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Fetch, load and submit for the NeRSemble photorealistic 3D head avatar benchmark.

    Options may be written as the official toolkit does: --participant 388 422,
    --pointcloud_frames all. Each can also be set in the environment.
    """
    del version  # its callback did the work


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line, by default the process's own, and exit."""
    url = os.environ.get("NERSEMBLE_BENCHMARK_URL", "")
    if "://" in url:  # anything else is refused later, without being repeated
        SCRUBBER.add(url)
    guard_output(SCRUBBER)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        refuse_urls(given)
        expanded = expand_arguments(given, TASKS)
    except ArgumentError as error:
        print_error(f"Error: {error}")
        sys.exit(ExitCode.USAGE)
    app(expanded, prog_name="nersemble-async")
    raise SystemExit(ExitCode.OK)
