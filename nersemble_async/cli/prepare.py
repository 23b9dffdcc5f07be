"""``nersemble-async prepare``: decode sequences beforehand, for random frames in milliseconds."""

import time
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import anyio.from_thread
import typer

from nersemble_async.cli import options
from nersemble_async.cli.output import OutputFormat
from nersemble_async.cli.sequence_target import parse_target
from nersemble_async.cli.tally import Progress, Tally
from nersemble_async.cli.wording import Line, bytes_in_words, reason_in_words
from nersemble_async.errors import (
    ConfigurationError,
    DecodeError,
    DiskFullError,
    NotCachedError,
)
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from nersemble_async.cli.prepare_report import Preparation
    from nersemble_async.cli.session import Session
    from nersemble_async.data_managers.local_assets import LocalAssets
    from nersemble_async.data_managers.prepared_frames import VideoSurvey
    from nersemble_async.fetch.plan import PlannedFile

VIDEO_ASSETS = ("images", "alpha_maps")
_MAKE_ROOM = (
    "make room there, choose another --folder, or prepare fewer sequences or --serial; then run "
    "the same command again to go on"
)


class Mode(StrEnum):
    """How frames are kept; `FrameCacheMode` as typer wants it."""

    COMPRESSED = "compressed"
    RAW = "raw"


def _video_assets(values: list[str] | None) -> list[str] | None:
    for value in values or ():
        if value not in VIDEO_ASSETS:
            raise typer.BadParameter(f"{value!r} are no videos; {' and '.join(VIDEO_ASSETS)} are")
    return values


Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TASK/PARTICIPANT[/SEQUENCE]...",
        help="Such as nvs/388/GLASSES, or mono_flame_avatar/393 for all its sequences.",
        show_default=False,
    ),
]
Assets = Annotated[
    list[str] | None,
    typer.Option(
        "--assets",
        metavar="NAME...",
        help="images, alpha_maps or both.  [default: images]",
        callback=_video_assets,
        show_default=False,
    ),
]
ModeOption = Annotated[
    Mode,
    typer.Option("--mode", help="compressed takes about a quarter of raw, and 2 ms more a frame."),
]


def prepare(  # noqa: PLR0917 -- an option each; typer passes them by keyword
    targets: Targets,
    root: options.Root = None,
    serial: options.Serials = None,
    assets: Assets = None,
    mode: ModeOption = Mode.COMPRESSED,
    limit: options.FrameCacheLimit = None,
    folder: options.FrameCacheFolder = None,
    output_format: options.FormatOption = OutputFormat.HUMAN,
    log_format: options.LogFormatOption = None,
) -> None:
    """Decode videos into the frame cache, where any frame is read in milliseconds. No network.

    Lossless: frames are the video's to the bit. Says beforehand how much room that takes. Ctrl-C
    keeps what is there; the same command goes on, and does nothing where nothing is missing.
    """
    from nersemble_async.cli.session import run_command  # noqa: PLC0415 -- not for --help

    under_way: list[Preparation] = []

    async def work(session: "Session") -> ExitCode:
        from nersemble_async.cli.prepare_report import (  # noqa: PLC0415 -- numpy, av
            Preparation,
            tell_end,
        )
        from nersemble_async.data_managers.prepared_frames import (  # noqa: PLC0415
            make_frame_cache,
        )
        from nersemble_async.workers import make_limiter, run_blocking  # noqa: PLC0415

        with make_frame_cache(session.settings, mode.value) as cache:
            preparation = Preparation(cache)
            chosen = await _find_videos(session, targets, assets or ["images"], serial)
            await _survey(session, chosen, preparation)
            await run_blocking(make_limiter(1), _check_room, session, preparation)
            under_way.append(preparation)
            await _fill(session, preparation)
            return await run_blocking(make_limiter(1), tell_end, session, preparation)

    def on_interrupt(session: "Session") -> None:
        from nersemble_async.cli.prepare_report import tell_end  # noqa: PLC0415
        from nersemble_async.cli.report import document_head  # noqa: PLC0415

        for preparation in under_way:
            tell_end(session, preparation, code=ExitCode.INTERRUPTED)
        if not under_way:
            head = document_head("prepare", session.settings.root, ExitCode.INTERRUPTED)
            session.output.document(head)

    run_command(
        "prepare",
        work,
        output_format=output_format,
        log_format=log_format,
        given={
            "benchmark_folder": root,
            "frame_cache_folder": folder,
            "frame_cache_limit": limit,
        },
        on_interrupt=on_interrupt,
    )


