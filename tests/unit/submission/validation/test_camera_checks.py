"""Cameras that are mixed up are found on the stand-in, and perfect predictions raise nothing."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.submission.entries import ExpectedEntry, expected_entries
from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.validation.camera_checks import compare_cameras
from nersemble_async.submission.validation.camera_matching import mixed_up
from nersemble_async.submission.validation.video_checks import VideoFindings, check_video
from nersemble_async.submission.validation.video_content import RgbPicture, VideoSample
from nersemble_async.synthetic.dataset import synthesize
from tests.support.stand_in import TINY

NVS = BENCHMARKS["nvs"]
LEFT, CENTER, RIGHT = NVS.hold_out_serials
TRAIN, *MONO_HOLD_OUT = BENCHMARKS["mono_flame_avatar"].submission_serials
Findings = dict[str, VideoFindings]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A stand-in and the hidden truth of its hold-out cameras."""
    root, hidden = (tmp_path_factory.mktemp(name) for name in ("root", "hidden"))
    tasks: tuple[Task, ...] = ("nvs", "mono_flame_avatar")
    synthesize(root, TINY, tasks=tasks, pointcloud_frames=[0], hold_out_root=hidden)
    return root, hidden


@pytest.fixture(scope="module")
def truth(roots: tuple[Path, Path]) -> Callable[[Task], Findings]:
    """Findings of a perfect submission, whose videos are the hidden truth."""

    @cache
    def of(task: Task) -> Findings:
        spec = replace(BENCHMARKS[task], frame_size=TINY.frame_size(task))
        findings = {}
        for path, entry in expected_entries(task).items():
            file = roots[1] / spec.path(
                "images", entry.participant_id, entry.sequence_name, entry.serial
            )
            findings[path] = check_video(file, entry, spec, None, deep=False)
            assert findings[path].issues == (), path
        return findings

    return of


def rearranged(
    findings: Findings, task: Task, serials: Mapping[str, str], sequence_name: str | None = None
) -> Findings:
    """Each camera's video is the one of the camera that ``serials`` says."""
    videos = {entry.video: findings[path] for path, entry in expected_entries(task).items()}

    def source(entry: ExpectedEntry) -> str:
        if sequence_name not in {None, entry.sequence_name}:
            return entry.serial
        return serials.get(entry.serial, entry.serial)

    return {
        path: videos[replace(entry.video, serial=source(entry))]
        for path, entry in expected_entries(task).items()
    }


def altered(findings: Findings, change: Callable[[RgbPicture], RgbPicture]) -> Findings:
    return {
        path: replace(
            video,
            samples=tuple(VideoSample(s.frame_index, change(s.picture)) for s in video.samples),
        )
        for path, video in findings.items()
    }


def without_pointclouds(root: Path, folder: Path) -> Path:
    shutil.copytree(root, folder, ignore=shutil.ignore_patterns("pointclouds"))
    return folder


def check_cameras(task: Task, findings: Findings, root: Path | None) -> list[SubmissionIssue]:
    return compare_cameras(task, findings, root).issues


@pytest.mark.parametrize("task", ["nvs", "mono_flame_avatar"])
def test_a_perfect_submission_raises_nothing(
    task: Task, roots: tuple[Path, Path], truth: Callable[[Task], Findings], tmp_path: Path
) -> None:
    for root in (roots[0], without_pointclouds(roots[0], tmp_path / "root"), None):
        assert check_cameras(task, truth(task), root) == []
    assert compare_cameras(task, truth(task), roots[0]).not_checked == []


