"""A zoo of broken zips, each found by its rule; what is right passes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.issues import SubmissionReport
from nersemble_async.submission.rules import RULES
from nersemble_async.submission.validation.validate import validate_zip
from tests.support.broken_files import MESHES, VIDEOS
from tests.support.broken_zips import NAMES, BrokenZip, write_zip
from tests.support.submission_files import good_video, landmarks, metadata_of, npy, ply, small_head

ZOO = (*NAMES, *VIDEOS, *MESHES)
NEEDS_MORE = {
    "swapped-cameras",
    "altered-pictures",
    "altered-display",
    "extra-streams",
    "swapped-meshes",
}
"""Rules whose tests stand with their checks: they take rendered views, many people or a muxer."""


def validated(path: Path, task: Task) -> SubmissionReport:
    return validate_zip(path, task, metadata_of(task))


@pytest.mark.parametrize("broken", ZOO, ids=lambda broken: broken.name)
def test_each_broken_zip_is_found_by_its_rule(broken: BrokenZip, tmp_path: Path) -> None:
    report = validated(broken.write(tmp_path), broken.task)
    assert (broken.rule, broken.entry) in [(issue.rule, issue.entry) for issue in report.issues]
    assert all(issue.found and issue.expected and issue.fix for issue in report.issues)
    assert list(tmp_path.iterdir()) == [report.path]


def test_the_zoo_has_every_rule() -> None:
    assert {broken.rule for broken in ZOO} | NEEDS_MORE == set(RULES)
    assert [name for name, n in Counter(broken.name for broken in ZOO).items() if n > 1] == []


def complete(task: Task) -> list[tuple[str, bytes]]:
    spec = BENCHMARKS[task]
    if spec.submission_rate is None:
        files = {"ply": ply(*small_head()), "npy": npy(landmarks())}
        return [(path, files[entry.kind.value]) for path, entry in expected_entries(task).items()]
    return [
        (path, good_video(task, spec.submission_serials.index(entry.serial)))
        for path, entry in expected_entries(task).items()
    ]


@pytest.mark.parametrize("task", BENCHMARKS)
def test_a_complete_zip_is_valid(task: Task, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "out.zip", [("017/", b""), *complete(task)])
    report = validated(path, task)
    assert report.errors == ()
    # Participants share their videos here.
    assert {issue.rule for issue in report.warnings} <= {"identical-videos"}
    assert report.valid
    assert report.n_entries == len(expected_entries(task))
    assert not any("metadata.json" in sentence for sentence in report.not_checked)


def test_damaged_landmarks_are_not_called_missing_too(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "out.zip", complete("svfr"))
    name = next(path for path in expected_entries("svfr") if path.endswith("landmarks_posed.npy"))
    data = bytearray(path.read_bytes())
    data[data.index(name.encode()) + len(name) + 100] ^= 1
    path.write_bytes(data)
    (issue,) = validated(path, "svfr").issues
    assert (issue.rule, issue.entry) == ("crc-error", name)
