"""A file system that fills up under a writer, anywhere; what was closed stays, and it goes on."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import DiskFullError
from nersemble_async.submission.writing.mesh_writer import SVFRSubmissionDataWriter
from nersemble_async.submission.writing.video_writers import MonoFlameAvatarSubmissionDataWriter
from tests.support.small_disks import grow, require_mounting, run_in_namespace, small_disk
from tests.support.submissions import (
    FACES,
    VERTICES,
    Lengths,
    RgbImage,
    mesh_entries,
    picture,
    video_entries,
)

PAGE = 4096
N_FRAMES = 2


@pytest.fixture(scope="module")
def mounting(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Only tests that can mount go on; the others are skipped, in CI they fail."""
    require_mounting(tmp_path_factory.mktemp("mount"))


def test_all_of_this_in_a_namespace(tmp_path: Path) -> None:
    run_in_namespace(__file__, tmp_path / "mount")


def frame(number: int, index: int) -> RgbImage:
    image = picture((512, 512), number, index)
    image[:96] -= np.random.default_rng(0).integers(0, 50, (96, 512, 1), np.uint8)
    return image


def write_videos(target: Path, closed: set[str]) -> None:
    """Two at once, then two more."""
    entries = video_entries("mono_flame_avatar")[:4]
    with MonoFlameAvatarSubmissionDataWriter(
        target, metadata=Lengths(N_FRAMES), resume=True, allow_partial=True, threads=1
    ) as writer:
        assert closed <= writer.resumed
        left = [(n, e) for n, e in enumerate(entries) if e.path not in writer.resumed]
        for together in (left[:2], left[2:]):
            videos = [
                (n, writer.open_video(e.participant_id, e.sequence_name, e.serial))
                for n, e in together
            ]
            for index in range(N_FRAMES):
                for number, video in videos:
                    video.write(frame(number, index))
            for _, video in videos:
                video.close()
                closed.add(video.entry.path)


def write_meshes(target: Path, closed: set[str]) -> None:
    with SVFRSubmissionDataWriter(target, resume=True, allow_partial=True) as writer:
        assert closed <= writer.resumed
        for number, entry in enumerate(mesh_entries("posed")[:40]):
            assert entry.timestep is not None
            key = (entry.participant_id, entry.sequence_name, entry.timestep, entry.serial)
            vertices = VERTICES + number
            writer.add_posed_mesh(*key, (vertices, FACES), vertices[:7].astype(np.float64))
            closed.add(entry.path)


def fill(folder: Path, pages: int, write: Callable[[Path, set[str]], None]) -> str:
    """Write until it is full, make room, go on; where it was full."""
    with small_disk(folder, pages * PAGE):
        target, closed = folder / "a.zip", set[str]()
        target.write_bytes(b"old")
        stage = "never"
        try:
            write(target, closed)
        except DiskFullError as error:
            stage = f"{len(closed)} closed, {str(error).rpartition('/')[2]}"
            assert target.read_bytes() == b"old"
            left = {path.name for path in folder.iterdir()}
            assert left <= {"a.zip", "a.zip.partial", "a.zip.partial.journal"}
            grow(folder, 64 << 20)
            write(target, closed)
        assert [path.name for path in folder.iterdir()] == ["a.zip"]
        with zipfile.ZipFile(target) as file:
            assert file.testzip() is None
            assert closed <= set(file.namelist())
        return stage


@pytest.mark.usefixtures("mounting")
def test_videos(tmp_path: Path) -> None:
    stages = {
        pages: fill(tmp_path / f"{pages}", pages, write_videos)
        for pages in (1, 2, 3, 4, 5, 8, 12, 17, 22, 26, 27, 28, 33, 200)
    }
    assert stages[200] == "never"
    assert len(set(stages.values())) >= 6, stages


@pytest.mark.usefixtures("mounting")
def test_meshes(tmp_path: Path) -> None:
    stages = {pages: fill(tmp_path / f"{pages}", pages, write_meshes) for pages in range(1, 20)}
    assert len(set(stages.values())) >= 6, stages
