"""What a submission's videos tell together: the same one twice, cameras mixed up, mirrored ones.

Misfits are mean differences of levels between small pictures, or between a small picture and
points that a camera sees. A video that fits its camera at all fits it far better than another
one: the stand-in's left and right cameras differ by a factor of two to ten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.metadata import metadata_from_spec
from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.errors import DecodeError, MetadataError
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.metadata_source import find_metadata
from nersemble_async.submission.rules import breach
from nersemble_async.submission.validation.camera_matching import (
    Misfits,
    is_clearly_better,
    mixed_up,
)
from nersemble_async.submission.validation.camera_references import (
    Reference,
    pictures_misfit,
    sequence_reference,
    train_pictures,
)
from nersemble_async.submission.validation.identical_videos import identical_videos
from nersemble_async.submission.validation.video_checks import VideoFindings
from nersemble_async.submission.validation.video_content import RgbPicture

_FEWEST_OTHERS = 2
"""Other sequences of a person, for their cameras to tell how one looks."""
_OUTLIER = 2.0
"""A camera's video is unlike the person's others only if it differs so much more from them than
they do among themselves: 4 to 10 times on the stand-in, once where nothing tells cameras apart."""

_ALTERATIONS: Mapping[str, Callable[[RgbPicture], RgbPicture]] = MappingProxyType(
    {
        "mirrored": lambda picture: picture[:, ::-1],
        "upside down": lambda picture: picture[::-1],
        "turned by 180 degrees": lambda picture: picture[::-1, ::-1],
        "with red and blue swapped": lambda picture: picture[..., ::-1],
    }
)

_Videos = Mapping[str, tuple[str, VideoFindings]]
"""Of one sequence, by serial: the path in the zip, and what was found."""


@dataclass(frozen=True, slots=True)
class CameraFindings:
    """What the videos tell together."""

    issues: list[SubmissionIssue] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    """A sentence for each thing that nothing could be said of, and why."""


def compare_cameras(
    task: Task, findings: Mapping[str, VideoFindings], root: Path | None
) -> CameraFindings:
    """Videos that are the same, that seem to be another camera's, mirrored or off in colour.

    With a root each sequence is held against its pointcloud, else against the published cameras
    that stand near, else (as without a root) against the person's other sequences. Blocking.

    Args:
        task: which benchmark.
        findings: of the videos, by their path in the zip.
        root: of a fetched dataset, maybe incomplete; what it lacks is not checked. None: none.
    """
    result = CameraFindings(identical_videos(findings))
    told = {issue.entry for issue in result.issues}
    expected = expected_entries(task)
    sequences: dict[SequenceKey, dict[str, tuple[str, VideoFindings]]] = {}
    for path, video in findings.items():
        if path in expected and path not in told and video.samples:
            entry = expected[path]
            key = SequenceKey(entry.participant_id, entry.sequence_name)
            sequences.setdefault(key, {})[entry.serial] = (path, video)
    unknown = []
    for key, videos in sequences.items():
        by_others = _against_others(key, sequences)
        try:
            by_root = None if root is None else _against_root(task, root, key, videos)
        except (DecodeError, MetadataError, OSError, ValueError) as error:
            by_root = []
            result.not_checked.append(
                f"whether cameras of {key.participant_id} {key.sequence_name} are mixed up, as far "
                f"as the root would tell: {error}"
            )
        if by_root is None and by_others is None:
            unknown.append(key)
        # A root tells more certainly what is wrong with a video.
        issues = {issue.entry: issue for issue in (*(by_others or ()), *(by_root or ()))}
        result.issues.extend(issues.values())
    if unknown:
        why = (
            "there is no fetched data"
            if root is None
            else f"{root} holds nothing to compare them with"
        )
        result.not_checked.append(
            f"whether the cameras of {_sequences(len(unknown))} are mixed up: {why}"
        )
    return result


# ---- against a root -----------------------------------------------------------------------------


def _against_root(
    task: Task, root: Path, key: SequenceKey, videos: _Videos
) -> list[SubmissionIssue] | None:
    """Issues of one sequence; None where the root tells nothing of it."""
    spec = BENCHMARKS[task]
    frames = frozenset.intersection(
        *(frozenset(s.frame_index for s in video.samples) for _, video in videos.values())
    )
    metadata = find_metadata(task, root) or metadata_from_spec(task)
    reference = sequence_reference(root, spec, metadata, key, frames)
    if reference is not None:
        known = {serial: videos[serial] for serial in videos if serial in reference.serials}
        return _mixed_up_or_altered(known, reference)
    return _against_train_sequences(train_pictures(root, spec, key.participant_id), videos)


def _sequences(n: int) -> str:
    return "1 sequence" if n == 1 else f"{n} sequences"


def _against_train_sequences(
    pictures: Mapping[str, RgbPicture], videos: _Videos
) -> list[SubmissionIssue] | None:
    """What shows of cameras that are published and submitted too; None where there are none."""
    known = [serial for serial in pictures if serial in videos]
    issues = []
    source = "the train sequences"
    for serial in known:
        usual = {other: _usual_picture(video) for other, (_, video) in videos.items()}
        misfits = {o: pictures_misfit(usual[o], pictures[serial]) for o in usual}
        altered = {
            name: pictures_misfit(alter(usual[serial]), pictures[serial])
            for name, alter in _ALTERATIONS.items()
        }
        other = min(misfits, key=lambda o: misfits[o])
        name = min(altered, key=lambda n: altered[n])
        if is_clearly_better(min(misfits[other], altered[name]), misfits[serial]):
            if altered[name] < misfits[other]:
                issues.append(_altered(videos[serial][0], name, source))
            else:
                issues.append(_swapped(videos[other][0], serial, source))
    return issues if known else None


def _mixed_up_or_altered(videos: _Videos, reference: Reference) -> list[SubmissionIssue] | None:
    """None where the reference is out of the cameras' sight."""
    misfits: dict[str, dict[str, float]] = {
        serial: {camera: _misfit(video, reference, camera) for camera in videos}
        for serial, (_, video) in videos.items()
    }
    if not all(np.isfinite(value) for row in misfits.values() for value in row.values()):
        return None
    altered = {}
    for serial, (_, video) in videos.items():
        fits = {
            name: _misfit(video, reference, serial, alteration)
            for name, alteration in _ALTERATIONS.items()
        }
        name = min(fits, key=lambda known: fits[known])
        if is_clearly_better(fits[name], misfits[serial][serial]):
            altered[serial] = (name, fits[name])
    moved = mixed_up(misfits)
    issues = []
    for serial, (path, _) in videos.items():
        # A head is nearly symmetric: another camera's view may pass for a mirrored one. The
        # explanation that fits better is told.
        rearranged = misfits[serial][moved[serial]] if serial in moved else float("inf")
        if serial in altered and altered[serial][1] < rearranged:
            issues.append(_altered(path, altered[serial][0], reference.source))
        elif serial in moved:
            issues.append(_swapped(path, moved[serial], reference.source))
    return issues


