"""Whole zips of our writers for the official reader and validator; our quality beside theirs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.submission.reading.blocking_readers import (
    MonoFlameAvatarSubmissionDataReader,
    NVSSubmissionDataReader,
    SVFRSubmissionDataReader,
)
from nersemble_async.submission.writing.mesh_writer import SVFRSubmissionDataWriter
from nersemble_async.submission.writing.video_writers import (
    MonoFlameAvatarSubmissionDataWriter,
    NVSSubmissionDataWriter,
)
from tests.support.official import official_python, run_official
from tests.support.submission_files import landmarks, small_head
from tests.support.submissions import (
    Lengths,
    RgbImage,
    head_mesh,
    mesh_entries,
    metadata_json,
    pictures,
    video_entries,
)

N_FRAMES = 2
WRITERS = {"nvs": NVSSubmissionDataWriter, "mono_flame_avatar": MonoFlameAvatarSubmissionDataWriter}
READERS = {"nvs": NVSSubmissionDataReader, "mono_flame_avatar": MonoFlameAvatarSubmissionDataReader}

READ = """
import hashlib, io
import numpy as np
from nersemble_benchmark.data import submission_data as official
from nersemble_benchmark.util import metadata

# The metadata would be fetched by its URL.
metadata.urlopen = lambda url: io.StringIO(argument["metadata"])
metadata.NERSEMBLE_BENCHMARK_URL_NVS = metadata.NERSEMBLE_BENCHMARK_URL_MONO_FLAME_AVATAR = "url"

def digest(array):
    array = np.ascontiguousarray(array)
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
"""
READ_VIDEOS = f"""{READ}
reader = getattr(official, argument["reader"])(argument["path"])
overview = reader.get_file_overview()
result = {{
    "issues": reader.validate_submission(),
    "overview": {{p: dict(sequences) for p, sequences in overview.items()}},
    "complete": [reader.is_complete(*each) for each in argument["parts"]],
    "frames": [[digest(frame) for frame in reader.load_video(*key)] for key in argument["keys"]],
}}
"""
READ_MESHES = f"""{READ}
reader = official.SVFRSubmissionDataReader(argument["path"])
meshes = [reader.load_posed_mesh(*key) for key in argument["keys"]]
meshes += [reader.load_neutral_mesh(*key) for key in argument["keys"]]
result = {{
    "issues": reader.validate_submission(),
    "has": [reader.has_posed_reconstructions(), reader.has_neutral_reconstructions()],
    "meshes": [[digest(mesh.vertices), digest(mesh.faces)] for mesh in meshes],
    "landmarks": [digest(reader.load_neutral_landmarks(*key)) for key in argument["keys"]],
}}
"""


def digest(array: npt.ArrayLike) -> list[Any]:
    array = np.ascontiguousarray(array)
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def grainy(frames: Iterator[RgbImage]) -> Iterator[RgbImage]:
    """Of a real video's size: imageio's guess at what a file is fails for many of a few kB."""
    draw = np.random.default_rng(0)
    for frame in frames:
        frame[:64] -= draw.integers(0, 50, (64, frame.shape[1], 1), np.uint8)
        yield frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    official_python()
    return tmp_path_factory.mktemp("zips")


@pytest.mark.timeout(300)  # the official validator takes 0.4 s a video
@pytest.mark.parametrize("task", ["nvs", "mono_flame_avatar"])
def test_videos(folder: Path, task: Task) -> None:
    path = folder / f"{task}.zip"
    entries = video_entries(task)
    keys = [(e.participant_id, e.sequence_name, e.serial) for e in entries]
    with WRITERS[task](path, metadata=Lengths(N_FRAMES)) as writer:
        for key, entry in zip(keys, entries, strict=True):
            writer.add_video(*key, grainy(pictures(task, entry, N_FRAMES)))
    assert writer.report is not None
    sequences = BENCHMARKS[task].submission_sequences
    per_sequence: list[tuple[Any, ...]] = [(p, n) for p, names in sequences.items() for n in names]
    parts = (
        per_sequence
        if READERS[task] is NVSSubmissionDataReader
        else [(), *((p,) for p in sequences)]
    )
    theirs = run_official(
        READ_VIDEOS,
        {
            "metadata": metadata_json(task, N_FRAMES),
            "reader": READERS[task].__name__,
            "path": str(path),
            "keys": keys[::4],
            "parts": parts,
        },
        timeout_seconds=250,
    )
    assert theirs["issues"] == writer.report.official_report() == {}
    assert theirs["complete"] == [True] * len(parts)
    with READERS[task](path) as reader:
        overview = {str(p): names for p, names in reader.get_file_overview().items()}
        assert theirs["overview"] == overview
        for key, frames in zip(keys[::4], theirs["frames"], strict=True):
            assert len(frames) == N_FRAMES
            assert [digest(frame) for frame in reader.load_video(*key)] == frames
    look_with_other_tools(path, len(entries))


def test_meshes(folder: Path) -> None:
    path = folder / "svfr.zip"
    keys = list(mesh_keys())
    with SVFRSubmissionDataWriter(path) as writer:
        for number, key in enumerate(keys):
            head = head_mesh(number)
            writer.add_posed_mesh(*key, (head["vertices"], head["faces"]))
            vertices, faces = small_head()
            moved = vertices + number / 1000
            writer.add_neutral_mesh(*key, (moved, faces), landmarks() + number / 1000)
    assert writer.report is not None
    theirs = run_official(READ_MESHES, {"metadata": "", "path": str(path), "keys": keys})
    assert theirs["issues"] == writer.report.official_report() == {}
    assert theirs["has"] == [True, True]
    with SVFRSubmissionDataReader(path) as reader:
        meshes = [reader.load_posed_mesh(*key) for key in keys]
        meshes += [reader.load_neutral_mesh(*key) for key in keys]
        assert theirs["meshes"] == [[digest(mesh.vertices), digest(mesh.faces)] for mesh in meshes]
        marks = [digest(reader.load_neutral_landmarks(*key)) for key in keys]
    assert theirs["landmarks"] == marks
    assert {digested[1][0] for digested, _ in theirs["meshes"][: len(keys)]} == {5023}
    look_with_other_tools(path, 3 * len(keys))


def mesh_keys() -> Iterator[tuple[int, str, int, str]]:
    for entry in mesh_entries("posed"):
        assert entry.timestep is not None
        yield entry.participant_id, entry.sequence_name, entry.timestep, entry.serial


def look_with_other_tools(path: Path, n_entries: int) -> None:
    for command in ([sys.executable, "-m", "zipfile", "-t"], ["unzip", "-tqq"]):
        done = subprocess.run([*command, str(path)], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
    listed = subprocess.run(["unzip", "-Z1", str(path)], check=True, capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) == n_entries


# ---- quality -------------------------------------------------------------------------------------

WRITE = """
import numpy as np
from nersemble_benchmark.data.submission_data import MonoFlameAvatarSubmissionDataWriter