@pytest.mark.parametrize("with_points", [True, False])
def test_each_order_of_the_hold_out_cameras_is_told_from_the_right_one(
    with_points: bool, roots: tuple[Path, Path], truth: Callable[[Task], Findings], tmp_path: Path
) -> None:
    root = roots[0] if with_points else without_pointclouds(roots[0], tmp_path / "root")
    source = "the pointcloud" if with_points else "the train cameras beside it"
    for order in itertools.permutations((LEFT, CENTER, RIGHT)):
        serials = dict(zip((LEFT, CENTER, RIGHT), order, strict=True))
        issues = check_cameras("nvs", rearranged(truth("nvs"), "nvs", serials), root)
        expected = {
            (path, f"what camera {serials[entry.serial]} sees, judged by {source}")
            for path, entry in expected_entries("nvs").items()
            if serials[entry.serial] != entry.serial
        }
        assert {(issue.entry, issue.found) for issue in issues} == expected
        assert {issue.rule for issue in issues} <= {"swapped-cameras"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda picture: picture[::-1], "upside down"),
        (lambda picture: picture[..., ::-1], "with red and blue swapped"),
        (lambda picture: picture[::-1, ::-1], "turned by 180 degrees"),
    ],
)
@pytest.mark.parametrize("task", ["nvs", "mono_flame_avatar"])
def test_altered_pictures_are_told(
    task: Task,
    change: Callable[[RgbPicture], RgbPicture],
    words: str,
    roots: tuple[Path, Path],
    truth: Callable[[Task], Findings],
) -> None:
    issues = check_cameras(task, altered(truth(task), change), roots[0])
    assert {issue.rule for issue in issues} == {"altered-pictures"}
    assert any(issue.found.startswith(f"frames {words}, ") for issue in issues)
    # Each sequence has a camera that something of the root can be compared with.
    sequences = {(issue.entry or "").rpartition("/")[0] for issue in issues}
    assert sequences == {path.rpartition("/")[0] for path in expected_entries(task)}


def test_mirrored_pictures_are_told_from_cameras_that_are_mixed_up(
    roots: tuple[Path, Path], truth: Callable[[Task], Findings]
) -> None:
    mirrored = altered(truth("nvs"), lambda picture: picture[:, ::-1])
    issues = check_cameras("nvs", mirrored, roots[0])
    assert {issue.rule for issue in issues} == {"altered-pictures"}
    assert {issue.found for issue in issues} == {"frames mirrored, judged by the pointcloud"}
    assert len(issues) >= 10


def test_one_sequence_unlike_the_persons_others_is_told_without_a_root(
    truth: Callable[[Task], Findings],
) -> None:
    task: Task = "mono_flame_avatar"
    left, _, right = MONO_HOLD_OUT
    mixed = rearranged(truth(task), task, {left: right, right: left}, "FREE")
    issues = check_cameras(task, mixed, None)
    entries = {p for p, e in expected_entries(task).items() if e.serial in {left, right}}
    assert {issue.entry for issue in issues} == {path for path in entries if "/FREE/" in path}
    assert {issue.rule for issue in issues} == {"swapped-cameras"}


def test_the_train_cameras_own_videos_tell_where_they_were_put(
    roots: tuple[Path, Path], truth: Callable[[Task], Findings]
) -> None:
    task: Task = "mono_flame_avatar"
    other = MONO_HOLD_OUT[-1]
    mixed = rearranged(truth(task), task, {TRAIN: other, other: TRAIN})
    assert check_cameras(task, mixed, None) == []
    issues = check_cameras(task, mixed, roots[0])
    found = f"what camera {TRAIN} sees, judged by the train sequences"
    assert {(issue.entry, issue.found) for issue in issues} == {
        (path, found) for path, entry in expected_entries(task).items() if entry.serial == other
    }


def test_one_video_for_two_cameras_is_told_once(truth: Callable[[Task], Findings]) -> None:
    twice = rearranged(truth("nvs"), "nvs", {RIGHT: LEFT}, "FREE")
    (issue,) = check_cameras("nvs", twice, None)
    assert issue.rule == "identical-videos"
    assert issue.entry == f"443/FREE/cam_{RIGHT}.mp4"
    assert issue.found == f"the same video as 443/FREE/cam_{LEFT}.mp4"


def test_one_video_that_was_encoded_twice_is_told(truth: Callable[[Task], Findings]) -> None:
    def noisy(video: VideoFindings) -> VideoFindings:
        samples = tuple(
            VideoSample(s.frame_index, np.where(s.picture > 100, s.picture - 1, s.picture))
            for s in video.samples
        )
        return replace(video, samples=samples, digest=b"other")

    findings = dict(truth("nvs"))
    findings[f"443/FREE/cam_{RIGHT}.mp4"] = noisy(findings[f"443/FREE/cam_{LEFT}.mp4"])
    assert [issue.rule for issue in check_cameras("nvs", findings, None)] == ["identical-videos"]


