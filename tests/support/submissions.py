"""Small submissions for tests of readers: zips with the benchmark's names, small content."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.spec import Task
from nersemble_async.formats.mesh import write_mesh
from nersemble_async.submission.entries import expected_entries
from tests.support.videos import write_video
from tests.support.zips import make_zip, stored

N_FRAMES = 7
VIDEO = (388, "GLASSES", "222200037")
VIDEO_PATH = "388/GLASSES/cam_222200037.mp4"
IMAGE = (17, "EXP-3-cheeks+nose", 78, "222200045")
VERTICES = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
VERTICES[8] = VERTICES[0]
FACES = np.array([[0, 1, 2], [2, 3, 4], [5, 6, 8]])
LANDMARKS = np.arange(21, dtype=np.float64).reshape(7, 3)


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
