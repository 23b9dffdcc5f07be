"""Small submissions: few frames a video, cheap pictures, meshes of FLAME's topology."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.metadata import MonoFlameAvatarMetadata, NVSMetadata
from nersemble_async.benchmark.spec import BENCHMARKS, FileKind, Task
from nersemble_async.formats.mesh.mesh_file import write_mesh
from nersemble_async.submission.entries import ExpectedEntry, expected_entries
from tests.support.videos import write_video
from tests.support.zips import make_zip, stored

RgbImage = npt.NDArray[np.uint8]

N_FRAMES = 7
VIDEO = (388, "GLASSES", "222200037")
VIDEO_PATH = "388/GLASSES/cam_222200037.mp4"
IMAGE = (17, "EXP-3-cheeks+nose", 78, "222200045")
VERTICES = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
VERTICES[8] = VERTICES[0]
FACES = np.array([[0, 1, 2], [2, 3, 4], [5, 6, 8]])
LANDMARKS = np.arange(21, dtype=np.float64).reshape(7, 3)


@dataclass(frozen=True)
class Lengths:
    """Metadata in which every sequence of every task has as many frames."""

    n: int

    def timesteps(self, participant_id: int, sequence_name: str) -> Sequence[int]:  # noqa: ARG002
        return range(self.n)

    def n_frames(self, participant_id: int, sequence_name: str) -> int | None:  # noqa: ARG002
        return self.n


def metadata_json(task: Task, n_frames: int) -> str:
    """A metadata.json in which every submitted sequence has as many frames."""
    sequences = BENCHMARKS[task].submission_sequences
    if task == "nvs":
        nvs = {
            p: {"sequence_name": name, "timesteps": list(range(n_frames))}
            for p, (name,) in sequences.items()
        }
        return NVSMetadata.model_validate({"sequences": nvs}).model_dump_json()
    mono = {
        p: {"sequences_metadata": {name: {"n_frames": n_frames} for name in names}}
        for p, names in sequences.items()
    }
    return MonoFlameAvatarMetadata.model_validate({"participants_metadata": mono}).model_dump_json()


def write_metadata(path: Path, task: Task, n_frames: int) -> Path:
    """`metadata_json` into a file."""
    path.write_text(metadata_json(task, n_frames), "utf-8")
    return path


def picture(size: tuple[int, int], seed: int, frame_index: int = 0) -> RgbImage:
    """A disc of a colour of its own on white, which moves with the frames."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    draw = np.random.default_rng(seed)
    centre_x = width * draw.uniform(0.4, 0.6) + width * 0.02 * frame_index
    centre_y = height * draw.uniform(0.4, 0.6)
    radius = min(size) * draw.uniform(0.2, 0.3)
    inside = (x - centre_x) ** 2 + (y - centre_y) ** 2 < radius**2
    image = np.full((height, width, 3), 255, np.uint8)
    image[inside] = draw.integers(40, 200, 3)
    return image


def pictures(task: Task, entry: ExpectedEntry, n: int) -> Iterator[RgbImage]:
    """The frames of one video, each entry's different."""
    seed = list(expected_entries(task)).index(entry.path)
    return (picture(BENCHMARKS[task].frame_size, seed, index) for index in range(n))


def video_entries(task: Task) -> list[ExpectedEntry]:
    """Of all videos of a task."""
    return [e for e in expected_entries(task).values() if e.kind is FileKind.MP4]


def mesh_entries(subtask: str) -> list[ExpectedEntry]:
    """Of all meshes of one subtask."""
    entries = expected_entries("svfr").values()
    return [e for e in entries if e.kind is FileKind.PLY and e.subtask == subtask]


def head_mesh(seed: int = 0) -> Mapping[str, npt.NDArray[np.generic]]:
    """Vertices and faces of a head of FLAME's size and count: 5,023 vertices, 9,976 faces."""
    draw = np.random.default_rng(seed)
    directions = draw.normal(size=(5023, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    vertices = directions * np.array([0.08, 0.13, 0.1])
    indices = np.arange(5023)
    faces = np.stack([indices, np.roll(indices, 1), np.roll(indices, 2)], axis=1)
    more = np.stack([indices, np.roll(indices, 3), np.roll(indices, 5)], axis=1)
    return {"vertices": vertices, "faces": np.concatenate([faces, more])[:9976]}


def video_bytes(folder: Path, n_frames: int = N_FRAMES) -> bytes:
    """A small video of `moving_pattern`."""
    path = write_video(folder / f"{n_frames}.mp4", n_frames, gop=3)
    return path.read_bytes()


def mesh_bytes(folder: Path) -> bytes:
    """A mesh with an equal pair of vertices."""
    write_mesh(folder / "mesh.ply", VERTICES, FACES)
    return (folder / "mesh.ply").read_bytes()


def npy_bytes(array: npt.NDArray[np.generic]) -> bytes:
    """As np.save writes it; objects are pickled."""
    written = io.BytesIO()
    np.save(written, array, allow_pickle=True)
    return written.getvalue()


def write_submission(
    path: Path, task: Task, suffix: str, data: bytes, n: int | None = None
) -> Path:
    """A zip whose first n (or all) entries of a kind have the same content; returns ``path``."""
    names = [name for name in expected_entries(task) if name.endswith(suffix)]
    return stored(path, make_zip((name, data) for name in names[:n]))
