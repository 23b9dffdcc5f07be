"""What is fetched: seeded, valid pointcloud files in the official NVS layout.

A corpus is a selection that every tool can be given: the peers get its list of paths, ours gets
``nvs --assets pointclouds --pointcloud-frames all --participant 388`` and finds the same paths
through ``nvs/metadata.json``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PARTICIPANT_ID = 388
SEQUENCE_NAME = "GLASSES"
TASK = "nvs"

_POINT_BYTES = 28
"""Seven fields of four bytes: x y z normal_x normal_y normal_z rgb."""

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """How many files of about which size."""

    name: str
    file_count: int
    file_bytes: int
    """Wanted; a file holds whole points, so it is up to 28 bytes short of this."""


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One file: where it lies below the served root, and what it must be after a fetch."""

    path: str
    """``nvs/388/sequences/GLASSES/pointclouds/frame_00000.pcd``."""
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """A generated corpus on disk, served by nginx from `root`."""

    spec: CorpusSpec
    root: Path
    files: tuple[CorpusFile, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files, without metadata.json."""
        return sum(f.size_bytes for f in self.files)


def pointcloud_path(timestep: int) -> str:
    """The official path of a pointcloud, task first."""
    return (
        f"{TASK}/{PARTICIPANT_ID:03d}/sequences/{SEQUENCE_NAME}"
        f"/pointclouds/frame_{timestep:05d}.pcd"
    )


def pcd_header(points: int) -> bytes:
    """The header open3d writes for an unorganised binary cloud with normals and colours."""
    lines = (
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS x y z normal_x normal_y normal_z rgb",
        "SIZE 4 4 4 4 4 4 4",
        "TYPE F F F F F F U",
        "COUNT 1 1 1 1 1 1 1",
        f"WIDTH {points}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {points}",
        "DATA binary",
        "",
    )
    return "\n".join(lines).encode("ascii")


def points_within(file_bytes: int) -> int:
    """The most points whose file is no larger than ``file_bytes``.

    Raises:
        ValueError: not even one point fits.
    """
    points = file_bytes // _POINT_BYTES
    while points > 0 and len(pcd_header(points)) + points * _POINT_BYTES > file_bytes:
        points -= 1
    if points == 0:
        raise ValueError(f"{file_bytes} bytes hold no point")
    return points


def make_corpus(spec: CorpusSpec, root: Path) -> Corpus:
    """Write the corpus and its metadata.json below ``root``.

    The points are seeded noise, so that a block at a wrong offset, or from another file, changes
    the digest. Writing leaves the files in the page cache: nginx then reads no disk.
    """
    files = []
    for timestep in range(spec.file_count):
        path = pointcloud_path(timestep)
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        size_bytes, sha256 = _write_pointcloud(target, points_within(spec.file_bytes), timestep)
        files.append(CorpusFile(path, size_bytes, sha256))
    metadata = {
        "sequences": {
            str(PARTICIPANT_ID): {
                "sequence_name": SEQUENCE_NAME,
                "timesteps": list(range(spec.file_count)),
            }
        }
    }
    (root / TASK / "metadata.json").write_text(json.dumps(metadata), "utf-8")
    return Corpus(spec, root, tuple(files))


def wrong_files(corpus: Corpus, download_root: Path) -> list[str]:
    """Paths that are missing below ``download_root`` or differ from the corpus in one byte."""
    return [f.path for f in corpus.files if not _is_right(download_root / f.path, f)]


def _is_right(path: Path, expected: CorpusFile) -> bool:
    if not path.is_file() or path.stat().st_size != expected.size_bytes:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == expected.sha256


def _write_pointcloud(target: Path, points: int, seed: int) -> tuple[int, str]:
    """Write one file; returns its size in bytes and its sha-256."""
    noise = np.random.default_rng(seed)
    digest = hashlib.sha256()
    header = pcd_header(points)
    digest.update(header)
    left_bytes = points * _POINT_BYTES
    with target.open("wb") as file:
        file.write(header)
        while left_bytes > 0:
            block = noise.bytes(min(_BLOCK_BYTES, left_bytes))
            digest.update(block)
            file.write(block)
            left_bytes -= len(block)
    return len(header) + points * _POINT_BYTES, digest.hexdigest()