async def _find_videos(
    session: "Session",
    targets: list[str],
    asset_keys: list[str],
    serials: list[str] | None,
) -> "dict[str, tuple[LocalAssets, PlannedFile]]":
    """Each video that is asked for, by its path, once."""
    from nersemble_async.data_managers.prepared_frames import (  # noqa: PLC0415 -- numpy, av
        videos_to_prepare,
    )
    from nersemble_async.workers import make_limiter, run_blocking  # noqa: PLC0415

    limiter = make_limiter(1)
    chosen: dict[str, tuple[LocalAssets, PlannedFile]] = {}
    for target in targets:
        place = parse_target(target)
        assets = place.assets(session.settings.root)
        there, lacking = await run_blocking(
            limiter, videos_to_prepare, assets, place.sequence_name, asset_keys, serials
        )
        if lacking:
            n_lacking = f"{len(lacking)} of {len(there) + len(lacking)} videos"
            command = assets.files.fetch_command(lacking[0])
            told = f"{target}: {n_lacking} are not on disk and left out; the first would come with"
            session.output.lines([Line(told, "dim"), Line(f"    {command}", "dim")])
        chosen |= {file.path: (assets, file) for file in there}
    return chosen


async def _survey(
    session: "Session",
    chosen: "dict[str, tuple[LocalAssets, PlannedFile]]",
    preparation: "Preparation",
) -> None:
    """Look at each video, several at once; one that is broken is no reason to stop."""
    from nersemble_async.data_managers.prepared_frames import survey_video  # noqa: PLC0415
    from nersemble_async.workers import (  # noqa: PLC0415
        make_limiter,
        run_blocking,
        run_together,
        single_leaf,
        usable_cores,
    )

    limiter = make_limiter(usable_cores())
    tally = Tally({}, time.monotonic, unit="videos")
    tally.files = len(chosen)
    found: dict[str, VideoSurvey] = {}

    async def look(path: str) -> None:
        try:
            found[path] = await run_blocking(
                limiter, survey_video, *chosen[path], preparation.cache
            )
        except (DecodeError, NotCachedError) as error:
            preparation.failures.append((path, _reason(error)))
        tally.complete_files += 1

    with single_leaf():
        async with session.output.following(Progress("Looking", tally)):
            await run_together(partial(look, path) for path in chosen)
    preparation.videos = [found[path] for path in chosen if path in found]


def _check_room(session: "Session", preparation: "Preparation") -> None:
    """Tell how much room it takes.

    Raises:
        ConfigurationError: the limit is too small for it.
        DiskFullError: there is no room for it.
    """
    from nersemble_async.cli.prepare_report import room_lines  # noqa: PLC0415
    from nersemble_async.data_managers.prepared_frames import survey_room  # noqa: PLC0415

    room = preparation.room = survey_room(preparation.videos, preparation.cache)
    session.output.lines(room_lines(preparation))
    if not room.fits_limit:
        raise ConfigurationError(
            f"that is more than --limit (NERSEMBLE_FRAME_CACHE_LIMIT), which is "
            f"{bytes_in_words(room.limit_bytes or 0)}: raise it, or prepare fewer sequences or "
            "--serial"
        )
    if not room.fits_disk:
        raise DiskFullError(
            f"{bytes_in_words(room.missing_bytes - room.evicted_bytes)} more are needed in "
            f"{room.folder}, {bytes_in_words(room.free_bytes)} are free: {_MAKE_ROOM}"
        )


async def _fill(session: "Session", preparation: "Preparation") -> None:
    """Decode what is missing, several videos at once; what cancels it ends each at its frame."""
    from nersemble_async.workers import (  # noqa: PLC0415
        make_limiter,
        run_blocking,
        run_together,
        single_leaf,
        usable_cores,
    )

    incomplete = sorted(
        (video for video in preparation.videos if video.n_missing),
        key=lambda video: -video.n_missing,
    )
    cores = usable_cores()
    at_once = max(1, min(cores, len(incomplete)))
    limiter = make_limiter(at_once)
    tally = Tally({}, time.monotonic, unit="frames")
    tally.files = sum(video.n_missing for video in incomplete)
    cache = preparation.cache

    async def fill(video: "VideoSurvey") -> None:
        def count(n_done: int, _: int) -> None:
            preparation.stored[video.key] = n_done
            tally.complete_files = preparation.n_stored
            anyio.from_thread.check_cancelled()

        work = partial(
            cache.fill, video.source, video.key, on_progress=count, threads=cores // at_once
        )
        try:
            report = await run_blocking(limiter, work)
            preparation.stored[video.key] = report.n_stored
            preparation.n_refused += report.n_refused
        except (DecodeError, FileNotFoundError) as error:
            preparation.failures.append((video.key, _reason(error)))

    started = time.monotonic()
    try:
        with single_leaf(), await run_blocking(limiter, preparation.pin):
            async with session.output.following(Progress("Decoding", tally)):
                await run_together(partial(fill, video) for video in incomplete)
    except DiskFullError as error:
        raise DiskFullError(f"{error}; what is stored stays. Now {_MAKE_ROOM}") from None
    finally:
        preparation.seconds = time.monotonic() - started


def _reason(error: DecodeError | FileNotFoundError) -> str:
    """Without the path, which stands before it; of the error that tells how to fetch, all."""
    return reason_in_words(error) if isinstance(error, DecodeError) else str(error)
