"""The zip on its way beside a dictionary, through any sequence of additions, crashes and ends."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nersemble_async.errors import SubmissionError
from nersemble_async.submission.writing.archive import Archive

CONTENTS = {"task": "svfr"}
NAMES = st.sampled_from([f"{number:03d}/mesh.ply" for number in range(12)])
DATA = st.binary(max_size=300)


class ArchiveMachine(RuleBasedStateMachine):
    """What is added is there until it is thrown away, and the zip holds it at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp())
        self.lives = 0
        self.folder = self.base / "0"
        self.model: dict[str, bytes] = {}
        self.groups: list[list[str]] = []
        self.last: dict[str, bytes] | None = None
        self.archive = self.begin(resume=None)

    def begin(self, *, resume: bool | None) -> Archive:
        return Archive(self.folder / "a.zip", CONTENTS, resume=resume)

    def teardown(self) -> None:
        self.archive.keep()
        shutil.rmtree(self.base)

    @rule(name=NAMES, data=DATA, landmarks=st.none() | DATA)
    def add_bytes(self, name: str, data: bytes, landmarks: bytes | None) -> None:
        files = {name: data}
        if landmarks is not None:
            files[f"{name}.npy"] = landmarks
        if files.keys() & self.model.keys():
            with pytest.raises(SubmissionError, match="already"):
                self.archive.add_bytes(files)
            return
        self.archive.add_bytes(files)
        self.model |= files
        self.groups.append(list(files))

    @rule(name=NAMES, data=DATA)
    def add_file(self, name: str, data: bytes) -> None:
        self.archive.folder.mkdir(exist_ok=True)
        path = self.archive.folder / "some.mp4"
        path.write_bytes(data)
        if name in self.model:
            with pytest.raises(SubmissionError, match="already"):
                self.archive.add_file(name, path)
            return
        self.archive.add_file(name, path)
        self.model[name] = data
        self.groups.append([name])
        assert not path.exists()

    @rule()
    def keep_and_resume(self) -> None:
        self.archive.keep()
        if self.model:
            with pytest.raises(SubmissionError, match="resume=True"):
                self.begin(resume=None)
        self.archive = self.begin(resume=True)

    @rule()
    def throw_away(self) -> None:
        self.archive.keep()
        self.archive = self.begin(resume=False)
        self.model, self.groups = {}, []

    @rule(torn=st.binary(max_size=40), garbage=st.binary(max_size=200))
    def crash(self, torn: bytes, garbage: bytes) -> None:
        """Another entry was on its way: some of its bytes are there, its line is torn."""
        self.move()
        with (self.folder / "a.zip.partial").open("ab") as file:
            file.write(garbage)
        with (self.folder / "a.zip.partial.journal").open("ab") as file:
            file.write(torn.replace(b"\n", b""))
        self.archive = self.begin(resume=True)

    @precondition(lambda self: self.groups)
    @rule(draw=st.data())
    def lose(self, draw: st.DataObject) -> None:
        """The power fails: the zip's end is not on the disk, although its lines are."""
        self.move()
        partial = self.folder / "a.zip.partial"
        size = draw.draw(st.integers(0, partial.stat().st_size))
        with partial.open("r+b") as file:
            file.truncate(size)
        entries = dict(self.last_entries)
        self.groups = [g for g in self.groups if all(entries[name].end <= size for name in g)]
        self.model = {name: self.model[name] for group in self.groups for name in group}
        self.archive = self.begin(resume=True)

    def move(self) -> None:
        """To a copy of what a dead process would leave."""
        self.lives += 1
        copy = self.base / f"{self.lives}"
        shutil.copytree(self.folder, copy)
        self.last_entries = self.archive.entries
        self.archive.keep()
        shutil.rmtree(self.folder)
        self.folder = copy

    @rule()
    def finish_in_vain(self) -> None:
        def refuse(path: Path) -> None:
            self.compare(path, self.model)
            raise SubmissionError("refused")

        with pytest.raises(SubmissionError, match="refused"):
            self.archive.finish(refuse)
        self.archive = self.begin(resume=True)

    @rule()
    def finish(self) -> None:
        self.archive.finish()
        assert [path.name for path in self.folder.iterdir()] == ["a.zip"]
        self.last = self.model
        self.model, self.groups = {}, []
        self.archive = self.begin(resume=None)

    @invariant()
    def holds_what_was_added(self) -> None:
        assert self.archive.entries.keys() == self.model.keys()

    @invariant()
    def the_last_zip_stays(self) -> None:
        if self.last is None:
            assert not (self.folder / "a.zip").exists()
        else:
            self.compare(self.folder / "a.zip", self.last)

    def compare(self, path: Path, model: dict[str, bytes]) -> None:
        with zipfile.ZipFile(path) as file:
            assert {name: file.read(name) for name in file.namelist()} == model


TestArchive = ArchiveMachine.TestCase
TestArchive.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
