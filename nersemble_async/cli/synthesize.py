"""``nersemble-async synthesize``: make a stand-in for the licensed data, of any size."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import anyio.lowlevel
import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat
from nersemble_async.cli.tally import Progress, Tally
from nersemble_async.cli.wording import Line, seconds_in_words
from nersemble_async.errors import ConfigurationError
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from nersemble_async.cli.output import Output
    from nersemble_async.cli.session import Session
    from nersemble_async.synthetic.scale import SyntheticScale

Folder = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="Where to make it.", file_okay=False, show_default=False),
]
ScaleName = Annotated[
    str,
    typer.Option(
        "--scale",
        envvar="NERSEMBLE_SCALE",
        metavar="NAME",
        help="How large: tiny, small or full-size (which takes many hours).",
    ),
]
NvsFrames = Annotated[
    int | None,
    typer.Option(
        "--nvs-frames",
        envvar="NERSEMBLE_NVS_FRAMES",
        metavar="N",
        min=1,
        help="Frames of the longest NVS sequence.  [default: the scale's]",
        show_default=False,
    ),
]
NvsWidth = Annotated[
    int | None,
    typer.Option(
        "--nvs-width",
        envvar="NERSEMBLE_NVS_WIDTH",
        metavar="PIXELS",
        min=2,
        help="Width of an NVS frame; 1100 is the dataset's.  [default: the scale's]",
        show_default=False,
    ),
]
Points = Annotated[
    int | None,
    typer.Option(
        "--points",
        envvar="NERSEMBLE_POINTS",
        metavar="N",
        min=1,
        help="Points of the densest pointclouds.  [default: the scale's]",
        show_default=False,
    ),
]
HoldOut = Annotated[
    Path | None,
    typer.Option(
        "--hold-out",
        envvar="NERSEMBLE_HOLD_OUT",
        metavar="DIR",
        help="Where to put what the hold-out cameras see, the hidden truth.  [default: nowhere]",
        file_okay=False,
        show_default=False,
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", envvar="NERSEMBLE_SEED", metavar="N", help="Equal seeds, equal bytes."),
]


def synthesize(  # noqa: PLR0917 -- an option each; typer passes them by keyword
    folder: Folder,
    scale: ScaleName = "small",
    nvs_frames: NvsFrames = None,
    nvs_width: NvsWidth = None,
    points: Points = None,
    seed: Seed = 0,
    hold_out: HoldOut = None,
    log_format: options.LogFormatOption = None,
) -> None:
    """Make a stand-in for the licensed data, in exactly the official layout.

    All three tasks, every participant, sequence and camera: a moving head, seen by a rig of
    cameras, with pointclouds on its surface. Smaller than the dataset in length, resolution and
    points.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    changes = {"nvs_frames": nvs_frames, "nvs_width": nvs_width, "n_points": points, "seed": seed}

    async def work(session: "Session") -> ExitCode:
        return await _synthesize(session, folder, _scale(scale, changes), hold_out)

    run_command(
        "synthesize",
        work,
        output_format=OutputFormat.HUMAN,
        log_format=log_format,
        root_told=False,
    )


def _scale(name: str, changes: Mapping[str, int | None]) -> "SyntheticScale":
    """The scale of that name with what was asked for otherwise.

    Raises:
        ConfigurationError: there is none of that name, or it cannot be so.
    """
    from nersemble_async.synthetic.scale import SCALES  # noqa: PLC0415 -- not for --help

    if name not in SCALES:
        raise ConfigurationError(
            f"--scale (NERSEMBLE_SCALE): there is no {name!r}; there are {', '.join(SCALES)}"
        )
    given: dict[str, Any] = {field: value for field, value in changes.items() if value is not None}
    try:
        return replace(SCALES[name], **given)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


async def _synthesize(
    session: "Session", folder: Path, scale: "SyntheticScale", hold_out_folder: Path | None
) -> ExitCode:
    started = time.monotonic()
    await render(session.output, folder, scale, hold_out_folder)
    took = seconds_in_words(time.monotonic() - started)
    session.output.lines([Line(f"A stand-in is in {folder}, after {took}", "good")])
    return ExitCode.OK


async def render(
    output: "Output", folder: Path, scale: "SyntheticScale", hold_out_folder: Path | None = None
) -> None:
    """Make the stand-in in threads, with progress; a cancellation ends it at the next picture."""
    from nersemble_async.synthetic import dataset  # noqa: PLC0415 -- numpy and av
    from nersemble_async.workers import (  # noqa: PLC0415
        make_limiter,
        run_blocking,
        single_leaf,
    )

    tally = Tally({}, time.monotonic, unit="pictures")
    cancelled = threading.Event()

    def made(progress: dataset.SynthesisProgress) -> None:
        if cancelled.is_set():
            raise _CancelledError
        tally.complete_files, tally.files = progress.done, progress.total

    work = partial(
        dataset.synthesize, folder, scale, hold_out_root=hold_out_folder, on_progress=made
    )
    async with output.following(Progress("Rendering", tally)):
        with single_leaf():
            async with anyio.create_task_group() as group:
                group.start_soon(_call_when_cancelled, cancelled.set)
                with contextlib.suppress(_CancelledError):
                    await run_blocking(make_limiter(), work)
                group.cancel_scope.cancel()
        # Where it was cancelled from outside, that is delivered here.
        await anyio.lowlevel.checkpoint()


class _CancelledError(Exception):
    """Ends the work in its threads."""


async def _call_when_cancelled(call: Callable[[], None]) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        call()
