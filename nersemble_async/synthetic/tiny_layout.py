"""The benchmark's full-size layout with tiny contents: every path, all timesteps, valid files.

For whatever works on many files: no head is drawn, but each file passes the content check, has
the documented number of frames, and differs from all others.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import (
    BENCHMARKS,
    TASKS,
    Asset,
    BenchmarkSpec,
    FileKind,
    Scope,
    Task,
)
from nersemble_async.formats.cameras import save_camera_calibration
from nersemble_async.formats.image.picture import write_png
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud, write_pointcloud
from nersemble_async.formats.video.encoder import VideoEncoder
from nersemble_async.synthetic.metadata_files import metadata_content
from nersemble_async.synthetic.people import seeded
from nersemble_async.synthetic.rig import VIEW_WIDTH_METRES, calibration_of, rig_cameras
from nersemble_async.synthetic.scale import documented_lengths

_VIDEO_SIZE = (16, 16)
_N_POINTS = 4


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file that the server holds."""

    path: str
    """Relative to the root, task first."""
    kind: FileKind
    n_frames: int | None
    """Of the sequence that it belongs to; None where it belongs to none."""


def published_files(task: Task) -> Iterator[PublishedFile]:
    """Every file of a task, optional assets included, at documented lengths."""
    spec = BENCHMARKS[task]
    if spec.metadata_path is not None:
        yield PublishedFile(spec.metadata_path, FileKind.JSON, None)
    for asset in spec.assets:
        if asset.scope is Scope.PER_PERSON:
            for participant_id in spec.participants:
                yield PublishedFile(spec.path(asset.key, participant_id), asset.kind, None)
        for key, n_frames in documented_lengths(task).items():
            for path in _sequence_paths(spec, asset, key, n_frames):
                yield PublishedFile(path, asset.kind, n_frames)
        if asset.scope is Scope.PER_IMAGE:
            for participant_id, keys in spec.image_keys.items():
                for image in keys:
                    path = spec.path(
                        asset.key, participant_id, image.sequence_name, image.serial, image.timestep
                    )
                    yield PublishedFile(path, asset.kind, None)


def write_tiny_layout(root: Path, *, tasks: Collection[Task] = TASKS) -> list[PublishedFile]:
    """Write every file of ``tasks`` below ``root`` and return the list of them.

    Videos are 16 × 16 pixels of grey, pointclouds have four points.
    """
    files = [file for task in tasks for file in published_files(task)]
    with TemporaryDirectory() as folder:
        writer = _TinyWriter(Path(folder))
        for file in files:
            path = root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            writer.write(path, file)
    return files


def _sequence_paths(
    spec: BenchmarkSpec, asset: Asset, key: SequenceKey, n_frames: int
) -> Iterator[str]:
    participant_id, name = key.participant_id, key.sequence_name
    if not asset.in_test_sequences and name not in spec.train_sequences[participant_id]:
        return
    if asset.scope is Scope.PER_SEQUENCE:
        yield spec.path(asset.key, participant_id, name)
    elif asset.scope is Scope.PER_CAM:
        for serial in spec.train_serials:
            yield spec.path(asset.key, participant_id, name, serial)
    elif asset.scope is Scope.PER_TIMESTEP:
        for timestep in range(n_frames):
            yield spec.path(asset.key, participant_id, name, timestep=timestep)


class _TinyWriter:
    """Writes one file after another; a video of each length is encoded once."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch / "video.mp4"
        self._videos: dict[int, bytes] = {}

    def write(self, path: Path, file: PublishedFile) -> None:
        rng = seeded(0, file.path)
        if file.kind is FileKind.MP4:
            # A free box is no part of the video: it makes the file unlike all others.
            name = file.path.encode()
            box = (8 + len(name)).to_bytes(4, "big") + b"free" + name
            path.write_bytes(self._video(file.n_frames or 1) + box)
        elif file.kind is FileKind.PCD:
            points, normals = rng.normal(size=(2, _N_POINTS, 3)).astype(np.float32)
            levels = rng.integers(0, 256, (_N_POINTS, 3)).astype(np.float32)
            write_pointcloud(path, Pointcloud(points, levels / np.float32(255), normals))
        elif file.kind is FileKind.NPZ:
            frames = np.arange(file.n_frames or 1)
            np.savez(path, shape=rng.normal(size=(1, 300)).astype(np.float32), frames=frames)
        elif file.kind is FileKind.PNG:
            write_png(path, rng.integers(0, 256, (4, 4, 3), np.uint8))
        else:
            self._write_json(path, file, rng)

    def _video(self, n_frames: int) -> bytes:
        if n_frames not in self._videos:
            width, height = _VIDEO_SIZE
            image = np.full((height, width, 3), 128, np.uint8)
            with VideoEncoder(
                self._scratch, _VIDEO_SIZE, Fraction(73), preset="ultrafast", reproducible=True
            ) as encoder:
                for _ in range(n_frames):
                    encoder.write(image)
            self._videos[n_frames] = self._scratch.read_bytes()
        return self._videos[n_frames]

    def _write_json(self, path: Path, file: PublishedFile, rng: np.random.Generator) -> None:
        task = next(task for task in TASKS if file.path.startswith(f"{task}/"))
        if file.path == BENCHMARKS[task].metadata_path:
            content = metadata_content(task, documented_lengths(task))
            path.write_text(json.dumps(content), "utf-8")
        else:
            size = BENCHMARKS[task].frame_size
            cameras = rig_cameras(size, VIEW_WIDTH_METRES[task], rng)
            save_camera_calibration(path, calibration_of(cameras))
