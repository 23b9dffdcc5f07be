"""Checks of one small video, in one call."""

from __future__ import annotations

from pathlib import Path

from nersemble_async.submission.entries import ExpectedEntry, expected_entries
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import RULES
from nersemble_async.submission.validation.video_checks import VideoFindings, check_video
from tests.support.head_videos import SMALL_SPEC

ENTRY: ExpectedEntry = next(iter(expected_entries("nvs").values()))


def check(path: Path, n_frames: int | None = 8, *, deep: bool = False) -> VideoFindings:
    return check_video(path, ENTRY, SMALL_SPEC, n_frames, deep=deep)


def issues_of(path: Path, n_frames: int | None = 8, *, deep: bool = False) -> list[str]:
    return [issue.rule for issue in check(path, n_frames, deep=deep).issues]


def only_issue(path: Path, n_frames: int | None = 8, *, deep: bool = False) -> SubmissionIssue:
    (issue,) = check(path, n_frames, deep=deep).issues
    assert issue.entry == ENTRY.path
    assert issue.severity is RULES[issue.rule].severity
    return issue
