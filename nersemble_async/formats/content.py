"""Does a fetched file parse as what it should be: one check for each kind of dataset file."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from nersemble_async.benchmark.metadata import parse_camera_params, parse_metadata
from nersemble_async.benchmark.spec import FileKind, Task
from nersemble_async.errors import DecodeError, MetadataError
from nersemble_async.formats.image.png_chunks import check_png
from nersemble_async.formats.npz_members import check_npz
from nersemble_async.formats.pointcloud.pcd_header import check_pointcloud
from nersemble_async.formats.video.mp4_samples import count_video_samples

_MAX_JSON_BYTES = 1 << 24
_TASK_BY_KEY: dict[str, Task] = {"sequences": "nvs", "participants_metadata": "mono_flame_avatar"}


def check_content(
    path: Path, kind: FileKind, n_frames: int | None, relative_path: str | None = None
) -> None:
    """Check what can be checked without decoding: cheap, in bounded memory, in a worker thread.

    - JSON: the schema of metadata.json or camera_params.json.
    - MP4: boxes and index are whole, one video track of a known codec has ``n_frames`` frames,
      and the place of every frame lies within the file's media data. No frame is read, no
      codec is loaded (but for a fragmented mp4, whose packets PyAV counts).
    - PCD: header and points give the file's size.
    - NPZ, PNG: the structure and every CRC.

    Args:
        path: the file, under whatever name it has now.
        kind: what it should be.
        n_frames: how many frames a video should have; None where that is not known.
        relative_path: the file's place in the dataset, task first, where ``path`` is a part file
            under another name; only JSON files are told apart by it.

    Raises:
        DecodeError: it does not parse as what it should be.
        OSError: it cannot be read.
        ValueError: the dataset has no such files.
    """
    if kind is FileKind.MP4:
        _check_video(path, n_frames)
    elif kind is FileKind.PCD:
        check_pointcloud(path)
    elif kind is FileKind.NPZ:
        check_npz(path)
    elif kind is FileKind.PNG:
        check_png(path)
    elif kind is FileKind.JSON:
        _check_json(
            path, PurePosixPath(path.as_posix() if relative_path is None else relative_path)
        )
    else:
        raise ValueError(f"no file of the dataset is a {kind}")


def _check_video(path: Path, n_frames: int | None) -> None:
    n_counted = count_video_samples(path)
    if n_counted is None:
        # Imported late: PyAV costs a fetch up to 55 MB, and no encoder fragments an mp4 unasked.
        from nersemble_async.formats.video.probe import probe_video  # noqa: PLC0415

        n_counted = probe_video(path).n_frames
    if n_frames is not None and n_counted != n_frames:
        raise DecodeError(
            str(path), f"the video has {n_counted} frames, metadata.json says {n_frames}"
        )


def _check_json(path: Path, place: PurePosixPath) -> None:
    with path.open("rb") as file:
        data = file.read(_MAX_JSON_BYTES + 1)
    if len(data) > _MAX_JSON_BYTES:
        raise DecodeError(str(path), "more bytes than any JSON file of the benchmark")
    try:
        if place.name == "camera_params.json":
            parse_camera_params(data, place.name)
            return
        task = _task_of(data, place)
        if task is None:
            raise DecodeError(str(path), "neither a metadata.json nor a camera_params.json")
        parse_metadata(task, data, place.name)
    except MetadataError as error:
        raise DecodeError(str(path), str(error)) from None


def _task_of(data: bytes, place: PurePosixPath) -> Task | None:
    """Whose metadata.json: the task that the path names, else what the keys tell."""
    for task in _TASK_BY_KEY.values():
        if place.parts[-2:-1] == (task,):
            return task
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{place.name}: not valid JSON: {error}") from None
    if not isinstance(content, dict):
        return None
    return next((task for key, task in _TASK_BY_KEY.items() if key in content), None)
