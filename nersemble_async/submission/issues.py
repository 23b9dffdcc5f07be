"""What can be wrong with a submission, as data: an issue, and the report of all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from nersemble_async.benchmark.spec import Task

OFFICIAL_KEYS: tuple[str, ...] = (
    "missing_files",
    "wrong_frame_counts",
    "wrong_resolutions",
    "missing_posed_meshes",
    "empty_posed_meshes",
    "missing_posed_landmarks",
    "wrong_posed_landmarks",
    "missing_neutral_meshes",
    "empty_neutral_meshes",
    "missing_neutral_landmarks",
    "wrong_neutral_landmarks",
    "unexpected_files",
    "missing_svfr_tasks",
)
"""Of the official validator's dictionary, in its order."""


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """The server would refuse the submission, or score it wrongly."""
    WARNING = "warning"
    """It would be scored as it stands, but it looks like a mistake."""


@dataclass(frozen=True, slots=True)
class SubmissionIssue:
    """One problem of a submission."""

    rule: str
    """Stable id, such as ``missing-entry``; `nersemble_async.submission.rules` lists them all."""
    severity: Severity
    entry: str | None
    """The path inside the zip; None: the zip as a whole."""
    found: str
    expected: str
    fix: str
    """What to do about it."""
    official: tuple[str, object] | None = field(default=None, compare=False, repr=False)
    """Key of the official validator's dictionary, and what it would list there."""


@dataclass(frozen=True, slots=True)
class SubmissionReport:
    """Everything that was found to be wrong with a submission."""

    path: Path
    task: Task
    issues: tuple[SubmissionIssue, ...]
    """In the order of the benchmark's entries; the zip as a whole first."""
    n_entries: int
    """Files in the zip."""
    deep: bool
    """Whether every frame of every video was decoded."""
    not_checked: tuple[str, ...] = ()
    """What could not be looked at, and why: a sentence each."""
    official: tuple[tuple[str, object], ...] = field(default=(), compare=False, repr=False)
    """What the official validator would list of names, beside the issues' own `official`: it tells
    of one misnamed entry twice, as missing and as unexpected."""

    @property
    def errors(self) -> tuple[SubmissionIssue, ...]:
        """Issues for which the server would refuse or mis-score the submission."""
        return tuple(issue for issue in self.issues if issue.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[SubmissionIssue, ...]:
        """Issues that look like mistakes."""
        return tuple(issue for issue in self.issues if issue.severity is Severity.WARNING)

    @property
    def valid(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def official_report(self) -> dict[str, list[object]]:
        """What ``validate_submission()`` of the official toolkit (0.2.0) returns for the same zip.

        Only keys under which it lists something. Where it would crash instead (a damaged entry, a
        broken mesh), it holds what it would list of all others; the issues tell of that one.

        ::

            missing_files                 path
            wrong_frame_counts            (path, frames by the file's header, frames expected)
            wrong_resolutions             (path, (width, height), (width, height) expected)
            missing_/empty_{subtask}_meshes, missing_{subtask}_landmarks     path
            wrong_{subtask}_landmarks     (path, shape)
            unexpected_files              path, in the zip's order; SVFR only
            missing_svfr_tasks            "posed", "neutral"
        """
        listed: dict[str, list[object]] = {key: [] for key in OFFICIAL_KEYS}
        of_issues = [issue.official for issue in self.issues if issue.official is not None]
        for key, value in (*self.official, *of_issues):
            listed[key].append(value)
        return {key: values for key, values in listed.items() if values}
