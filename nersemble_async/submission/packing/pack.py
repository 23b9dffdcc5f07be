"""Sources into a submission's writer: decoded, encoded or copied, frame by frame. Blocking."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.formats.image.picture import read_image
from nersemble_async.formats.mesh.landmarks import parse_landmarks
from nersemble_async.formats.video.any_video import any_video_frames
from nersemble_async.submission.packing.checks import CheckedSource, PackWay
from nersemble_async.submission.packing.sources import PackSource, SourceSort
from nersemble_async.submission.writing.mesh_writer import SVFRSubmissionDataWriter
from nersemble_async.submission.writing.video_writers import (
    DEFAULT_MEMORY_BYTES,
    MonoFlameAvatarSubmissionDataWriter,
    NVSSubmissionDataWriter,
    VideoSubmissionDataWriter,
    videos_within,
)

PackWriter = VideoSubmissionDataWriter | SVFRSubmissionDataWriter
OnFrame = Callable[[], None]
"""Called after each frame or mesh, in the thread that does the work; what it raises ends it."""

_VIDEO_WRITERS: dict[Task, type[VideoSubmissionDataWriter]] = {
    "nvs": NVSSubmissionDataWriter,
    "mono_flame_avatar": MonoFlameAvatarSubmissionDataWriter,
}


def files_below(folder: Path, skipped: frozenset[str] = frozenset()) -> Iterator[str]:
    """The paths of all files, relative and with forward slashes; links are followed, once around.

    Args:
        folder: to look through.
        skipped: names that are passed over, with what is in them.

    Raises:
        OSError: a folder cannot be read.
    """
    yield from _files_below(str(folder), "", skipped, ())


def _files_below(
    folder: str, prefix: str, skipped: frozenset[str], around: tuple[str, ...]
) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in around:
        return
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name in skipped:
            continue
        if entry.is_dir():
            deeper = f"{prefix}{entry.name}/"
            yield from _files_below(entry.path, deeper, skipped, (*around, real))
        else:
            yield f"{prefix}{entry.name}"


def open_pack_writer(
    task: Task,
    zip_path: Path,
    metadata: TaskMetadata | None,
    *,
    resume: bool | None,
    allow_partial: bool,
    compensate_reader_bias: bool,
    threads: int,
) -> PackWriter:
    """The task's writer; arguments and errors as there."""
    writer = _VIDEO_WRITERS.get(task)
    if writer is None:
        return SVFRSubmissionDataWriter(zip_path, resume=resume, allow_partial=allow_partial)
    return writer(
        zip_path,
        metadata=metadata,
        resume=resume,
        allow_partial=allow_partial,
        compensate_reader_bias=compensate_reader_bias,
        threads=threads,
    )


def most_at_once(task: Task, threads: int) -> int:
    """Predictions that are worked on at the same time: a thread each, within the writers' memory.

    None of them is refused, whichever began first.
    """
    spec = BENCHMARKS[task]
    if spec.submission_rate is None:
        return 1  # meshes take two milliseconds each
    return max(1, min(threads, videos_within(DEFAULT_MEMORY_BYTES, spec.frame_size)))


def pack_video(
    writer: VideoSubmissionDataWriter, folder: Path, checked: CheckedSource, on_frame: OnFrame
) -> None:
    """Encode or copy one video into the zip; what fails leaves it out.

    Raises:
        DecodeError: a picture or the video is damaged.
        InvalidPredictionError: a frame, or how many there are, is not what the benchmark wants.
        DiskFullError, CacheError: it cannot be written.
        OSError: a source cannot be read.
    """
    entry = checked.source.entry
    where = entry.participant_id, entry.sequence_name, entry.serial
    if checked.way is PackWay.COPY:
        writer.add_file(*where, folder / checked.source.place, deep=True, on_frame=on_frame)
        return
    with writer.open_video(*where) as video:
        for frame in source_frames(folder, checked.source):
            video.write(frame)
            on_frame()


def source_frames(folder: Path, source: PackSource) -> Iterator[npt.NDArray[np.uint8]]:
    """Pictures or a video, frame by frame: (H, W, 3) uint8 RGB; errors as in `pack_video`."""
    if source.sort is SourceSort.VIDEO:
        return any_video_frames(folder / source.place)
    return (read_image(folder / path) for path in source.paths)


def pack_mesh(
    writer: SVFRSubmissionDataWriter,
    folder: Path,
    source: PackSource,
    on_mesh: OnFrame,
) -> None:
    """Write one mesh, and its landmarks where there are any; vertices as in the file.

    Raises:
        DecodeError: the mesh or the landmarks do not parse.
        InvalidPredictionError: they cannot be submitted; says why.
        DiskFullError, CacheError: it cannot be written.
        OSError: a source cannot be read.
    """
    from nersemble_async.formats.mesh.mesh_file import read_mesh  # noqa: PLC0415 -- trimesh takes 0.2 s

    entry = source.entry
    mesh = read_mesh(folder / source.place)
    landmarks = None
    if source.landmarks is not None:
        path = folder / source.landmarks
        landmarks = parse_landmarks(path.read_bytes(), str(path))
    if entry.timestep is None:
        raise ValueError(f"{entry.path} is not of one image")
    add = writer.add_neutral_mesh if entry.subtask == "neutral" else writer.add_posed_mesh
    add(
        entry.participant_id,
        entry.sequence_name,
        entry.timestep,
        entry.serial,
        (_narrowest(np.asarray(mesh.vertices)), np.asarray(mesh.faces)),
        cast("npt.NDArray[np.floating] | None", landmarks),  # the writer checks it
    )
    on_mesh()


def _narrowest(vertices: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """In single precision where that changes no number: half the bytes."""
    single = vertices.astype(np.float32)
    return single if np.array_equal(single, vertices) else vertices
