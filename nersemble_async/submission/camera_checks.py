"""What a submission's videos tell together: the same one twice, and cameras that are mixed up."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np

from nersemble_async.benchmark.spec import Task
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import breach
from nersemble_async.submission.video_checks import VideoFindings

_SAME_LEVELS = 1.0
"""Mean difference of small pictures of one video that was encoded twice; other views make 10."""


def check_cameras(
    task: Task, findings: Mapping[str, VideoFindings], root: Path | None
) -> list[SubmissionIssue]:
    """Videos that are the same, and videos that seem to be another camera's.

    Args:
        task: which benchmark.
        findings: of the videos, by their path in the zip.
        root: a fetched root, to compare with; None: only the videos with each other.
    """
    return _identical_videos(findings)


def _identical_videos(findings: Mapping[str, VideoFindings]) -> list[SubmissionIssue]:
    """One issue for each video that an earlier one is the same as."""
    issues = []
    told: set[str] = set()
    for (path, video), (other_path, other) in combinations(findings.items(), 2):
        if other_path not in told and (video.digest == other.digest or _look_alike(video, other)):
            told.add(other_path)
            found = f"the same video as {path}"
            issues.append(breach("identical-videos", other_path, found, "a video of its own"))
    return issues


def _look_alike(video: VideoFindings, other: VideoFindings) -> bool:
    """Whether they show the same; never where they show nothing."""
    if video.n_frames != other.n_frames or not video.samples:
        return False
    pairs = list(zip(video.samples, other.samples, strict=False))
    return len(video.samples) == len(other.samples) and all(
        ours.frame_index == theirs.frame_index
        and np.abs(ours.picture.astype(np.int16) - theirs.picture).mean() <= _SAME_LEVELS
        and ours.picture.std() > _SAME_LEVELS
        for ours, theirs in pairs
    )
