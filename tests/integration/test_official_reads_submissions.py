"""Zips of the official writers, through the official readers and ours: the same, to the bit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.submission.reading import readers
from nersemble_async.submission.reading.blocking_readers import (
    MonoFlameAvatarSubmissionDataReader,
    NVSSubmissionDataReader,
    SVFRSubmissionDataReader,
)
from tests.support.official import official_python, run_official
from tests.support.stand_in import tiny_stand_in

WRITE_AND_READ = """
import hashlib, json
import numpy as np, trimesh
from nersemble_benchmark.data import submission_data as official
from nersemble_benchmark.util.metadata import MonoFLAMEAvatarMetadata, NVSMetadata

def digest(array):
    array = np.ascontiguousarray(array)
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]

def load(task, model):
    return lambda: model.from_json(json.load(open(f"{argument['root']}/{task}/metadata.json")))
NVSMetadata.load = load("nvs", NVSMetadata)
MonoFLAMEAvatarMetadata.load = load("mono_flame_avatar", MonoFLAMEAvatarMetadata)

folder, rng = argument["folder"], np.random.default_rng(0)
def picture(width, height, n):
    y, x = np.mgrid[:height, :width]
    waves = [128 + 99 * np.sin(x / 40 + n), 128 + 99 * np.cos(y / 30), (x + y + n) % 256]
    return np.stack(waves, 2).astype(np.uint8)

def write_videos(writer, keys, width, height, n_frames):
    with writer:
        for key in keys:
            writer.add_video(*key, [picture(width, height, n) for n in range(n_frames)])

def read_videos(reader, keys, complete):
    videos = {}
    for key in keys:
        videos["/".join(map(str, key))] = {
            "all": [digest(f) for f in reader.load_video(*key)],
            "every 2": [digest(f) for f in reader.load_video(*key, every_nth_frame=2)],
            "one": [digest(f) for f in reader.load_video(*key, timestep=1)],
            "half": [digest(f) for f in reader.load_video(*key, timestep=1, scale=0.5)],
        }
    return {
        "overview": {p: dict(s) for p, s in reader.get_file_overview().items()},
        "videos": videos,
        "expected": reader.list_expected_files(),
        "lengths": reader.list_expected_video_lengths(),
        "resolution": reader.get_expected_resolution(),
        "complete": [reader.is_complete(*arguments) for arguments in complete],
        "issues": reader.validate_submission(),
    }

result = {}
write_videos(
    official.NVSSubmissionDataWriter(f"{folder}/nvs.zip"), argument["nvs"], 1100, 1604, 2
)
result["nvs"] = read_videos(
    official.NVSSubmissionDataReader(f"{folder}/nvs.zip"), argument["nvs"][:1],
    argument["nvs_complete"],
)
write_videos(
    official.MonoFlameAvatarSubmissionDataWriter(f"{folder}/mono.zip"), argument["mono"],
    512, 512, 4,
)
result["mono"] = read_videos(
    official.MonoFlameAvatarSubmissionDataReader(f"{folder}/mono.zip"), argument["mono"],
    argument["mono_complete"],
)

meshes = {}
with official.SVFRSubmissionDataWriter(f"{folder}/svfr.zip") as writer:
    for key in argument["svfr"]:
        vertices = rng.normal(size=(40, 3)).astype(np.float32)
        mesh = trimesh.Trimesh(vertices, rng.permutation(40)[:39].reshape(13, 3), process=False)
        landmarks = rng.normal(size=(7, 3))
        writer.add_posed_mesh(*key, mesh, now_landmarks=landmarks)
reader = official.SVFRSubmissionDataReader(f"{folder}/svfr.zip")
for key in argument["svfr"]:
    mesh = reader.load_posed_mesh(*key)
    meshes["/".join(map(str, key))] = [
        digest(np.asarray(mesh.vertices)), digest(np.asarray(mesh.faces)),
        digest(reader.load_posed_landmarks(*key)),
    ]
result["svfr"] = {
    "meshes": meshes,
    "has": [reader.has_posed_reconstructions(), reader.has_neutral_reconstructions()],
    "issues": reader.validate_submission(),
}
"""

_SERIALS = BENCHMARKS["nvs"].submission_serials
_MONO = BENCHMARKS["mono_flame_avatar"]
_SEQUENCE = _MONO.submission_sequences[393][0]
NVS = [(388, "GLASSES", serial) for serial in _SERIALS]
NVS_COMPLETE = [(388, "GLASSES"), (388, "FREE"), (422, "EXP-2-eyes"), (1, "")]
MONO = [(393, _SEQUENCE, serial) for serial in _MONO.submission_serials[:2]]
MONO_COMPLETE = [(), (393,), (404,), (5,)]
SVFR = [(17, *(k.sequence_name, k.timestep, k.serial)) for k in BENCHMARKS["svfr"].image_keys[17]]


def digest(array: npt.NDArray[Any]) -> list[Any]:
    array = np.ascontiguousarray(array)
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the zips that the official writers wrote."""
    return tmp_path_factory.mktemp("official")


