"""``nersemble-async demo``: the whole way with a made-up benchmark, no credentials, no network."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat
from nersemble_async.errors import ConfigurationError
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from nersemble_async.cli.session import Session

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        envvar="NERSEMBLE_DEMO_OUT",
        metavar="DIR",
        help="An empty folder to work in.  [default: a new temporary one]",
        file_okay=False,
        show_default=False,
    ),
]


def demo(out: Out = None, log_format: options.LogFormatOption = None) -> None:
    """Show what this tool does: fetch, kill, resume, verify, stream, draw. Under a minute.

    A small stand-in of the benchmark is made and served on this machine. The real `fetch`
    command brings it, is killed midway with SIGKILL, goes on where it stopped; `verify` hashes
    everything. Then cameras are streamed, random and shuffled images loaded, pointclouds and FLAME
    heads read, and pictures drawn of it all. At last an NVS submission of it is written, killed
    midway too, gone on with, validated and drawn. It is no real data and no real method, and
    nothing is sent anywhere. Your own URL and data are not touched.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    async def work(session: "Session") -> ExitCode:
        from nersemble_async.cli.demo_stage import run_steps  # noqa: PLC0415 -- aiohttp
        from nersemble_async.cli.demo_steps import STEPS  # noqa: PLC0415 -- numpy, av

        return await run_steps(STEPS, _empty_folder(out), session.output)

    run_command(
        "demo",
        work,
        output_format=OutputFormat.HUMAN,
        log_format=log_format,
        root_told=False,
    )


def _empty_folder(out: Path | None) -> Path:
    """The folder, made where there is none.

    Raises:
        ConfigurationError: it cannot be made, or something is in it.
    """
    if out is None:
        return Path(tempfile.mkdtemp(prefix="nersemble-async-demo-"))
    try:
        out.mkdir(parents=True, exist_ok=True)
        occupied = any(out.iterdir())
    except OSError as error:
        raise ConfigurationError(f"--out: {out} cannot be used: {error.strerror}") from error
    if occupied:
        raise ConfigurationError(f"--out: {out} is not empty; the demo needs a folder of its own")
    return out.resolve()
