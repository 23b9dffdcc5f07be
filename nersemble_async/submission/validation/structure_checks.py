"""Whether a zip's entries have the names that a benchmark asks for, each once. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nersemble_async.benchmark.spec import SUBTASKS, FileKind, Subtask, Task
from nersemble_async.submission.entries import (
    ExpectedEntry,
    expected_entries,
    missing_entries,
    submitted_subtasks,
)
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import RULES, breach
from nersemble_async.submission.validation.entry_names import (
    home_of,
    is_junk,
    resembling,
    same_but_for_digits,
    spelt_like,
    task_of,
    what_it_names,
    why_unsafe,
)
from nersemble_async.submission.zips.zip_entries import ZipEntry

_KIND_WORDS: Mapping[FileKind, str] = {
    FileKind.MP4: "a video",
    FileKind.PLY: "a mesh",
    FileKind.NPY: "landmarks",
}
_MOST_COMPARED = 1000
"""Names that are compared letter by letter with those that they may have been meant to be."""
_TAKE_OUT = "take it out of the zip"


@dataclass(frozen=True, slots=True)
class Structure:
    """What the names in a zip tell."""

    issues: tuple[SubmissionIssue, ...]
    present: Mapping[str, ZipEntry]
    """By path, in the benchmark's order: the expected entries that are there; of several of one
    name the last one, which is what Python's zipfile reads."""
    elsewhere: Mapping[str, ZipEntry]
    """By the path that they ought to have: entries that are not where they belong."""
    official: tuple[tuple[str, object], ...]
    """Key of the official validator's dictionary, and one thing that it lists there."""


def check_structure(task: Task, entries: Sequence[ZipEntry]) -> Structure:
    """Look at all names; every problem once, however it comes about."""
    expected = expected_entries(task)
    there = {entry.name: entry for entry in entries if not entry.is_folder}
    present = {path: there[path] for path in expected if path in there}
    judge = _Judge(task, present)
    judge.look_at_names({entry.name: entry for entry in entries})
    judge.look_for_missing()
    elsewhere = {path: there[name] for path, name in judge.claimed.items() if path not in present}
    counts = Counter(entry.name for entry in entries if not entry.is_folder)
    repeated = [
        breach("duplicate-entry", name, f"{count} entries of this name", "one")
        for name, count in counts.items()
        if count > 1
    ]
    names = [entry.name for entry in entries if not entry.is_folder]
    official = tuple(_official(task, names, present))
    return Structure((*repeated, *judge.issues), present, elsewhere, official)