@pytest.fixture(scope="module")
def official(folder: Path) -> Any:
    """What the official readers give for them."""
    official_python()  # skips before anything is rendered
    return run_official(
        WRITE_AND_READ,
        {
            "root": str(tiny_stand_in()),
            "folder": str(folder),
            "nvs": NVS,
            "nvs_complete": NVS_COMPLETE,
            "mono": MONO,
            "mono_complete": MONO_COMPLETE,
            "svfr": SVFR[:3],
        },
    )


def read_videos(
    reader: NVSSubmissionDataReader | MonoFlameAvatarSubmissionDataReader,
    keys: list[tuple[int, str, str]],
    complete: list[Any],
) -> Any:
    read = {
        "overview": reader.get_file_overview(),
        "videos": {
            "/".join(map(str, key)): {
                "all": [digest(f) for f in reader.iterate_video(*key)],
                "every 2": [digest(f) for f in reader.load_video(*key, every_nth_frame=2)],
                "one": [digest(f) for f in reader.load_video(*key, timestep=1)],
                "half": [digest(f) for f in reader.load_video(*key, timestep=1, scale=0.5)],
            }
            for key in keys
        },
        "expected": reader.list_expected_files(),
        "lengths": reader.list_expected_video_lengths(),
        "resolution": reader.get_expected_resolution(),
        "complete": [reader.is_complete(*arguments) for arguments in complete],
        "issues": reader.validate_submission(),
    }
    return json.loads(json.dumps(read))


def test_nvs_videos_are_read_as_the_official_reader_reads_them(official: Any, folder: Path) -> None:
    path, root = folder / "nvs.zip", tiny_stand_in()
    with NVSSubmissionDataReader(path, benchmark_folder=root) as reader:
        read = read_videos(reader, NVS[:1], NVS_COMPLETE)
    assert read == official["nvs"]
    assert read["complete"] == [True, False, False, False]
    assert len(read["issues"]["missing_files"]) == 12
    assert len(read["videos"]["/".join(map(str, NVS[0]))]["all"]) == 2


def test_mono_videos_are_read_as_the_official_reader_reads_them(
    official: Any, folder: Path
) -> None:
    metadata = tiny_stand_in() / "mono_flame_avatar" / "metadata.json"
    with MonoFlameAvatarSubmissionDataReader(folder / "mono.zip", metadata=metadata) as reader:
        assert read_videos(reader, MONO, MONO_COMPLETE) == official["mono"]


def test_meshes_are_read_as_the_official_reader_reads_them(official: Any, folder: Path) -> None:
    """Meshes without equal or unused vertices: those, the official reader drops."""
    meshes = {}
    with SVFRSubmissionDataReader(folder / "svfr.zip") as reader:
        for key in SVFR[:3]:
            mesh = reader.load_posed_mesh(*key)
            meshes["/".join(map(str, key))] = [
                digest(mesh.vertices),
                digest(mesh.faces),
                digest(reader.load_posed_landmarks(*key)),
            ]
        has = [reader.has_posed_reconstructions(), reader.has_neutral_reconstructions()]
        issues = json.loads(json.dumps(reader.validate_submission()))
    assert {"meshes": meshes, "has": has, "issues": issues} == official["svfr"]


@pytest.mark.asyncio
async def test_the_awaited_readers_give_the_same(official: Any, folder: Path) -> None:
    root = tiny_stand_in()
    async with readers.NVSSubmissionDataReader(folder / "nvs.zip", benchmark_folder=root) as reader:
        async with reader.open_video(*NVS[0]) as frames:
            digests = [digest(frame) async for frame in frames]
        assert digests == official["nvs"]["videos"]["/".join(map(str, NVS[0]))]["all"]
        issues = json.loads(json.dumps(await reader.validate_submission()))
        assert issues == official["nvs"]["issues"]
    async with readers.SVFRSubmissionDataReader(folder / "svfr.zip") as svfr:
        mesh = await svfr.load_posed_mesh(*SVFR[0])
        expected = official["svfr"]["meshes"]["/".join(map(str, SVFR[0]))]
        assert [digest(mesh.vertices), digest(mesh.faces)] == expected[:2]
