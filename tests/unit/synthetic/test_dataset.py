"""The stand-in's files: exactly the official layout, valid, and the same bytes for one seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.metadata import parse_metadata
from nersemble_async.benchmark.spec import BENCHMARKS, SERIALS, TASKS, FileKind, Task
from nersemble_async.formats.cameras import load_camera_calibration
from nersemble_async.formats.content import check_content
from nersemble_async.formats.flame.tracking import load_flame_tracking
from nersemble_async.formats.image.picture import read_png
from nersemble_async.formats.pointcloud.pcd_file import read_pointcloud
from nersemble_async.formats.video.probe import probe_video
from nersemble_async.synthetic.dataset import SynthesisProgress, synthesize
from nersemble_async.synthetic.tiny_layout import published_files
from tests.support.stand_in import TINY, tiny_stand_in

SMALLEST = replace(TINY, nvs_frames=2, nvs_width=16, n_points=20)


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def made_files(root: Path) -> list[Path]:
    """Without indexes that other tests' reading has left beside them."""
    return sorted(path for task in TASKS for path in (root / task).rglob("*.*"))


def test_layout_is_the_official_one_at_this_length() -> None:
    root = tiny_stand_in()
    lengths = TINY.lengths("nvs")
    expected = {
        file.path
        for task in TASKS
        for file in published_files(task)
        if file.kind is not FileKind.PCD
    }
    for key, n_frames in lengths.items():
        expected |= {
            BENCHMARKS["nvs"].path(
                "pointclouds", key.participant_id, key.sequence_name, timestep=timestep
            )
            for timestep in range(n_frames)
        }
    assert {path.relative_to(root).as_posix() for path in made_files(root)} == expected


def test_every_file_passes_the_content_check() -> None:
    root = tiny_stand_in()
    checked = 0
    for path in made_files(root):
        relative = path.relative_to(root)
        task: Task = next(task for task in TASKS if task == relative.parts[0])
        n_frames = None
        if "sequences" in relative.parts:
            key = SequenceKey(int(relative.parts[1]), relative.parts[3])
            n_frames = TINY.lengths(task)[key]
        check_content(path, FileKind(path.suffix[1:]), n_frames, relative.as_posix())
        checked += 1
    assert checked > 900


def test_metadata_says_what_the_videos_hold() -> None:
    root = tiny_stand_in()
    for task in ("nvs", "mono_flame_avatar"):
        spec = BENCHMARKS[task]
        path = root / f"{task}/metadata.json"
        metadata = parse_metadata(task, path.read_bytes(), path.name)
        for participant_id in spec.participants:
            for name in spec.sequences(participant_id):
                n_frames = metadata.n_frames(participant_id, name)
                assert n_frames == TINY.lengths(task)[SequenceKey(participant_id, name)]
        video = probe_video(
            root
            / spec.path(
                "images",
                participant_id,
                spec.train_sequences[participant_id][0],
                spec.train_serials[0],
            )
        )
        assert (video.width, video.height) == TINY.frame_size(task)
        assert video.rate == spec.submission_rate


def test_calibration_holds_all_cameras_but_videos_leave_out_the_hidden_ones() -> None:
    root = tiny_stand_in()
    spec = BENCHMARKS["nvs"]
    calibration = load_camera_calibration(root / spec.path("calibration", 388))
    assert tuple(calibration.world_2_cam) == tuple(calibration.intrinsics) == SERIALS
    videos = {path.name for path in (root / "nvs").rglob("*.mp4")}
    assert videos == {f"cam_{serial}.mp4" for serial in spec.train_serials}


def test_values_are_what_readers_expect() -> None:
    root = tiny_stand_in()
    cloud = read_pointcloud(
        root / BENCHMARKS["nvs"].path("pointclouds", 422, "EXP-2-eyes", None, 0)
    )
    assert cloud.points.shape == cloud.colors.shape == cloud.normals.shape == (1500, 3)
    assert np.allclose(np.linalg.norm(cloud.normals, axis=1), 1, atol=1e-5)
    assert np.abs(cloud.points).max() < 0.4
    mono = BENCHMARKS["mono_flame_avatar"]
    for version in ("flame2023_tracking", "flame2023_tracking_v2"):
        tracking = load_flame_tracking(root / mono.path(version, 393, "EXP-1-head"))
        n_frames = TINY.lengths("mono_flame_avatar")[SequenceKey(393, "EXP-1-head")]
        assert len(tracking.frames) == n_frames
    picture = read_png(next((root / "svfr").rglob("rgb.png")))
    assert picture.shape == (*reversed(TINY.frame_size("svfr")), 3)
    # The subject stands in front of white.
    assert (picture[0] == 255).all(axis=-1).mean() > 0.3
    assert (picture[-8:] < 250).any(axis=-1).mean() > 0.3


def test_same_seed_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "three", "other_seed")]
    scales = [SMALLEST, SMALLEST, replace(SMALLEST, seed=1)]
    for folder, scale, threads in zip(folders, scales, (1, 3, 3), strict=True):
        synthesize(folder, scale, tasks=["nvs"], threads=threads, pointcloud_frames=[0])
    one, three, other = map(contents, folders)
    assert one == three
    assert one.keys() == other.keys()
    same = {path for path in one if one[path] == other[path]}
    # Alpha maps as small as this may well be equal, lengths are.
    assert {path for path in same if "alpha_maps" not in path} == {"nvs/metadata.json"}


def test_pointclouds_only_of_the_timesteps_asked_for(tmp_path: Path) -> None:
    synthesize(tmp_path, SMALLEST, tasks=["nvs"], pointcloud_frames=[1, 7])
    clouds = sorted(path.name for path in tmp_path.rglob("*.pcd"))
    assert clouds == ["frame_00001.pcd"] * sum(n > 1 for n in SMALLEST.lengths("nvs").values())


def test_hidden_ground_truth_goes_where_it_is_told(tmp_path: Path) -> None:
    root, hidden = tmp_path / "served", tmp_path / "hidden"
    synthesize(root, SMALLEST, tasks=["nvs"], pointcloud_frames=[], hold_out_root=hidden)
    spec = BENCHMARKS["nvs"]
    assert {path.name for path in hidden.rglob("*.*")} == {
        f"cam_{serial}.mp4" for serial in spec.hold_out_serials
    }
    assert len(list(hidden.rglob("*.mp4"))) == 5 * 3 * 2
    assert {path.name for path in root.rglob("*.mp4")} == {
        f"cam_{serial}.mp4" for serial in spec.train_serials
    }


def test_progress_counts_up_and_ends_at_the_total(tmp_path: Path) -> None:
    seen: list[SynthesisProgress] = []
    synthesize(tmp_path, SMALLEST, tasks=["nvs"], on_progress=seen.append)
    n_frames = sum(SMALLEST.lengths("nvs").values())
    assert [progress.done for progress in seen] == list(range(1, 14 * n_frames + 1))
    assert {progress.total for progress in seen} == {14 * n_frames}
    assert all((tmp_path / progress.path).is_file() for progress in seen)


def test_an_exception_in_the_callback_leaves_whole_files_only(tmp_path: Path) -> None:
    def stop(progress: SynthesisProgress) -> None:
        if progress.done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        synthesize(tmp_path, SMALLEST, tasks=["nvs"], on_progress=stop, threads=2)
    files = [path for path in tmp_path.rglob("*.*") if path.is_file()]
    assert len(files) < 60
    for path in files:
        check_content(path, FileKind(path.suffix[1:]), None)
