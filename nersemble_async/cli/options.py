"""The options that several commands share, as typer annotations; each also an environment variable.

Callbacks check what can be checked without the benchmark, so that typer's message names the
option and its variable.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nersemble_async.benchmark.layout import TASKS
from nersemble_async.cli.arguments import ArgumentError, refuse_urls, split_values
from nersemble_async.cli.output import OutputFormat
from nersemble_async.errors import SelectionError

if TYPE_CHECKING:
    from nersemble_async.fetch.plan import Selection


class LogFormat(StrEnum):
    """How events are told on stderr; `nersemble_async.log.LogFormat` as typer wants it."""

    CONSOLE = "console"
    JSON = "json"
    OFF = "off"


def _split(values: list[str] | None) -> list[str] | None:
    _refuse_urls(values)
    try:
        pieces = split_values(values)
    except ArgumentError as error:
        raise typer.BadParameter(str(error)) from None
    return None if pieces is None else list(pieces)


def _split_numbers(values: list[str] | None) -> list[str] | None:
    pieces = _split(values)
    for piece in pieces or ():
        if not (piece.isascii() and piece.isdecimal()):
            raise typer.BadParameter(f"{piece!r} is not a participant's number, such as 388")
    return pieces


def _frames(values: list[str] | None) -> list[str] | None:
    if not values:
        return None
    from nersemble_async.fetch.plan import parse_pointcloud_frames  # noqa: PLC0415 -- not for --help

    try:
        parse_pointcloud_frames(values)
    except SelectionError as error:
        raise typer.BadParameter(str(error)) from None
    return values


def _tasks(values: list[str] | None) -> list[str] | None:
    _refuse_urls(values)
    for value in values or ():
        if value not in TASKS:
            raise typer.BadParameter(
                f"{value!r} is not a task; there are {', '.join(TASKS)} "
                "(the folder is given with --root)"
            )
    return values


def _refuse_urls(values: list[str] | None) -> None:
    # On the command line they were refused before; these come from the environment.
    try:
        refuse_urls(values or ())
    except ArgumentError as error:
        raise typer.BadParameter(str(error)) from None


def _positive(value: float | None) -> float | None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise typer.BadParameter(f"{value:g} is not a number of seconds above 0")
    return value


def _rate(value: str | None) -> str | None:
    return _size(value, "would let nothing through")


def _room(value: str | None) -> str | None:
    return _size(value, "would leave no room")


def _size(value: str | None, what_zero_means: str) -> str | None:
    if value is None:
        return None
    from nersemble_async.settings import parse_bytes  # noqa: PLC0415 -- pydantic, not for --help

    try:
        size_bytes = parse_bytes(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if size_bytes < 1:
        raise typer.BadParameter(f"{value!r} {what_zero_means}")
    return value


Tasks = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TASK]...",
        help=f"{', '.join(TASKS)}; none named: all three.",
        callback=_tasks,
        show_default=False,
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        envvar="NERSEMBLE_BENCHMARK_FOLDER",
        metavar="DIR",
        help="The data's folder.  [default: the platform's cache folder]",
        file_okay=False,
        show_default=False,
    ),
]
Assets = Annotated[
    list[str] | None,
    typer.Option(
        "--assets",
        envvar="NERSEMBLE_ASSETS",
        metavar="NAME...",
        help="Such as images, alpha_maps, pointclouds.  [default: all but the optional ones]",
        callback=_split,
        show_default=False,
    ),
]
Participants = Annotated[
    list[str] | None,
    typer.Option(
        "--participant",
        envvar="NERSEMBLE_PARTICIPANT",
        metavar="ID...",
        help="Such as 388 422.  [default: all]",
        callback=_split_numbers,
        show_default=False,
    ),
]
Sequences = Annotated[
    list[str] | None,
    typer.Option(
        "--sequence",
        envvar="NERSEMBLE_SEQUENCE",
        metavar="NAME...",
        help="Such as GLASSES.  [default: all]",
        callback=_split,
        show_default=False,
    ),
]
Serials = Annotated[
    list[str] | None,
    typer.Option(
        "--serial",
        envvar="NERSEMBLE_SERIAL",
        metavar="SERIAL...",
        help="Cameras, such as 222200042.  [default: all]",
        callback=_split,
        show_default=False,
    ),
]
PointcloudFrames = Annotated[
    list[str] | None,
    typer.Option(
        "--pointcloud-frames",
        envvar="NERSEMBLE_POINTCLOUD_FRAMES",
        metavar="FRAMES...",
        help="all, timesteps (0 5 7) or a range (0:1118:10).  [default: 0]",
        callback=_frames,
        show_default=False,
    ),
]
Connections = Annotated[
    int | None,
    typer.Option(
        "--connections",
        envvar="NERSEMBLE_CONNECTIONS",
        metavar="N",
        min=1,
        max=64,
        help="Connections at a time.  [default: 8]",
        show_default=False,
    ),
]
MaxRate = Annotated[
    str | None,
    typer.Option(
        "--max-rate",
        envvar="NERSEMBLE_MAX_RATE",
        metavar="BYTES",
        help="Bytes per second over all connections, such as 50M.  [default: unlimited]",
        callback=_rate,
        show_default=False,
    ),
]
ReadTimeout = Annotated[
    float | None,
    typer.Option(
        "--read-timeout",
        envvar="NERSEMBLE_READ_TIMEOUT",
        metavar="SECONDS",
        help="Without a byte, after which a request is made anew.  [default: 30]",
        callback=_positive,
        show_default=False,
    ),
]
Checksums = Annotated[
    Path | None,
    typer.Option(
        "--checksums",
        envvar="NERSEMBLE_CHECKSUMS",
        metavar="FILE",
        help="sha-256 sums that the files must have, as `checksums` and sha256sum write them.",
        exists=True,
        dir_okay=False,
        readable=True,
        show_default=False,
    ),
]
FrameCacheFolder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        envvar="NERSEMBLE_FRAME_CACHE_FOLDER",
        metavar="DIR",
        help="Where decoded frames are kept; of this root alone.  [default: in the root]",
        file_okay=False,
        show_default=False,
    ),
]
FrameCacheLimit = Annotated[
    str | None,
    typer.Option(
        "--limit",
        envvar="NERSEMBLE_FRAME_CACHE_LIMIT",
        metavar="BYTES",
        help="Of all frames that are kept, such as 200G; what was used least lately goes.  "
        "[default: unlimited]",
        callback=_room,
        show_default=False,
    ),
]
FormatOption = Annotated[
    OutputFormat,
    typer.Option("--format", envvar="NERSEMBLE_FORMAT", help="How results are told on stdout."),
]
LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option(
        "--log-format",
        envvar="NERSEMBLE_LOG_FORMAT",
        help="Events on stderr.  [default: off]",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class SelectionOptions:
    """What a command line selects; None or empty: everything (of pointclouds: the default)."""

    tasks: list[str] | None
    assets: list[str] | None
    participants: list[str] | None
    sequences: list[str] | None
    serials: list[str] | None
    pointcloud_frames: list[str] | None

    @property
    def chosen(self) -> bool:
        """Whether anything was chosen, be it everything by name."""
        every = (self.tasks, self.assets, self.participants, self.sequences, self.serials)
        return any((*every, self.pointcloud_frames))

    def selection(self, *, all_pointcloud_frames: bool = False) -> "Selection":
        """What the options select.

        Args:
            all_pointcloud_frames: what no ``--pointcloud-frames`` means: all, or frame 0.

        Raises:
            SelectionError: something that does not exist; lists what does.
        """
        from nersemble_async.fetch import plan  # noqa: PLC0415 -- not for --help

        default = plan.ALL_POINTCLOUD_FRAMES if all_pointcloud_frames else plan.PointcloudFrames()
        frames = self.pointcloud_frames
        return plan.Selection(
            tasks=tuple(task for task in TASKS if not self.tasks or task in self.tasks),
            assets=_tuple(self.assets),
            participants=None if self.participants is None else tuple(map(int, self.participants)),
            sequences=_tuple(self.sequences),
            serials=_tuple(self.serials),
            pointcloud_frames=plan.parse_pointcloud_frames(frames) if frames else default,
        )


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
