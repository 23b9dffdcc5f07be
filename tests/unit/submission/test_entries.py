"""What a submission has to hold."""

from __future__ import annotations

import pytest

from nersemble_async.benchmark.spec import BENCHMARKS, TASKS, FileKind, Task
from nersemble_async.errors import SelectionError
from nersemble_async.submission.entries import (
    expected_entries,
    missing_entries,
    submitted_subtasks,
    video_entry,
)


@pytest.mark.parametrize(("task", "n"), [("nvs", 15), ("mono_flame_avatar", 80), ("svfr", 4 * 391)])
def test_how_many_entries_there_are(task: Task, n: int) -> None:
    assert len(expected_entries(task)) == n


def test_svfr_pads_the_timestep() -> None:
    meshes = [e for e in expected_entries("svfr").values() if e.kind is FileKind.PLY]
    padded = [e for e in meshes if e.timestep is not None and e.timestep < 100]
    assert len(padded) == 2 * 116
    assert all(f"_{e.timestep:03d}_" in e.path for e in padded)


@pytest.mark.parametrize("task", TASKS)
def test_a_complete_submission_lacks_nothing(task: Task) -> None:
    needed = [e.path for e in expected_entries(task).values() if not e.optional]
    assert missing_entries(task, needed) == []
    assert [e.path for e in missing_entries(task, needed[1:])] == needed[:1]


def test_either_subtask_will_do() -> None:
    posed = [e.path for e in expected_entries("svfr").values() if e.path.endswith("mesh_posed.ply")]
    assert submitted_subtasks("svfr", posed[:1]) == ("posed",)
    assert missing_entries("svfr", posed) == []
    assert {e.subtask for e in missing_entries("svfr", posed[:1])} == {"posed"}
    assert {e.subtask for e in missing_entries("svfr", [])} == {"posed", "neutral"}
    assert submitted_subtasks("nvs", []) == ()


def test_landmarks_alone_are_no_subtask() -> None:
    marks = [e.path for e in expected_entries("svfr").values() if e.kind is FileKind.NPY]
    assert submitted_subtasks("svfr", marks) == ()


@pytest.mark.parametrize(
    ("participant", "serial", "told"),
    [
        (388, 222200046, r"has serial 222200046; .*222200039 \(str, not int\)$"),
        ("388", "222200046", r"has participant '388'; .*475 \(int, not str\)$"),
        (388, "222200042", r"222200039$"),
    ],
)
def test_a_number_for_a_string_is_told_as_that(participant: int, serial: str, told: str) -> None:
    with pytest.raises(SelectionError, match=told):
        video_entry(BENCHMARKS["nvs"], participant, "GLASSES", serial)
