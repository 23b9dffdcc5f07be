"""What a measured script is told, and frames and meshes for it; in every tool's interpreter."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.load_scripts.job import RESULT_MARK, Outcome

N_VERTICES, N_FACES = 5023, 9976
"""FLAME's."""


@dataclass(frozen=True, slots=True)
class SubmitJob:
    """One piece of work."""

    work: str
    """The name of the script's function."""
    frames: list[str]
    """A file for each camera: ``.npy``, (T, H, W, 3) uint8 RGB."""
    n_frames: int
    """To write of each camera; more than a file holds: forth and back."""
    scratch: str
    """An empty folder."""
    zip_path: str
    """Where the zip is to be; for readers and validators, where it is."""
    options: dict[str, Any] = field(default_factory=dict)
    """What distinguishes a tool's settings."""


class StoredFrames:
    """Frames of one camera, each read into memory of its own when it is wanted.

    Not mapped: mapped pages would count as memory of whoever reads them.
    """

    def __init__(self, path: str) -> None:
        mapped = np.load(path, mmap_mode="r")
        self._path, self._shape, self._offset = path, mapped.shape, mapped.offset

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        """A frame; beyond the last one they go back, and forth again."""
        n_frames, *shape = self._shape
        period = max(1, 2 * (n_frames - 1))
        place = min(index % period, period - index % period)
        n_bytes = int(np.prod(shape))
        frame = np.fromfile(self._path, np.uint8, n_bytes, offset=self._offset + place * n_bytes)
        return frame.reshape(shape)


def meshes(n: int) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]]:
    """Vertices and faces of heads of FLAME's size and count, a little different each."""
    rng = np.random.default_rng(0)
    vertices = rng.normal(0, 1, (N_VERTICES, 3))
    vertices *= [0.07, 0.12, 0.09] / np.linalg.norm(vertices, axis=1, keepdims=True)
    indices = np.arange(N_VERTICES)
    strips = [np.stack([indices, np.roll(indices, s), np.roll(indices, 2 * s)], 1) for s in (1, 5)]
    faces = np.concatenate(strips)[:N_FACES]
    return [(vertices * (1 + 1e-3 * i), faces) for i in range(n)]


def answer(works: Mapping[str, Callable[[SubmitJob], Outcome]]) -> None:
    """Do the work named in the job file, the only argument, and print the outcome."""
    job = SubmitJob(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    outcome = works[job.work](job)
    print(f"\n{RESULT_MARK}{json.dumps(asdict(outcome))}")