class _Judge:
    """Judges one name after the other; knows which expected entries are elsewhere in the zip."""

    def __init__(self, task: Task, present: Collection[str]) -> None:
        self._task = task
        self._present = present
        self._compared = 0
        self.claimed: dict[str, str] = {}
        """By path: the name under which an expected entry is in the zip too, or only."""
        self.issues: list[SubmissionIssue] = []

    # ---- what is there --------------------------------------------------------------------------

    def look_at_names(self, entries: Mapping[str, ZipEntry]) -> None:
        """Names that no submission has, and landmarks without a mesh."""
        expected = expected_entries(self._task)
        for name, entry in entries.items():
            issue = None
            if name not in expected:
                issue = self._stray(name, is_folder=entry.is_folder)
            self.issues.extend([issue] if issue is not None else [])
        subtasks = submitted_subtasks(self._task, {*self._present, *self.claimed})
        for name in self._present:
            subtask = expected[name].subtask
            if expected[name].optional and subtask not in subtasks:
                self.issues.append(
                    breach(
                        "unexpected-entry",
                        name,
                        f"landmarks, but there is no {subtask} mesh at all",
                        f"mesh_{subtask}.ply beside them, for every image",
                        fix=f"add the {subtask} meshes, or take these landmarks out",
                    )
                )

    def _stray(self, name: str, *, is_folder: bool) -> SubmissionIssue | None:
        """What is wrong with a name that is not expected; None: a harmless folder."""
        unsafe = why_unsafe(name)
        if unsafe is not None:
            home = None if is_folder else self._claim(home_of(self._task, name), name)
            expected = home or "a relative path with forward slashes"
            fix = None if home is None else f"write it as {home}"
            return breach("unsafe-entry", name, unsafe, expected, fix=fix)
        if is_folder:
            return None
        return self._junk(name) or self._elsewhere(name) or self._unexpected(name)

    def _junk(self, name: str) -> SubmissionIssue | None:
        """A warning only where the official validator does not list what it does not know."""
        if not is_junk(name):
            return None
        found = "a file that the system or a tool left there"
        if not any(entry.subtask for entry in expected_entries(self._task).values()):
            return breach("leftover-entry", name, found, "nothing")
        fix = RULES["leftover-entry"].fix
        return breach("unexpected-entry", name, found, "nothing", fix=fix)

    def _elsewhere(self, name: str) -> SubmissionIssue | None:
        """An entry of a submission under another name than it has to have."""
        if home := self._claim(same_but_for_digits(self._task, name), name):
            return breach("wrong-padding", name, "a number with another count of digits", home)
        if home := self._claim(home_of(self._task, name), name):
            return self._misplaced(name, home)
        return None

    def _misplaced(self, name: str, home: str) -> SubmissionIssue:
        found = f"in the folder {name.rpartition('/')[0]}"
        if home in self._present:
            expected = f"{home}, which is there too"
            return breach("misplaced-entry", name, found, expected, fix=_TAKE_OUT)
        return breach("misplaced-entry", name, found, home)

    def _claim(self, home: ExpectedEntry | None, name: str) -> str | None:
        """Note that this entry is there, if in the wrong place."""
        if home is None:
            return None
        self.claimed.setdefault(home.path, name)
        return home.path

    def _unexpected(self, name: str) -> SubmissionIssue:
        other = task_of(name)
        if other is not None:
            fix = f"validate the zip as {other}, if that is what it is; else {_TAKE_OUT}"
            found = f"an entry of a submission to {other}"
            return breach("unexpected-entry", name, found, f"an entry of {self._task}", fix=fix)
        meant = self._meant(name)
        if meant is not None:
            found, fix = "a name that is spelt otherwise", f"did you mean {meant}? Rename it"
            return breach("unexpected-entry", name, found, meant, fix=fix)
        named = what_it_names(self._task, name)
        if named is not None:
            found, expected = named
            return breach("unexpected-entry", name, found, expected, fix=_TAKE_OUT)
        return breach("unexpected-entry", name, "a file that no submission has", "nothing")

    def _meant(self, name: str) -> str | None:
        """What it was meant to be, if that is missing."""
        alike = spelt_like(self._task, name)
        meant = None if alike is None else alike.path
        if meant is None and self._compared < _MOST_COMPARED:
            self._compared += 1
            meant = resembling(self._task, name)
        return None if meant in self._present else meant

    # ---- what is not ----------------------------------------------------------------------------

    def look_for_missing(self) -> None:
        """Expected entries that are neither there nor elsewhere in the zip."""
        subtasks = submitted_subtasks(self._task, self._present)
        expected = expected_entries(self._task)
        elsewhere = {
            path for path in self.claimed if not subtasks or expected[path].subtask in subtasks
        }
        there = {*self._present, *elsewhere}
        has_subtasks = any(entry.subtask for entry in expected.values())
        if has_subtasks and not submitted_subtasks(self._task, there):
            self.issues.append(
                breach("missing-subtask", None, "no mesh", f"meshes of {' or '.join(SUBTASKS)}")
            )
            return
        for entry in missing_entries(self._task, there):
            self.issues.append(breach("missing-entry", entry.path, *self._lacking(entry)))

    def _lacking(self, entry: ExpectedEntry) -> tuple[str, str]:
        """Found, expected."""
        alone = entry.landmarks in self._present
        return (f"only {entry.landmarks}" if alone else "nothing"), _KIND_WORDS[entry.kind]


def _official(
    task: Task, names: Sequence[str], present: Collection[str]
) -> Iterator[tuple[str, object]]:
    """What the official validator lists of names, in its order."""
    expected = expected_entries(task)
    meshes = [entry for entry in expected.values() if entry.subtask and not entry.optional]
    if not meshes:
        yield from (("missing_files", path) for path in expected if path not in present)
        return
    submitted = submitted_subtasks(task, present)
    for entry in meshes:
        if entry.subtask in submitted and entry.path not in present:
            yield f"missing_{entry.subtask}_meshes", entry.path
    yield from (
        ("unexpected_files", name) for name in _officially_unexpected(task, names, submitted)
    )
    if not submitted:
        yield from (("missing_svfr_tasks", subtask) for subtask in SUBTASKS)


def _officially_unexpected(
    task: Task, names: Sequence[str], submitted: Sequence[Subtask]
) -> Iterator[str]:
    """In the zip's order; where no mesh is there, a name is looked at for each subtask."""
    expected = expected_entries(task)
    if len(submitted) == len(SUBTASKS):
        looks: list[Collection[Subtask]] = [SUBTASKS]
    else:  # files of a subtask that is not submitted are unexpected too
        looks = [(subtask,) for subtask in submitted or SUBTASKS]
    for name in names:
        for subtasks in looks:
            if name not in expected or expected[name].subtask not in subtasks:
                yield name
