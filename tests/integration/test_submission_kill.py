"""kill -9 of a process that writes a submission: the old zip stays, what was closed stays too."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nersemble_async.submission.reading.video_readers import MonoFlameAvatarSubmissionDataReader
from tests.support.submission_child import (
    N_FRAMES,
    N_MESHES,
    N_VIDEOS,
    Children,
    Order,
    children,
)
from tests.support.submissions import mesh_entries, picture, video_entries

OLD = b"an old zip"


@pytest.fixture(scope="module")
def family() -> Iterator[Children]:
    with children() as started:
        yield started


class Submission:
    """A target, and what its writers said before they died."""

    def __init__(self, folder: Path, kind: str) -> None:
        folder.mkdir()
        self.target = folder / "target" / "a.zip"
        self.target.parent.mkdir()
        self.target.write_bytes(OLD)
        self._log = folder / "log"
        self._kind = kind

    def order(self, dies_at: int | None = None) -> Order:
        return Order(self._kind, str(self.target), str(self._log), dies_at)

    @property
    def is_finished(self) -> bool:
        return self.target.read_bytes() != OLD

    def look(self) -> None:
        """After a run, however it ended: nothing that was closed was asked for again."""
        known: set[str] = set()
        said = self._log.read_text().splitlines() if self._log.exists() else []
        for line in said:
            what, *paths = line.split(" ")
            if what == "begun":
                assert known <= set(paths), "closed, and lost"
            else:
                assert known.isdisjoint(paths), "it was there, and written again"
            known |= set(paths)
        if self.is_finished:
            check(self._kind, self.target)
        left = {path.name for path in self.target.parent.iterdir()}
        mine = {"partial", "partial.journal", "partial.journal.new", "partial.videos"}
        assert left <= {"a.zip", *(f"a.zip.{name}" for name in mine)}

    def complete(self, family: Children) -> bytes:
        """Let it be finished; the zip's bytes."""
        if not self.is_finished:
            family.start(self.order())
            assert family.wait() == 0
            self.look()
            assert [path.name for path in self.target.parent.iterdir()] == ["a.zip"]
        return self.target.read_bytes()


def check(kind: str, path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        names = file.namelist()
    if kind == "meshes":
        meshes = [entry.path for entry in mesh_entries("posed")[:N_MESHES]]
        assert [name for name in names if name.endswith("ply")] == meshes
        assert len(names) == 2 * N_MESHES
        return
    entries = video_entries("mono_flame_avatar")[:N_VIDEOS]
    assert sorted(names) == sorted(entry.path for entry in entries)
    with MonoFlameAvatarSubmissionDataReader(path) as reader:
        for number, e in enumerate(entries):
            frames = reader.load_video(e.participant_id, e.sequence_name, e.serial)
            assert len(frames) == N_FRAMES
            for index in (0, N_FRAMES - 1):
                right = picture((512, 512), number, index)
                assert abs(frames[index].astype(int) - right).mean() < 3


@pytest.mark.parametrize(("kind", "step", "at_least"), [("videos", 5, 8), ("meshes", 1, 10)])
def test_killed_before_every_call_about_a_file(
    tmp_path: Path, family: Children, kind: str, step: int, at_least: int
) -> None:
    """Opening, the journal, its folder, each copy, the directory, the rename, the end."""
    undisturbed = Submission(tmp_path / "undisturbed", kind)
    family.start(undisturbed.order())
    assert family.wait() == 0
    whole = undisturbed.complete(family)
    n_kills = n_finished = 0
    for dies_at in itertools.count(step=step):
        submission = Submission(tmp_path / f"{dies_at}", kind)
        family.start(submission.order(dies_at))
        ended = family.wait()
        submission.look()
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        n_kills += 1
        n_finished += submission.is_finished
        again = submission.complete(family)
        if kind == "meshes":
            assert again == whole
    assert n_kills >= at_least
    assert n_finished >= (step == 1), "killed between the rename and the end"


@pytest.mark.parametrize(("kind", "n_kills"), [("videos", 14), ("meshes", 16)])
def test_killed_at_any_instant(tmp_path: Path, family: Children, kind: str, n_kills: int) -> None:
    draw = random.Random(kind)
    undisturbed = Submission(tmp_path / "undisturbed", kind)
    begun = time.perf_counter()
    whole = undisturbed.complete(family)
    duration = time.perf_counter() - begun
    done = 0
    for number in itertools.count():
        submission = Submission(tmp_path / f"{number}", kind)
        while not submission.is_finished and done < n_kills:
            child = family.start(submission.order())
            # No synchronisation: the instant of death is drawn, and any will do.
            time.sleep(draw.uniform(0, duration))
            os.kill(child, signal.SIGKILL)
            done += family.wait() == -signal.SIGKILL
            submission.look()
        again = submission.complete(family)
        if kind == "meshes":
            assert again == whole
        if done >= n_kills:
            break
