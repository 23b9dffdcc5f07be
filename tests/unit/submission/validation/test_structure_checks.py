"""Names and places of entries: one helpful issue for each mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.benchmark.spec import TASKS, Task
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.issues import Severity, SubmissionIssue
from nersemble_async.submission.validation.structure_checks import check_structure
from nersemble_async.submission.zips.zip_entries import ZipEntry
from tests.support.broken_zips import POSED, SHORT_TIMESTEP, marks, neutral

NVS = tuple(expected_entries("nvs"))
MONO = tuple(expected_entries("mono_flame_avatar"))


def entries(*names: str) -> list[ZipEntry]:
    return [
        ZipEntry(name, 1, 1, 0, 0, is_stored=True, is_folder=name.endswith("/"), position=position)
        for position, name in enumerate(names)
    ]


def issues(task: Task, *names: str) -> list[SubmissionIssue]:
    return list(check_structure(task, entries(*names)).issues)


def rules(task: Task, *names: str) -> dict[str | None, str]:
    return {issue.entry: issue.rule for issue in issues(task, *names)}


@pytest.mark.parametrize("task", TASKS)
def test_every_expected_entry_may_be_there(task: Task) -> None:
    structure = check_structure(task, entries(*expected_entries(task)))
    assert structure.issues == ()
    assert structure.official == ()
    assert list(structure.present) == list(expected_entries(task))


def test_folders_of_their_own_do_no_harm() -> None:
    assert rules("nvs", "388/", "388/GLASSES/", "anything/", *NVS) == {}


@pytest.mark.parametrize("task", TASKS)
def test_a_folder_around_everything_is_told_once_for_each_entry(task: Task) -> None:
    names = [path for path, entry in expected_entries(task).items() if not entry.optional]
    found = issues(task, *(f"my submission/final/{name}" for name in names))
    assert {issue.rule for issue in found} == {"misplaced-entry"}
    assert sorted(issue.expected for issue in found) == sorted(names)


def test_what_lies_elsewhere_is_not_missing_too() -> None:
    moved = "nvs/" + NVS[0]
    assert rules("nvs", moved, *NVS[1:]) == {moved: "misplaced-entry"}


def test_what_lies_twice_in_two_places_is_to_be_taken_out() -> None:
    (issue,) = issues("nvs", *NVS, "nvs/" + NVS[0])
    assert issue.rule == "misplaced-entry"
    assert issue.expected == f"{NVS[0]}, which is there too"
    assert issue.fix == "take it out of the zip"


def test_a_sequence_that_only_one_participant_has_says_whose_it_is() -> None:
    (issue, *_) = issues("nvs", "475/GLASSES/cam_222200046.mp4", *NVS[1:])
    assert issue.expected == "388/GLASSES/cam_222200046.mp4"


def test_a_sequence_that_all_participants_have_does_not() -> None:
    found = rules("mono_flame_avatar", "999/FREE/cam_222200037.mp4", *MONO)
    assert found == {"999/FREE/cam_222200037.mp4": "unexpected-entry"}


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        ("388/GLASSES/cam_222200042.mp4", "train camera 222200042", "one of the cameras 222200046"),
        ("388/GLASSES/cam_1.mp4", "camera 1", "one of the cameras 222200046"),
        ("388/HAPPY/cam_222200046.mp4", "sequence HAPPY of participant 388", "the sequence GLASS"),
        ("001/FREE/cam_222200001.mp4", "participant 001", "one of the participants 388, 422"),
    ],
)
def test_a_name_that_is_well_formed_says_what_does_not_exist(
    name: str, found: str, expected: str
) -> None:
    (issue,) = issues("nvs", name, *NVS)
    assert (issue.rule, issue.found) == ("unexpected-entry", found)
    assert issue.expected.startswith(expected)


def test_a_zip_of_another_task_is_told_whose_it_is() -> None:
    found = issues("nvs", *POSED)
    strays = [issue for issue in found if issue.rule == "unexpected-entry"]
    assert {issue.found for issue in strays} == {"an entry of a submission to svfr"}
    assert len(strays) == len(POSED)


def test_an_image_that_is_not_of_the_benchmark() -> None:
    name = "017/EXP-1-head_999_222200045/mesh_posed.ply"
    (issue,) = issues("svfr", name, *POSED)
    assert issue.expected == "one of the benchmark's images"


@pytest.mark.parametrize(
    "name",
    [
        "388/glasses/cam_222200046.mp4",
        "388/GLASSES/CAM_222200046.MP4",
        "388/GLASSES/cam-222200046.mp4",
        "388/GLASSES/cam 222200046.mp4",
        "388/GLASSES/cam_222200046.mp",
        "388/GLASES/cam_222200046.mp4",
    ],
)
def test_a_near_miss_is_asked_about(name: str) -> None:
    found = {issue.entry: issue for issue in issues("nvs", name, *NVS[1:])}
    assert found[name].fix == f"did you mean {NVS[0]}? Rename it"
    assert found[NVS[0]].rule == "missing-entry"


def test_the_datasets_way_of_writing_timesteps_is_told_once_an_entry() -> None:
    unpadded = {f"{p.split('_0')[0]}_{p.split('_0')[1]}": p for p in POSED if "_0" in p}
    assert len(unpadded) > 100
    padded = [path for path in POSED if path not in unpadded.values()]
    found = issues("svfr", *padded, *unpadded)
    assert {issue.rule for issue in found} == {"wrong-padding"}
    assert {issue.entry: issue.expected for issue in found} == unpadded


def test_too_many_digits_are_wrong_padding_too() -> None:
    name = SHORT_TIMESTEP.replace("_078_", "_00078_")
    assert rules("svfr", name, *(p for p in POSED if p != SHORT_TIMESTEP)) == {
        name: "wrong-padding"
    }


def test_landmarks_are_no_problem_beside_their_mesh() -> None:
    assert rules("svfr", *POSED, *map(marks, POSED)) == {}


def test_landmarks_of_a_mesh_that_is_missing_are_told_with_it() -> None:
    (issue,) = issues("svfr", *POSED[1:], marks(POSED[0]))
    assert (issue.rule, issue.entry) == ("missing-entry", POSED[0])
    assert issue.found == f"only {marks(POSED[0])}"


def test_landmarks_of_a_subtask_without_meshes_are_unexpected() -> None:
    (issue,) = issues("svfr", *POSED, marks(neutral(POSED[0])))
    assert (issue.rule, issue.entry) == ("unexpected-entry", marks(neutral(POSED[0])))


def test_one_mesh_of_a_second_subtask_asks_for_all_of_them() -> None:
    found = issues("svfr", *POSED, neutral(POSED[0]))
    assert [issue.entry for issue in found] == [neutral(path) for path in POSED[1:]]


def test_of_two_entries_of_a_name_the_last_is_what_is_looked_at() -> None:
    twice = [*entries(*NVS), *entries(NVS[0])]
    structure = check_structure("nvs", twice)
    assert [issue.rule for issue in structure.issues] == ["duplicate-entry"]
    assert structure.present[NVS[0]] is twice[-1]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("../x.mp4", "upwards"),
        ("a/../../x", "upwards"),
        ("a\\..\\x", "upwards"),
        ("..", "upwards"),
        ("/root/x", "absolute"),
        ("\\\\host\\x", "absolute"),
        ("C:\\x", "drive"),
        ("c:x", "drive"),
        ("a\\b", "backslashes"),
        ("a\0.mp4", "NUL"),
    ],
)
def test_unsafe_names_say_why(name: str, found: str) -> None:
    (issue,) = issues("nvs", name, *NVS)
    assert issue.rule == "unsafe-entry"
    assert found in issue.found


@pytest.mark.parametrize("name", ["a/..b", "a../b", "...", "388/a:b", "C"])
def test_names_that_only_look_unsafe_are_just_unexpected(name: str) -> None:
    assert rules("nvs", name, *NVS) == {name: "unexpected-entry"}


def test_a_zip_that_windows_wrote_with_backslashes_is_told_how_to_mend_it() -> None:
    names = [name.replace("/", "\\") for name in NVS]
    found = issues("nvs", *names)
    assert {issue.rule for issue in found} == {"unsafe-entry"}
    assert [issue.fix for issue in found] == [f"write it as {name}" for name in NVS]


@pytest.mark.parametrize(
    "name", ["__MACOSX/388/._GLASSES", ".DS_Store", "388/.DS_Store", "Thumbs.db", "388/desktop.ini"]
)
def test_what_systems_leave_behind_comes_with_a_command(name: str) -> None:
    for found in (issues("nvs", name), issues("svfr", name)):
        issue = next(issue for issue in found if issue.entry == name)
        assert issue.fix.startswith("zip -d")
    assert rules("nvs", name, *NVS) == {name: "leftover-entry"}
    assert rules("svfr", name, *POSED) == {name: "unexpected-entry"}


def test_a_zip_of_videos_that_finder_made_is_valid() -> None:
    found = issues("nvs", *NVS, "__MACOSX/", "__MACOSX/388/._GLASSES", "388/.DS_Store")
    assert {issue.severity for issue in found} == {Severity.WARNING}


PIECES = st.sampled_from(["388", "017", "GLASSES", "cam_222200046.mp4", "..", "", "0" * 5000, "ä"])
NAMES = st.text(max_size=40) | st.lists(PIECES, min_size=1, max_size=8).map("/".join)


@given(task=st.sampled_from(TASKS), names=st.lists(NAMES, max_size=6))
def test_any_names_are_judged(task: Task, names: list[str]) -> None:
    structure = check_structure(task, entries(*names))
    expected = expected_entries(task)
    told = {issue.entry for issue in structure.issues}
    files = [name for name in names if not name.endswith("/")]
    assert {name for name in files if name not in expected} <= told
    assert all(issue.found and issue.expected and issue.fix for issue in structure.issues)