def test_black_videos_are_not_called_identical_too() -> None:
    black = VideoSample(0, np.zeros((100, 69, 3), np.uint8))
    findings = {path: VideoFindings((), (black,), b"same", 1) for path in expected_entries("nvs")}
    assert check_cameras("nvs", findings, None) == []


def test_undecodable_videos_with_the_same_bytes_are_identical() -> None:
    first, second, *_ = expected_entries("nvs")
    findings = {path: VideoFindings((), (), b"same") for path in (first, second)}
    assert [issue.entry for issue in check_cameras("nvs", findings, None)] == [second]


def test_what_cannot_be_compared_is_said_and_is_no_error(
    roots: tuple[Path, Path], truth: Callable[[Task], Findings], tmp_path: Path
) -> None:
    found = compare_cameras("nvs", truth("nvs"), None)
    assert found.not_checked == [
        "whether the cameras of 5 sequences are mixed up: there is no fetched data"
    ]
    empty = compare_cameras("nvs", truth("nvs"), tmp_path)
    assert (empty.issues, len(empty.not_checked)) == ([], 1)
    broken = shutil.copytree(roots[0], tmp_path / "root")
    for name in ("388", "422"):
        (broken / "nvs" / name / "calibration" / "camera_params.json").write_text("{}")
    for path in (broken / "nvs" / "443").rglob("*.pcd"):
        path.write_bytes(path.read_bytes()[:300])
    found = compare_cameras("nvs", truth("nvs"), broken)
    assert found.issues == []
    assert len(found.not_checked) == 3
    assert "388 GLASSES" in found.not_checked[0]


def test_videos_that_show_nothing_are_not_compared(roots: tuple[Path, Path]) -> None:
    nothing = {path: VideoFindings((), digest=path.encode()) for path in expected_entries("nvs")}
    assert compare_cameras("nvs", nothing, roots[0]).issues == []
    assert compare_cameras("nvs", {}, roots[0]).not_checked == []


def test_blurred_and_shifted_predictions_still_fit_their_cameras(
    roots: tuple[Path, Path], truth: Callable[[Task], Findings]
) -> None:
    def blurred(picture: RgbPicture) -> RgbPicture:
        shifts = [np.roll(picture, (dy, dx), (0, 1)) for dy in range(-1, 4) for dx in range(-1, 4)]
        mean: RgbPicture = np.mean(shifts, axis=0).astype(np.uint8)
        return mean

    for task in ("nvs", "mono_flame_avatar"):
        assert check_cameras(task, altered(truth(task), blurred), roots[0]) == []


def test_a_persons_sequences_that_have_nothing_in_common_tell_nothing() -> None:
    findings = {}
    for path in expected_entries("mono_flame_avatar"):
        rng = np.random.default_rng(list(path.encode()))
        levels = rng.integers(0, 256, (4, 4, 3), np.uint8)
        picture = np.kron(levels, np.ones((25, 25, 1), np.uint8))
        findings[path] = VideoFindings((), (VideoSample(0, picture),), path.encode(), 1)
    assert check_cameras("mono_flame_avatar", findings, None) == []


def test_the_best_order_counts_only_if_it_is_clearly_better() -> None:
    assert mixed_up({"a": {"a": 30, "b": 10}, "b": {"a": 10, "b": 30}}) == {"a": "b", "b": "a"}
    assert mixed_up({"a": {"a": 30, "b": 25}, "b": {"a": 25, "b": 30}}) == {}
    assert mixed_up({"a": {"a": 3, "b": 1}, "b": {"a": 1, "b": 3}}) == {}
    assert mixed_up({"a": {"a": 10, "b": 30}, "b": {"a": 30, "b": 10}}) == {}
    assert mixed_up({"a": {"a": 10}}) == {}


def test_the_hidden_truth_has_frames_of_the_stand_ins_size(roots: tuple[Path, Path]) -> None:
    """What the comparison rests on: pictures of any size become the same small ones."""
    path = roots[1] / NVS.path("images", 443, "FREE", LEFT)
    with VideoReader(path) as reader:
        assert (reader.info.width, reader.info.height) == TINY.frame_size("nvs")
