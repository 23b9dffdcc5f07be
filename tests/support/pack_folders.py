"""Folders of predictions as people have them, for ``pack``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from nersemble_async.benchmark.spec import Task
from nersemble_async.formats.mesh.mesh_file import write_mesh
from nersemble_async.submission.entries import ExpectedEntry
from tests.support.submissions import RgbImage, head_mesh, mesh_entries, pictures, video_entries

N_FRAMES = 2
MONO: Task = "mono_flame_avatar"
MONO_ENTRIES = video_entries(MONO)


def frames_of(entry: ExpectedEntry, task: Task = MONO, n_frames: int = N_FRAMES) -> list[RgbImage]:
    """What is to be seen in a video."""
    return list(pictures(task, entry, n_frames))


def place_of(folder: Path, entry: ExpectedEntry) -> Path:
    """The folder of a video's pictures, which is made."""
    place = folder / entry.path.removesuffix(".mp4")
    place.mkdir(parents=True, exist_ok=True)
    return place


def write_pictures(folder: Path, entry: ExpectedEntry, images: Sequence[RgbImage]) -> Path:
    """PNGs 0.png, 1.png, …; returns their folder."""
    place = place_of(folder, entry)
    for index, image in enumerate(images):
        Image.fromarray(image).save(place / f"{index}.png", compress_level=1)
    return place


def write_source(folder: Path, entries: Sequence[ExpectedEntry], task: Task = MONO) -> Path:
    """Pictures of these videos; returns ``folder``."""
    folder.mkdir(exist_ok=True)
    for entry in entries:
        write_pictures(folder, entry, frames_of(entry, task))
    return folder


def write_lossless(
    path: Path,
    images: Sequence[RgbImage],
    codec: str = "ffv1",
    pixel_format: str = "bgr0",
    options: Mapping[str, str] | None = None,
) -> Path:
    """A video of any codec; returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(25), options=dict(options or {}))
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixel_format
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pixel_format)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_meshes(folder: Path, n: int | None = None) -> Path:
    """Posed meshes in folders named as the dataset's, numbers unpadded; returns ``folder``."""
    mesh = head_mesh()
    vertices, faces = mesh["vertices"].astype(np.float32), mesh["faces"].astype(np.int64)
    for entry in mesh_entries("posed")[:n]:
        name = f"{entry.sequence_name}_{entry.timestep}_{entry.serial}"
        place = folder / str(entry.participant_id) / name
        place.mkdir(parents=True, exist_ok=True)
        write_mesh(place / "mesh_posed.ply", vertices, faces)
    return folder
