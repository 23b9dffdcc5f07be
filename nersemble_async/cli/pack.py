"""``nersemble-async pack``: a submission from folders of pictures, videos or meshes."""

from pathlib import Path
from typing import Annotated

import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat
from nersemble_async.cli.submission_options import Metadata, SubmittedTask, chosen_task

INTERRUPTED_MESSAGE = "interrupted; run the same command again with --resume to go on"


def _zip(value: Path) -> Path:
    if value.suffix.lower() != ".zip":
        raise typer.BadParameter(f"{value.name!r} does not end in .zip")
    return value


Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="The folder that holds the participants' folders.",
        exists=True,
        file_okay=False,
        readable=True,
        show_default=False,
    ),
]
Target = Annotated[
    Path,
    typer.Argument(
        metavar="OUT.zip",
        help="The submission to write; an older one stays until the new one is complete.",
        dir_okay=False,
        callback=_zip,
        show_default=False,
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with what an earlier run left; nothing is encoded twice."),
]
Restart = Annotated[
    bool, typer.Option("--restart", help="Throw away what an earlier run left unfinished.")
]
AllowPartial = Annotated[
    bool,
    typer.Option(
        "--allow-partial", help="Write the zip although predictions are missing, for a try."
    ),
]
CompensateReaderBias = Annotated[
    bool,
    typer.Option(
        "--compensate-reader-bias",
        help=(
            "Raise each level by one before encoding: the official reader gives back about one "
            "less. Assumes that the server decodes as that reader does."
        ),
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        help="Threads that encode, and videos at once.  [default: one a core]",
        show_default=False,
    ),
]


def pack(  # noqa: PLR0917 -- an option each; typer passes them by keyword
    task: SubmittedTask,
    source: Source,
    target: Target,
    metadata: Metadata = None,
    root: options.Root = None,
    resume: Resume = False,
    restart: Restart = False,
    allow_partial: AllowPartial = False,
    compensate_reader_bias: CompensateReaderBias = False,
    threads: Threads = None,
    output_format: options.FormatOption = OutputFormat.HUMAN,
    log_format: options.LogFormatOption = None,
) -> None:
    """Write a submission zip from a folder of predictions in the submission's layout.

    A video is a folder 388/GLASSES/cam_222200046 with an 8-bit RGB PNG or JPEG a frame, or a file
    cam_222200046.mp4 (.mov, .mkv, .avi, .webm) there; an mp4 that is right already is taken as it
    is. A mesh is 017/EMO-1-shout+laugh_156_221501007/mesh_posed.ply (.obj), mesh_neutral.ply, with
    landmarks_posed.npy, landmarks_neutral.npy where it has not FLAME's topology.

    Names, counts and headers of pictures and videos are checked before anything is encoded, and all
    that is wrong is told; meshes are checked as they are packed. Exit codes: 0 written, 1 wrong or
    missing predictions, 2 usage, 4 disk full, 130 interrupted.
    """
    from nersemble_async.cli.pack_job import PackJob, PackOptions  # noqa: PLC0415 -- not for --help
    from nersemble_async.cli.session import run_command  # noqa: PLC0415

    if resume and restart:
        raise typer.BadParameter("--resume goes on, --restart begins anew: give one of them")
    asked = PackOptions(
        task=chosen_task(task),
        source=source,
        target=target,
        metadata=metadata,
        resume=resume or (False if restart else None),
        allow_partial=allow_partial,
        compensate_reader_bias=compensate_reader_bias,
        threads=threads,
    )
    job = PackJob(asked)
    run_command(
        "pack",
        job.pack,
        output_format=output_format,
        log_format=log_format,
        given={"benchmark_folder": root},
        on_interrupt=job.tell_interrupted,
        interrupted_message=INTERRUPTED_MESSAGE,
        root_told=False,
    )
