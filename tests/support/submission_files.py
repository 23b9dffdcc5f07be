"""Files of submissions as bytes, right ones and broken ones, each made once."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.metadata import TaskMetadata, parse_metadata
from nersemble_async.benchmark.spec import BENCHMARKS, Task
from tests.support.submissions import RgbImage, head_mesh, metadata_json, picture

N_FRAMES = 3
"""Of each video that is right."""

Points = npt.NDArray[np.floating]
Faces = npt.NDArray[np.integer]


def encode(
    images: Sequence[RgbImage],
    *,
    rate: Fraction,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container_options: Mapping[str, str] | None = None,
) -> bytes:
    """An mp4 of any sort."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video.mp4")
        options = dict(container_options or {})
        with av.open(str(path), "w", format="mp4", options=options) as container:
            quick = {"preset": "ultrafast", "crf": "14", "x265-params": "log-level=none"}
            stream: Any = container.add_stream(codec, rate=rate, options=quick)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = pixel_format
            for image in images:
                frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pixel_format)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path.read_bytes()


def rate_of(task: Task) -> Fraction:
    """Frames per second of a submitted video."""
    rate = BENCHMARKS[task].submission_rate
    assert rate is not None
    return rate


@cache
def good_video(task: Task, seed: int = 0, n_frames: int = N_FRAMES) -> bytes:
    """As the benchmark asks for; another seed shows something else."""
    size = BENCHMARKS[task].frame_size
    return encode([picture(size, seed, i) for i in range(n_frames)], rate=rate_of(task))


def metadata_of(task: Task, n_frames: int = N_FRAMES) -> TaskMetadata | None:
    """In which every sequence has as many frames; None where the task has none."""
    if not BENCHMARKS[task].has_metadata:
        return None
    return parse_metadata(task, metadata_json(task, n_frames).encode(), "metadata.json")


def plain_video(task: Task, image: RgbImage, n_frames: int = N_FRAMES) -> bytes:
    """One picture all along."""
    return encode([image] * n_frames, rate=rate_of(task))


def with_zeroed_frames(video: bytes) -> bytes:
    """The container is whole, what stands for the frames is not."""
    start = video.index(b"mdat") + 4
    end = video.index(b"moov") - 4
    assert start < end
    return video[:start] + bytes(end - start) + video[end:]


# ---- meshes -------------------------------------------------------------------------------------


def ply(vertices: Points, faces: Faces) -> bytes:
    """A binary PLY as trimesh writes it."""
    vertex = np.ascontiguousarray(vertices, "<f4")
    face = np.zeros(len(faces), [("n", "u1"), ("indices", "<i4", 3)])
    face["n"], face["indices"] = 3, faces
    return _ply_header("binary_little_endian", vertices, faces) + vertex.tobytes() + face.tobytes()


def ascii_ply(vertices: Points, faces: Faces) -> bytes:
    """The same in letters."""
    lines = [" ".join(f"{value:.6f}" for value in vertex) for vertex in vertices]
    lines += ["3 " + " ".join(map(str, face)) for face in faces]
    return _ply_header("ascii", vertices, faces) + "\n".join([*lines, ""]).encode()


def _ply_header(encoding: str, vertices: Points, faces: Faces) -> bytes:
    lines = ["ply", f"format {encoding} 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header"]
    return "\n".join([*lines, ""]).encode()


@cache
def head() -> tuple[Points, Faces]:
    """Vertices and faces of FLAME's count."""
    mesh = head_mesh()
    return mesh["vertices"].astype(np.float64), mesh["faces"].astype(np.int64)


@cache
def small_head() -> tuple[Points, Faces]:
    """A closed mesh of eight vertices, of a head's size: it needs landmarks."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float64)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    return (corners - 0.5) * [0.16, 0.25, 0.2], np.array(faces)


@cache
def landmarks() -> Points:
    """Seven points on `small_head`."""
    return small_head()[0][:7]


def npy(array: npt.NDArray[Any]) -> bytes:
    """As ``np.save`` writes it, pickled objects too."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
