"""The run around the checks: progress, its end, faults, and what no metadata leaves open."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from nersemble_async.errors import DiskFullError
from nersemble_async.submission.validation import mesh_validation, video_validation
from nersemble_async.submission.validation.validate import validate_zip
from tests.support.broken_zips import MONO, POSED, marks, write_zip
from tests.support.submission_files import (
    good_video,
    head,
    landmarks,
    metadata_of,
    npy,
    ply,
    small_head,
)

MONO_METADATA = metadata_of("mono_flame_avatar")


class SeenEnoughError(Exception):
    """What somebody raises who has seen enough."""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def two_videos(tmp_path: Path, *n_frames: int) -> Path:
    contents = [
        (path, good_video("mono_flame_avatar", seed, n))
        for seed, (path, n) in enumerate(zip(MONO, n_frames, strict=True))
    ]
    return write_zip(tmp_path / "out.zip", contents)


def test_progress_counts_what_is_looked_at(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = two_videos(tmp_path, 3, 3)
    validate_zip(
        path,
        "mono_flame_avatar",
        MONO_METADATA,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)
    assert told == sorted(told)


def test_meshes_count_with_their_landmarks(tmp_path: Path) -> None:
    told: list[int] = []
    names = {POSED[0]: ply(*small_head()), marks(POSED[0]): npy(landmarks())}
    names |= {POSED[1]: ply(*head()), marks(POSED[2]): npy(landmarks())}
    path = write_zip(tmp_path / "out.zip", list(names.items()))
    validate_zip(path, "svfr", None, on_progress=lambda done, _: told.append(done))
    assert told == [0, 1, 2, 3]


def test_whoever_is_told_can_end_it_and_no_file_stays(tmp_path: Path, temporary: Path) -> None:
    seen: list[list[Path]] = []

    def stop(done: int, total: int) -> None:
        del done, total
        if list(temporary.rglob("*.mp4")):
            seen.append(list(temporary.iterdir()))
            raise SeenEnoughError

    long_video = good_video("mono_flame_avatar", 0, 40)
    path = write_zip(tmp_path / "out.zip", [(name, long_video) for name in MONO] * 4)
    while not seen:  # until a video was there while progress was told
        try:
            validate_zip(path, "mono_flame_avatar", None, deep=True, on_progress=stop)
        except SeenEnoughError:
            continue
    assert list(temporary.iterdir()) == []


def test_lengths_are_compared_with_one_another_where_nobody_says_them(tmp_path: Path) -> None:
    report = validate_zip(two_videos(tmp_path, 2, 3), "mono_flame_avatar", None)
    (wrong,) = [issue for issue in report.issues if issue.rule == "wrong-frame-count"]
    assert (wrong.entry, wrong.found) == (MONO[0], "2 frames")
    assert wrong.expected == "3 frames, as other cameras have of this sequence"
    assert report.not_checked[0].startswith("how many frames 2 of the videos need")


def test_equal_lengths_are_no_issue_but_not_checked_either(tmp_path: Path) -> None:
    report = validate_zip(two_videos(tmp_path, 2, 2), "mono_flame_avatar", None)
    assert {issue.rule for issue in report.issues} == {"missing-entry"}
    assert report.not_checked[0].startswith("how many frames 2 of the videos need")


def test_issues_stand_in_the_benchmarks_order(tmp_path: Path) -> None:
    contents = [("zzz", b""), (MONO[1], b""), (MONO[0], b""), ("aaa", b"")]
    report = validate_zip(
        write_zip(tmp_path / "out.zip", contents), "mono_flame_avatar", MONO_METADATA
    )
    entries = [issue.entry for issue in report.issues]
    assert entries[:2] == [MONO[0], MONO[1]]
    assert entries[-2:] == ["zzz", "aaa"]
    assert report.n_entries == 4


def fail(*_given: object, **_named: object) -> None:
    raise ZeroDivisionError("of a check that nobody has tried on this")


def test_a_check_of_a_video_that_fails_is_an_error_of_that_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setattr(video_validation, "check_video", fail)
    report = validate_zip(two_videos(tmp_path, 3, 3), "mono_flame_avatar", MONO_METADATA)
    (issue, _) = [issue for issue in report.errors if issue.rule == "unreadable-video"]
    assert issue.entry == MONO[0]
    assert "ZeroDivisionError: of a check that nobody has tried" in issue.found
    assert list(temporary.iterdir()) == []


def test_a_check_of_a_mesh_that_fails_is_an_error_of_that_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_validation, "check_mesh_entry", fail)
    path = write_zip(tmp_path / "out.zip", [(POSED[0], ply(*head()))])
    found = {issue.rule: issue for issue in validate_zip(path, "svfr", None).errors}
    assert "ZeroDivisionError" in found["unreadable-mesh"].found


def test_a_check_of_all_together_that_fails_is_told_as_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_validation, "compare_cameras", fail)
    report = validate_zip(two_videos(tmp_path, 3, 3), "mono_flame_avatar", MONO_METADATA)
    (sentence,) = report.not_checked
    assert sentence.startswith("whether cameras are mixed up: it failed (ZeroDivisionError: of a")


def test_a_full_disk_is_no_flaw_of_the_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise DiskFullError("no room")

    monkeypatch.setattr("nersemble_async.submission.zips.zip_entries.require_room", full)
    with pytest.raises(DiskFullError):
        validate_zip(two_videos(tmp_path, 3, 3), "mono_flame_avatar", MONO_METADATA)


def test_a_zip_that_is_not_there_is_not_judged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        validate_zip(tmp_path / "out.zip", "nvs", None)


def test_what_is_misplaced_is_looked_into_under_the_name_that_it_has(tmp_path: Path) -> None:
    videos = [(f"out/{MONO[0]}", b""), (f"out/{MONO[1]}", good_video("mono_flame_avatar", 0, 2))]
    path = write_zip(tmp_path / "out.zip", videos)
    report = validate_zip(path, "mono_flame_avatar", MONO_METADATA)
    found = [(issue.entry, issue.rule) for issue in report.issues if issue.rule != "missing-entry"]
    assert found == [
        (f"out/{MONO[0]}", "misplaced-entry"),
        (f"out/{MONO[0]}", "unreadable-video"),
        (f"out/{MONO[1]}", "misplaced-entry"),
        (f"out/{MONO[1]}", "wrong-frame-count"),
    ]
    assert set(report.official_report()) == {"missing_files"}


def test_meshes_that_are_misplaced_are_looked_into_with_their_landmarks(tmp_path: Path) -> None:
    contents = [(f"out/{POSED[0]}", ply(*small_head())), (marks(POSED[0]), npy(landmarks()))]
    contents += [(f"out/{POSED[1]}", ply(*small_head()))]
    report = validate_zip(write_zip(tmp_path / "out.zip", contents), "svfr", None)
    assert [issue.rule for issue in report.issues if issue.entry == f"out/{POSED[0]}"] == [
        "misplaced-entry"
    ]
    assert [issue.rule for issue in report.issues if issue.entry == marks(POSED[1])] == [
        "missing-landmarks"
    ]
    assert "missing_posed_landmarks" not in report.official_report()


def test_landmarks_that_are_misplaced_are_missing(tmp_path: Path) -> None:
    contents = [(POSED[0], ply(*small_head())), ("out/" + marks(POSED[0]), npy(landmarks()))]
    report = validate_zip(write_zip(tmp_path / "out.zip", contents), "svfr", None)
    assert report.official_report()["missing_posed_landmarks"] == [marks(POSED[0])]
