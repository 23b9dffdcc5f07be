"""Whether a source can be packed, and how, before anything is encoded. Blocking, a header each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import BENCHMARKS, BenchmarkSpec, Task
from nersemble_async.errors import DecodeError
from nersemble_async.formats.image.picture_header import PictureHeader, read_picture_header
from nersemble_async.formats.video.any_video import AnyVideoInfo, probe_any_video
from nersemble_async.submission.issues import Severity
from nersemble_async.submission.packing.sources import PackSource, SourceProblem, SourceSort
from nersemble_async.submission.validation.video_checks import check_video

_MOST_NAMED = 3
"""Pictures of a folder that are named for the same fault."""
_MP4 = ".mp4"
_LOSSY_PICTURES = (".jpg", ".jpeg")
_JPEG_LOSES = "JPEG is lossy: render to PNG to lose nothing"
_ON_WHITE = "composite them on white and write 8-bit RGB"


class PackWay(StrEnum):
    """What is done with a source."""

    ENCODE = "encode"
    COPY = "copy"
    """It is what a submission holds, to the bit."""
    MESH = "mesh"


@dataclass(frozen=True, slots=True)
class CheckedSource:
    """A source that can be packed."""

    source: PackSource
    way: PackWay
    n_frames: int
    """Of a video, as far as known; else 1."""
    warning: str | None = None
    """What is lost."""


def check_source(
    folder: Path,
    source: PackSource,
    task: Task,
    metadata: TaskMetadata | None,
    *,
    compensate_reader_bias: bool = False,
    on_file: Callable[[], None] | None = None,
) -> CheckedSource | list[SourceProblem]:
    """Look at sizes, counts and kinds, by headers; a video's first frame is decoded too.

    An mp4 that the validator finds no error in is copied, unless levels are to be raised.

    Args:
        folder: that the source's paths start from.
        source: of one entry.
        task: whose submission it is to be.
        metadata: how many frames a video has to have.
        compensate_reader_bias: every video is encoded.
        on_file: called after each file; what it raises ends it.
    """
    entry, spec = source.entry, BENCHMARKS[task]
    n_frames = None
    if metadata is not None:
        n_frames = metadata.n_frames(entry.participant_id, entry.sequence_name)
    try:
        match source.sort:
            case SourceSort.PICTURES:
                problems = _check_pictures(folder, source, spec, on_file)
                is_lossy = source.paths[0].lower().endswith(_LOSSY_PICTURES)
                warning = _JPEG_LOSES if is_lossy else None
                return problems or CheckedSource(source, PackWay.ENCODE, len(source.paths), warning)
            case SourceSort.VIDEO:
                return _check_video(
                    folder, source, spec, n_frames, may_copy=not compensate_reader_bias
                )
            case _:
                return CheckedSource(source, PackWay.MESH, 1)
    except OSError as error:
        return [SourceProblem(source.place, error.strerror or str(error))]
    except DecodeError as error:
        return [SourceProblem(source.place, error.reason)]


# ---- pictures -----------------------------------------------------------------------------------


def _check_pictures(
    folder: Path, source: PackSource, spec: BenchmarkSpec, on_file: Callable[[], None] | None
) -> list[SourceProblem]:
    """Faults, each with the first pictures that have it."""
    faulty: dict[str, list[str]] = {}
    for path in source.paths:
        try:
            fault = _picture_fault(read_picture_header(folder / path), spec.frame_size)
        except DecodeError as error:
            fault = error.reason
        except OSError as error:
            fault = error.strerror or str(error)
        if fault is not None:
            faulty.setdefault(fault, []).append(path)
        if on_file is not None:
            on_file()
    problems = []
    for fault, paths in faulty.items():
        problems += [SourceProblem(path, fault) for path in paths[:_MOST_NAMED]]
        if len(paths) > _MOST_NAMED:
            told = f"{len(paths) - _MOST_NAMED} more pictures: {fault}"
            problems.append(SourceProblem(source.place, told))
    return problems


def _picture_fault(header: PictureHeader, size: tuple[int, int]) -> str | None:
    if (header.width, header.height) != size:
        return f"{header.width} x {header.height} pixels, not {size[0]} x {size[1]}"
    if header.is_turned:
        return "its EXIF orientation asks viewers to turn it: write it as it is to be seen"
    if header.has_alpha:
        return f"it has an alpha channel ({header.mode}): {_ON_WHITE}"
    if header.mode != "RGB" or header.n_bits != 8:  # noqa: PLR2004 -- of a channel
        kinds = {"L": "grey", "1": "black and white", "P": "a palette picture"}
        kind = kinds.get(header.mode, f"{header.mode} of {header.n_bits} bits")
        return f"it is {kind}, not RGB of 8 bits a channel"
    return None


# ---- videos -------------------------------------------------------------------------------------


def _check_video(
    folder: Path, source: PackSource, spec: BenchmarkSpec, n_frames: int | None, *, may_copy: bool
) -> CheckedSource | list[SourceProblem]:
    path = folder / source.place
    info = probe_any_video(path)
    faults = _video_faults(info, spec, n_frames)
    why_not_copied = "it is not an mp4 as the benchmark wants it"
    if not faults and path.suffix.lower() == _MP4:
        if not may_copy:
            why_not_copied = "its levels are to be raised"
        else:
            found = check_video(path, source.entry, spec, n_frames, deep=False)
            errors = [issue for issue in found.issues if issue.severity is Severity.ERROR]
            if not errors:
                return CheckedSource(source, PackWay.COPY, found.n_frames or 0)
            faults = [issue.found for issue in errors if issue.rule == "undecodable-video"]
            why_not_copied = "; ".join(f"{e.rule}: {e.found}" for e in errors)
    if faults:
        return [SourceProblem(source.place, fault) for fault in faults]
    warning = None
    if not info.is_lossless:
        warning = (
            f"{info.codec} is lossy, and it is encoded a second time, since {why_not_copied}; "
            "render to pictures or a lossless video to lose nothing"
        )
    return CheckedSource(source, PackWay.ENCODE, info.n_frames or n_frames or 0, warning)


def _video_faults(info: AnyVideoInfo, spec: BenchmarkSpec, n_frames: int | None) -> list[str]:
    faults = []
    width, height = spec.frame_size
    if (info.width, info.height) != spec.frame_size:
        faults.append(f"its frames are {info.width} x {info.height} pixels, not {width} x {height}")
    if None not in {n_frames, info.n_frames} and info.n_frames != n_frames:
        faults.append(f"it has {info.n_frames} frames, the sequence has {n_frames} timesteps")
    if info.has_alpha:
        faults.append(f"its frames have an alpha channel ({info.pixel_format}): {_ON_WHITE}")
    if info.is_grey:
        faults.append(f"its frames are grey ({info.pixel_format}), not RGB")
    if info.is_turned:
        faults.append("it asks players to turn its frames: write them as they are to be seen")
    return faults
