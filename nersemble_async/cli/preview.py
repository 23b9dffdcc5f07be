"""``nersemble-async preview``: a picture of a sequence, cameras by timesteps. No network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat
from nersemble_async.cli.report import document_head
from nersemble_async.cli.sequence_target import parse_target
from nersemble_async.cli.wording import Line
from nersemble_async.errors import ConfigurationError
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from nersemble_async.cli.session import Session

Target = Annotated[
    str,
    typer.Argument(
        metavar="TASK/PARTICIPANT/SEQUENCE", help="Such as nvs/388/GLASSES.", show_default=False
    ),
]
Out = Annotated[
    Path | None,
    typer.Argument(
        metavar="[OUT.png]",
        help="The picture to write.  [default: TASK_PARTICIPANT_SEQUENCE.png here]",
        dir_okay=False,
        show_default=False,
    ),
]
Timesteps = Annotated[
    list[int] | None,
    typer.Option(
        "--timestep",
        metavar="N...",
        help="Which timesteps.  [default: three, evenly over the sequence]",
        show_default=False,
    ),
]
NoAlpha = Annotated[bool, typer.Option("--no-alpha", help="Leave the alpha maps out.")]
OverlayName = Annotated[
    str,
    typer.Option(
        "--overlay",
        metavar="NAME",
        help="pointcloud, flame, none; auto: what the benchmark has and is on disk.",
    ),
]
FlameFolder = Annotated[
    Path | None,
    typer.Option(
        "--flame-folder",
        envvar="NERSEMBLE_FLAME_FOLDER",
        metavar="DIR",
        help="Where flame2023.pkl and the landmark embeddings lie.  [default: ~/.cache/FLAME]",
        file_okay=False,
        show_default=False,
    ),
]
TileHeight = Annotated[
    int, typer.Option("--tile-height", metavar="PIXELS", min=32, max=1604, help="Of each picture.")
]


def preview(  # noqa: PLR0917 -- an option each; typer passes them by keyword
    target: Target,
    out: Out = None,
    root: options.Root = None,
    serial: options.Serials = None,
    timestep: Timesteps = None,
    no_alpha: NoAlpha = False,
    overlay: OverlayName = "auto",
    flame_folder: FlameFolder = None,
    tile_height: TileHeight = 240,
    output_format: options.FormatOption = OutputFormat.HUMAN,
    log_format: options.LogFormatOption = None,
) -> None:
    """Draw a contact sheet of a sequence: images, alpha maps, and an overlay.

    The overlay shows whether data and cameras agree: the pointcloud or the tracked FLAME mesh,
    projected onto what each camera saw.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    async def work(session: "Session") -> ExitCode:
        from nersemble_async.preview.sequence_sheet import (  # noqa: PLC0415 -- numpy, av, Pillow
            Overlay,
            SheetOptions,
            write_sequence_sheet,
        )
        from nersemble_async.workers import make_limiter, run_blocking  # noqa: PLC0415

        place = parse_target(target)
        if place.sequence_name is None:
            raise ConfigurationError(f"{target} names no sequence; write it like nvs/388/GLASSES")
        if overlay != "auto" and overlay not in list(Overlay):
            raise ConfigurationError(f"--overlay {overlay}: it is auto, {', '.join(Overlay)}")
        out_png = out or Path(target.strip("/").replace("/", "_") + ".png")
        chosen = SheetOptions(
            serials=tuple(serial) if serial else None,
            timesteps=tuple(timestep) if timestep else None,
            with_alpha=not no_alpha,
            overlay=None if overlay == "auto" else Overlay(overlay),
            flame_folder=flame_folder,
            tile_height=tile_height,
        )
        assets = place.assets(session.settings.root)
        notes = await run_blocking(
            make_limiter(), write_sequence_sheet, assets, place.sequence_name, out_png, chosen
        )
        session.output.lines([*(Line(note, "dim") for note in notes), Line(str(out_png), "good")])
        head = document_head("preview", session.settings.root, ExitCode.OK)
        session.output.document({**head, "path": str(out_png), "notes": notes})
        return ExitCode.OK

    run_command(
        "preview",
        work,
        output_format=output_format,
        log_format=log_format,
        given={"benchmark_folder": root},
    )