with MonoFlameAvatarSubmissionDataWriter(argument["path"]) as writer:
    writer.add_video(393, "FREE", "222200037", list(np.load(argument["frames"])))
result = None
"""


def clip(n_frames: int) -> npt.NDArray[np.uint8]:
    """A textured head that turns before white: smooth shading, hair-like detail, grain."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    grain = draw.normal(0, 2, (512, 512))
    images = []
    for index in range(n_frames):
        u = x - 0.01 * index
        inside = (u / 0.55) ** 2 + (y / 0.75) ** 2 < 1
        shade = 0.6 + 0.35 * np.sqrt(np.clip(1 - (u / 0.55) ** 2 - (y / 0.75) ** 2, 0, 1))
        strands = 12 * np.sin(140 * u + 30 * np.sin(5 * y)) * (y < -0.2)
        colours = [np.roll(210 * shade + strands + grain, index, 1) * c for c in (1.0, 0.78, 0.66)]
        image = np.where(inside[..., None], np.stack(colours, 2), 255)
        images.append(np.clip(image, 0, 255).round().astype(np.uint8))
    return np.stack(images)


def psnr(first: RgbImage, second: RgbImage) -> float:
    error = np.mean((first.astype(np.float64) - second) ** 2)
    return float(10 * np.log10(255**2 / error))


def ssim(first: RgbImage, second: RgbImage) -> float:
    """Of the luma, over windows of 8 x 8, as its authors' constants have it."""
    a, b = (
        (image @ np.array([0.299, 0.587, 0.114])).reshape(64, 8, 64, 8) for image in (first, second)
    )
    over = (1, 3)
    mean_a, mean_b = a.mean(over), b.mean(over)
    var_a, var_b = a.var(over), b.var(over)
    both = (a * b).mean(over) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float(np.mean(value / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))))


def test_quality_and_size_beside_the_official_writer(folder: Path) -> None:
    frames = clip(24)
    np.save(folder / "frames.npy", frames)
    theirs, ours = folder / "theirs.zip", folder / "ours.zip"
    run_official(WRITE, {"path": str(theirs), "frames": str(folder / "frames.npy")})
    with MonoFlameAvatarSubmissionDataWriter(
        ours, metadata=Lengths(len(frames)), allow_partial=True
    ) as writer:
        writer.add_video(393, "FREE", "222200037", frames)
    figures = []
    for path in (ours, theirs):
        # As the official reader decodes it: see `test_videos`.
        with MonoFlameAvatarSubmissionDataReader(path) as reader:
            decoded = reader.load_video(393, "FREE", "222200037")
        pairs = list(zip(frames, decoded, strict=True))
        mean_psnr = np.mean([psnr(*pair) for pair in pairs])
        mean_ssim = np.mean([ssim(*pair) for pair in pairs])
        figures.append((mean_psnr, mean_ssim, path.stat().st_size))
    (our_psnr, our_ssim, our_bytes), (their_psnr, their_ssim, their_bytes) = figures
    assert their_psnr > 35
    assert our_psnr >= their_psnr - 0.02, figures
    assert our_ssim >= their_ssim - 0.0005, figures
    assert our_bytes == pytest.approx(their_bytes, rel=0.05), figures