def _misfit(
    video: VideoFindings,
    reference: Reference,
    serial: str,
    alteration: Callable[[RgbPicture], RgbPicture] | None = None,
) -> float:
    values = [
        reference.misfit(
            sample.frame_index,
            sample.picture if alteration is None else alteration(sample.picture),
            serial,
        )
        for sample in video.samples
        if sample.frame_index in reference.frame_indices
    ]
    return float(np.mean(values))


def _altered(path: str, how: str, source: str) -> SubmissionIssue:
    found = f"frames {how}, judged by {source}"
    return breach("altered-pictures", path, found, "frames as the camera sees them")


def _swapped(path: str, camera: str, source: str) -> SubmissionIssue:
    found = f"what camera {camera} sees, judged by {source}"
    return breach("swapped-cameras", path, found, "what its own camera sees")


# ---- against the person's other sequences -------------------------------------------------------


def _against_others(
    key: SequenceKey, sequences: Mapping[SequenceKey, _Videos]
) -> list[SubmissionIssue] | None:
    """Cameras that are mixed up in this sequence but not in the others of the same person.

    None where there are too few others.
    """
    videos = sequences[key]
    others = [
        of_other
        for other, of_other in sequences.items()
        if other.participant_id == key.participant_id and other != key
    ]
    usual: dict[str, RgbPicture] = {}
    agreement: dict[str, float] = {}
    for serial in videos:
        pictures = [
            _usual_picture(of_other[serial][1]) for of_other in others if serial in of_other
        ]
        if len(pictures) < _FEWEST_OTHERS:
            return None
        usual[serial] = np.rint(np.median(pictures, axis=0)).astype(np.uint8)
        misfits_of_others = [pictures_misfit(picture, usual[serial]) for picture in pictures]
        agreement[serial] = float(np.mean(misfits_of_others))
    misfits: Misfits = {
        serial: {
            camera: pictures_misfit(_usual_picture(video), picture)
            for camera, picture in usual.items()
        }
        for serial, (_, video) in videos.items()
    }
    moved = mixed_up(misfits)
    if any(misfits[serial][serial] < _OUTLIER * agreement[serial] for serial in moved):
        return []
    source = "the other sequences of this person"
    return [_swapped(videos[serial][0], camera, source) for serial, camera in moved.items()]


def _usual_picture(video: VideoFindings) -> RgbPicture:
    """The mean of a video's small pictures."""
    mean = np.mean([sample.picture for sample in video.samples], axis=0)
    picture: RgbPicture = np.rint(mean).astype(np.uint8)
    return picture
