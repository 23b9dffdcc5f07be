"""What one validation stands on, and what it has found so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import Task
from nersemble_async.submission.entries import ExpectedEntry, expected_entries
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import breach
from nersemble_async.submission.validation.structure_checks import Structure
from nersemble_async.submission.zips.zip_entries import EntryError, SubmissionZip, ZipEntry

OnProgress = Callable[[int, int], None]
"""Called with entries looked at and entries in all; what it raises ends the validation."""


@dataclass(slots=True)
class ValidationRun:
    """One validation of an open zip."""

    submission: SubmissionZip
    task: Task
    structure: Structure
    metadata: TaskMetadata | None
    root: Path | None
    deep: bool
    on_progress: OnProgress | None
    issues: list[SubmissionIssue] = field(default_factory=list)
    """In the order in which they were found."""
    not_checked: list[str] = field(default_factory=list)
    n_done: int = 0
    places: Mapping[str, ZipEntry] = field(init=False)
    """By the path that they have or ought to have: what is looked into. What is misplaced is too,
    so that whoever mends that does not find the next problem then."""
    n_units: int = field(init=False)

    def __post_init__(self) -> None:
        self.places = {**self.structure.present, **self.structure.elsewhere}
        self.n_units = sum(1 for _ in self.units())

    def units(self) -> Iterator[ExpectedEntry]:
        """What is looked at one by one: videos, meshes with their landmarks, landmarks alone."""
        there = [e for path, e in expected_entries(self.task).items() if path in self.places]
        with_mesh = {entry.landmarks for entry in there}
        yield from (entry for entry in there if entry.path not in with_mesh)

    def add(self, entry: ExpectedEntry, issues: Iterable[SubmissionIssue]) -> None:
        """What was found in an entry; the official validator does not look where it lies."""
        if entry.path in self.structure.elsewhere:
            issues = (replace(issue, official=None) for issue in issues)
        self.issues += issues

    @contextmanager
    def going_on_without(self, what: str) -> Iterator[None]:
        """A check of all entries together that fails of something is told as not done."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- is told, whatever it is
            self.not_checked.append(f"{what}: it failed ({type(error).__name__}: {error})")

    def beat(self, more: int = 0) -> None:
        """So many more are done; tells it, and ends all where whoever is told says so."""
        self.n_done += more
        if self.on_progress is not None:
            self.on_progress(self.n_done, self.n_units)

    def n_frames(self, entry: ExpectedEntry) -> int | None:
        """Of the video; None where it is not known."""
        if self.metadata is None:
            return None
        return self.metadata.n_frames(entry.participant_id, entry.sequence_name)


def issue_of_entry(error: EntryError, path: str) -> SubmissionIssue:
    """Bytes that cannot be had."""
    return breach(error.rule, path, error.found, error.expected)


def issue_of_fault(rule: str, path: str, error: Exception) -> SubmissionIssue:
    """A check that failed of something that nobody thought of says so; it is not swallowed."""
    found = f"something that cannot be checked ({type(error).__name__}: {error})"
    return breach(rule, path, found, "an entry like those that the writers make")
