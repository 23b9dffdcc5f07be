"""Small deterministic corpora in the official layout, whose content passes the content check."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nersemble_async.benchmark.spec import FileKind
from nersemble_async.fetch.plan import METADATA_ASSET, FetchPlan, PlannedFile

PARTICIPANT_ID = 388
SEQUENCE_NAME = "GLASSES"
POINT_BYTES = 28
STATE_FOLDER = ".nersemble_async"

_PCD_HEADER = """\
# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z normal_x normal_y normal_z rgb
SIZE 4 4 4 4 4 4 4
TYPE F F F F F F U
COUNT 1 1 1 1 1 1 1
WIDTH {points}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {points}
DATA binary
"""


def pointcloud_bytes(size_bytes: int, seed: int) -> bytes:
    """A binary PCD in open3d's form of about ``size_bytes`` (never more); the data is noise."""
    points = max(1, (size_bytes - len(_PCD_HEADER) - 16) // POINT_BYTES)
    data = random.Random(seed).randbytes(points * POINT_BYTES)
    return _PCD_HEADER.format(points=points).encode() + data


def planned_pointcloud(timestep: int) -> PlannedFile:
    """The plan's entry for one pointcloud of participant 388."""
    return PlannedFile(
        path=f"nvs/{PARTICIPANT_ID:03d}/sequences/{SEQUENCE_NAME}/pointclouds/frame_{timestep:05d}.pcd",
        task="nvs",
        asset="pointclouds",
        kind=FileKind.PCD,
        participant_id=PARTICIPANT_ID,
        sequence_name=SEQUENCE_NAME,
        timestep=timestep,
    )


@dataclass(frozen=True, slots=True)
class Corpus:
    """Planned files and what their bytes are."""

    plan: FetchPlan
    bodies: Mapping[str, bytes]

    @property
    def total_bytes(self) -> int:
        return sum(map(len, self.bodies.values()))

    @property
    def paths(self) -> list[str]:
        return [file.path for file in self.plan]

    def write(self, root: Path) -> Path:
        """Put the files below ``root``, dated in the past: their dates are strong validators."""
        for path, body in self.bodies.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
            os.utime(target, (1_700_000_000, 1_700_000_000))
        return root


def pointclouds(sizes_bytes: Iterable[int], seed: int = 0) -> Corpus:
    """One pointcloud of about each size, timesteps from 0 on."""
    bodies = {
        planned_pointcloud(timestep).path: pointcloud_bytes(size_bytes, seed * 10_000 + timestep)
        for timestep, size_bytes in enumerate(sizes_bytes)
    }
    plan = FetchPlan(tuple(planned_pointcloud(timestep) for timestep in range(len(bodies))))
    return Corpus(plan, bodies)


def with_metadata(corpus: Corpus) -> Corpus:
    """The pointclouds with the metadata.json that lists them, for runs of the command line."""
    timesteps = [file.timestep for file in corpus.plan]
    entry = {"sequence_name": SEQUENCE_NAME, "timesteps": timesteps}
    body = json.dumps({"sequences": {str(PARTICIPANT_ID): entry}}).encode()
    file = PlannedFile("nvs/metadata.json", "nvs", METADATA_ASSET, FileKind.JSON)
    return Corpus(FetchPlan((file, *corpus.plan)), {file.path: body, **corpus.bodies})


FETCH_POINTCLOUDS = (
    *("fetch", "nvs", "--participant", str(PARTICIPANT_ID)),
    *("--assets", "pointclouds", "--pointcloud-frames", "all"),
)
"""The command that fetches a corpus of `with_metadata`."""


def visible_files(root: Path) -> dict[str, str]:
    """sha-256 of every file below ``root`` outside of the state folder, by relative path."""
    found = {}
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        if path.is_file() and relative.parts[0] != STATE_FOLDER:
            found[relative.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def digests(bodies: Mapping[str, bytes]) -> dict[str, str]:
    """sha-256 of each body."""
    return {path: hashlib.sha256(body).hexdigest() for path, body in bodies.items()}


def assert_fetched(root: Path, corpus: Corpus) -> None:
    """All files of the corpus, right to the byte, and nothing else stand below ``root``."""
    assert visible_files(root) == digests(corpus.bodies)


def state_files(root: Path, folder: str) -> list[str]:
    """Names in ``parts`` or ``quarantine`` of the state folder, sorted."""
    place = root / STATE_FOLDER / folder
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []
