"""``nersemble-async info``: what is in a file, or on disk of a sequence. No network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat, Table
from nersemble_async.cli.report import document_head
from nersemble_async.cli.sequence_target import parse_target
from nersemble_async.cli.wording import Line, bytes_in_words
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nersemble_async.cli.session import Session
    from nersemble_async.data_managers.overview import AssetOverview

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A file (mp4, pcd, npz, png, camera_params.json), or TASK/PARTICIPANT[/SEQUENCE] "
        "such as nvs/388/GLASSES.",
        show_default=False,
    ),
]


def info(
    target: Target,
    root: options.Root = None,
    output_format: options.FormatOption = OutputFormat.HUMAN,
    log_format: options.LogFormatOption = None,
) -> None:
    """Say what is in a video, pointcloud, tracking, image or calibration, or in a sequence.

    Of a file everything is read; of a sequence only headers and indexes.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    is_file = Path(target).is_file()

    async def work(session: "Session") -> ExitCode:
        if is_file:
            return await _tell_file(session, Path(target))
        return await _tell_sequences(session, target)

    run_command(
        "info",
        work,
        output_format=output_format,
        log_format=log_format,
        given={"benchmark_folder": root},
        root_told=not is_file,
    )


async def _tell_file(session: "Session", path: Path) -> ExitCode:
    from nersemble_async.formats.inspection import inspect_file  # noqa: PLC0415 -- numpy, av
    from nersemble_async.workers import make_limiter, run_blocking  # noqa: PLC0415

    facts = await run_blocking(make_limiter(), inspect_file, path)
    words = {name.replace("_", " "): value for name, value in facts.items()}
    width = max(map(len, words))
    session.output.lines([Line(str(path), "strong")])
    session.output.lines(
        Line(f"  {name.ljust(width)}  {_in_words(value)}") for name, value in words.items()
    )
    head = document_head("info", None, ExitCode.OK)
    session.output.document({**head, "path": str(path), "facts": facts})
    return ExitCode.OK


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "not told" if value is None else str(value)


async def _tell_sequences(session: "Session", target: str) -> ExitCode:
    from nersemble_async.data_managers.overview import overview_of_sequence  # noqa: PLC0415 -- av
    from nersemble_async.workers import make_limiter, run_blocking  # noqa: PLC0415

    place = parse_target(target)
    assets = place.assets(session.settings.root)
    limiter = make_limiter()
    names = (place.sequence_name,) if place.sequence_name else assets.files.sequences
    found: dict[str, list[AssetOverview]] = {}
    for name in names:
        found[name] = await run_blocking(limiter, overview_of_sequence, assets, name)
    session.output.table(_table(found))
    head = document_head("info", session.settings.root, ExitCode.OK)
    sequences = {name: [_document(row) for row in rows] for name, rows in found.items()}
    session.output.document(
        {
            **head,
            "task": place.task,
            "participant_id": place.participant_id,
            "sequences": sequences,
        }
    )
    return ExitCode.OK


def _table(found: "Mapping[str, list[AssetOverview]]") -> Table:
    return Table(
        ("sequence", "asset", "camera", "content", "files", "size"),
        [
            (
                name,
                row.asset,
                row.what,
                row.content or ("" if row.files else "not on disk"),
                f"{row.files} of {row.of_files}",
                bytes_in_words(row.local_bytes),
            )
            for name, rows in found.items()
            for row in rows
        ],
        left_columns=4,
    )


def _document(row: "AssetOverview") -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}
