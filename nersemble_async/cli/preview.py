"""``nersemble-async preview``: a picture of a sequence, or of a submission. No network."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import anyio.from_thread
import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat
from nersemble_async.cli.report import document_head
from nersemble_async.cli.sequence_target import parse_target
from nersemble_async.cli.tally import Progress, Tally
from nersemble_async.cli.wording import Line
from nersemble_async.errors import ConfigurationError
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from nersemble_async.cli.session import Session
    from nersemble_async.preview.sequence_sheet import Overlay

Target = Annotated[
    str,
    typer.Argument(
        metavar="TASK/PARTICIPANT/SEQUENCE|ZIP",
        help="Such as nvs/388/GLASSES, or a submission.",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Argument(
        metavar="[OUT.png]",
        help="The picture to write.  [default: TASK_PARTICIPANT_SEQUENCE.png or ZIP's name here]",
        dir_okay=False,
        show_default=False,
    ),
]
Participants = Annotated[
    list[int] | None,
    typer.Option(
        "--participant",
        metavar="ID...",
        help="Of a submission, such as 388 422.  [default: all]",
        show_default=False,
    ),
]
Timesteps = Annotated[
    list[int] | None,
    typer.Option(
        "--timestep",
        metavar="N...",
        help="Which timesteps; of a submission's videos, frames counted from 0.  "
        "[default: three, evenly over the sequence; the middle one of many videos]",
        show_default=False,
    ),
]
NoAlpha = Annotated[bool, typer.Option("--no-alpha", help="Leave the alpha maps out.")]
OverlayName = Annotated[
    str,
    typer.Option(
        "--overlay",
        metavar="NAME",
        help="pointcloud, flame, none; auto: what the benchmark has and is on disk, and train "
        "cameras beside an NVS submission.",
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
    int | None,
    typer.Option(
        "--tile-height",
        metavar="PIXELS",
        min=32,
        max=1604,
        help="Of each picture.  [default: 240, less where there are many in a row]",
        show_default=False,
    ),
]

_TILE_HEIGHT = 240


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options, as whoever draws wants them."""

    participants: tuple[int, ...] | None
    serials: tuple[str, ...] | None
    timesteps: tuple[int, ...] | None
    with_alpha: bool
    overlay: "Overlay | None"
    flame_folder: Path | None
    tile_height: int | None


def preview(  # noqa: PLR0917 -- an option each; typer passes them by keyword
    target: Target,
    out: Out = None,
    root: options.Root = None,
    participant: Participants = None,
    serial: options.Serials = None,
    timestep: Timesteps = None,
    no_alpha: NoAlpha = False,
    overlay: OverlayName = "auto",
    flame_folder: FlameFolder = None,
    tile_height: TileHeight = None,
    output_format: options.FormatOption = OutputFormat.HUMAN,
    log_format: options.LogFormatOption = None,
) -> None:
    """Draw a contact sheet of a sequence: images, alpha maps, and an overlay.

    The overlay shows whether data and cameras agree: the pointcloud or the tracked FLAME mesh,
    projected onto what each camera saw. Of a submission: what each of its videos or meshes
    shows, beside the nearest train camera, the FLAME mesh or the image, where they are on disk.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    async def work(session: "Session") -> ExitCode:
        from nersemble_async.preview.sequence_sheet import (  # noqa: PLC0415 -- numpy, av, Pillow
            Overlay,
        )
        from nersemble_async.workers import make_limiter, run_blocking  # noqa: PLC0415

        if overlay != "auto" and overlay not in list(Overlay):
            raise ConfigurationError(f"--overlay {overlay}: it is auto, {', '.join(Overlay)}")
        if out is not None and out.suffix.lower() != ".png":
            raise ConfigurationError(f"{out}: the picture is a PNG; give it a name with .png")
        asked = _Asked(
            participants=tuple(participant) if participant else None,
            serials=tuple(serial) if serial else None,
            timesteps=tuple(timestep) if timestep else None,
            with_alpha=not no_alpha,
            overlay=None if overlay == "auto" else Overlay(overlay),
            flame_folder=flame_folder,
            tile_height=tile_height,
        )
        root = session.settings.root
        if target.lower().endswith(".zip"):
            tally = Tally({}, time.monotonic, unit="tiles")

            def count(done: int, total: int) -> None:
                anyio.from_thread.check_cancelled()
                tally.complete_files, tally.files = done, total

            async with session.output.following(Progress("Drawing", tally)):
                out_png, notes = await run_blocking(
                    make_limiter(), _draw_submission, root, Path(target), out, asked, count
                )
        else:
            out_png, notes = await run_blocking(
                make_limiter(), _draw_sequence, root, target, out, asked
            )
        session.output.lines([*(Line(note, "dim") for note in notes), Line(str(out_png), "good")])
        head = document_head("preview", root, ExitCode.OK)
        session.output.document({**head, "path": str(out_png), "notes": notes})
        return ExitCode.OK

    run_command(
        "preview",
        work,
        output_format=output_format,
        log_format=log_format,
        given={"benchmark_folder": root},
    )


def _draw_submission(
    root: Path,
    path: Path,
    out: Path | None,
    asked: _Asked,
    on_progress: Callable[[int, int], None],
) -> tuple[Path, list[str]]:
    from nersemble_async.preview.submission_sheet import (  # noqa: PLC0415 -- numpy, av, Pillow
        SubmissionSheetOptions,
        write_submission_sheet,
    )

    out_png = out or Path(path.name).with_suffix(".png")
    chosen = SubmissionSheetOptions(
        participants=asked.participants,
        serials=asked.serials,
        timesteps=asked.timesteps,
        overlay=asked.overlay,
        flame_folder=asked.flame_folder,
        tile_height=asked.tile_height,
    )
    try:
        return out_png, write_submission_sheet(path, root, out_png, chosen, on_progress)
    except FileNotFoundError as error:
        if error.filename == str(path):
            raise ConfigurationError(f"there is no file {path}") from None
        raise


def _draw_sequence(
    root: Path, target: str, out: Path | None, asked: _Asked
) -> tuple[Path, list[str]]:
    from nersemble_async.preview.sequence_sheet import (  # noqa: PLC0415 -- numpy, av, Pillow
        SheetOptions,
        write_sequence_sheet,
    )

    place = parse_target(target)
    if place.sequence_name is None:
        raise ConfigurationError(f"{target} names no sequence; write it like nvs/388/GLASSES")
    if asked.participants is not None:
        raise ConfigurationError("--participant is for submissions; a sequence names its own")
    out_png = out or Path(target.strip("/").replace("/", "_") + ".png")
    chosen = SheetOptions(
        serials=asked.serials,
        timesteps=asked.timesteps,
        with_alpha=asked.with_alpha,
        overlay=asked.overlay,
        flame_folder=asked.flame_folder,
        tile_height=asked.tile_height or _TILE_HEIGHT,
    )
    assets = place.assets(root)
    return out_png, write_sequence_sheet(assets, place.sequence_name, out_png, chosen)
