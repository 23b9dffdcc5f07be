"""Videos of a submission that are the same, byte by byte or to the eye. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import breach
from nersemble_async.submission.validation.camera_references import pictures_misfit
from nersemble_async.submission.validation.video_checks import VideoFindings

_SAME_LEVELS = 1.0
"""Mean difference of small pictures of one video that was encoded twice; other views make 10."""
_PLAIN_LEVELS = 6
"""From the darkest to the brightest value of a picture of one colour."""


def identical_videos(findings: Mapping[str, VideoFindings]) -> list[SubmissionIssue]:
    """One issue for each video that an earlier one is the same as."""
    issues = []
    told: set[str] = set()
    for (path, video), (other_path, other) in combinations(findings.items(), 2):
        if other_path in told or _shows_nothing(video):
            continue
        if video.digest == other.digest or _look_alike(video, other):
            told.add(other_path)
            found = f"the same video as {path}"
            issues.append(breach("identical-videos", other_path, found, "a video of its own"))
    return issues


def _shows_nothing(video: VideoFindings) -> bool:
    """Black, or of one colour: that is told already, and all such videos are alike."""
    pictures = [sample.picture for sample in video.samples]
    return bool(pictures) and all(np.ptp(p, axis=(0, 1)).max() <= _PLAIN_LEVELS for p in pictures)


def _look_alike(video: VideoFindings, other: VideoFindings) -> bool:
    """Whether they show the same at the same frames."""
    ours, theirs = video.samples, other.samples
    if not ours or video.n_frames != other.n_frames or len(ours) != len(theirs):
        return False
    return all(
        mine.frame_index == its.frame_index
        and pictures_misfit(mine.picture, its.picture) <= _SAME_LEVELS
        for mine, its in zip(ours, theirs, strict=True)
    )
