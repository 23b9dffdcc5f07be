"""The planner: the official set of files, without duplicates, in an order to begin early."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from nersemble_async.benchmark.metadata import TaskMetadata, parse_metadata
from nersemble_async.benchmark.spec import FileKind, Task
from nersemble_async.errors import MetadataError, SelectionError
from nersemble_async.fetch.plan import (
    ALL_POINTCLOUD_FRAMES,
    FetchPlan,
    PlannedFile,
    Selection,
    metadata_files,
    parse_pointcloud_frames,
    plan_fetch,
    plan_known_files,
)
from tests.support.planning import METADATA, MONO_N_FRAMES, nvs_json, plan, stage


def paths(files: FetchPlan | tuple[PlannedFile, ...]) -> list[str]:
    return [file.path for file in files]


def counts(fetch_plan: FetchPlan) -> dict[str, int]:
    return dict(Counter(file.asset for file in fetch_plan))


# ---- which files ----


def test_nvs_whole() -> None:
    whole = plan("nvs", frames="all")
    assert len(whole) == 3651 + 1
    assert counts(whole) == {
        "metadata": 1,
        "calibration": 5,
        "images": 65,
        "alpha_maps": 65,
        "pointclouds": 3516,
    }


def test_nvs_by_default_has_the_first_pointcloud_of_each_sequence() -> None:
    default = plan("nvs")
    assert counts(default)["pointclouds"] == 5
    assert {f.timestep for f in default if f.kind is FileKind.PCD} == {0}


def test_mono_by_default() -> None:
    assert counts(plan("mono_flame_avatar")) == {
        "metadata": 1,
        "calibration": 5,
        "images": 90,
        "alpha_maps": 90,
        "flame2023_tracking_v2": 110,
    }


def test_optional_tracking_comes_only_when_named_and_only_for_train_sequences() -> None:
    assert counts(plan(assets=("flame2023_tracking",))) == {
        "metadata": 1,
        "flame2023_tracking": 90,
    }


def test_svfr() -> None:
    images = plan("svfr")
    assert counts(images) == {"images": 391}
    assert "svfr/017/EXP-3-cheeks+nose_78_222200045/rgb.png" in paths(images)


def test_what_a_planned_file_says() -> None:
    files = plan(frames="7").by_path()
    assert files["nvs/388/sequences/GLASSES/images/cam_222200042.mp4"] == PlannedFile(
        path="nvs/388/sequences/GLASSES/images/cam_222200042.mp4",
        task="nvs",
        asset="images",
        kind=FileKind.MP4,
        participant_id=388,
        sequence_name="GLASSES",
        serial="222200042",
        n_frames=1118,
    )
    assert files["nvs/388/sequences/GLASSES/pointclouds/frame_00007.pcd"] == PlannedFile(
        path="nvs/388/sequences/GLASSES/pointclouds/frame_00007.pcd",
        task="nvs",
        asset="pointclouds",
        kind=FileKind.PCD,
        participant_id=388,
        sequence_name="GLASSES",
        timestep=7,
    )
    assert files["nvs/metadata.json"] == PlannedFile(
        path="nvs/metadata.json", task="nvs", asset="metadata", kind=FileKind.JSON
    )
    image = files["svfr/017/EXP-4-lips_6_221501007/rgb.png"]
    where = (image.participant_id, image.sequence_name, image.timestep, image.serial)
    assert where == (17, "EXP-4-lips", 6, "221501007")


def test_videos_know_their_length_from_metadata() -> None:
    for file in plan("mono_flame_avatar"):
        if file.kind is FileKind.MP4:
            assert file.participant_id is not None
            assert file.sequence_name is not None
            expected = MONO_N_FRAMES[file.participant_id][file.sequence_name]
            assert file.n_frames == expected
        else:
            assert file.n_frames is None


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"participants": (388,)}, {"metadata": 1, "calibration": 1, "images": 13, "pcd": 1}),
        ({"sequences": ("HAIR",)}, {"metadata": 1, "calibration": 1, "images": 13, "pcd": 1}),
        ({"serials": ("222200042",)}, {"metadata": 1, "calibration": 5, "images": 5, "pcd": 5}),
        ({"assets": ("calibration",)}, {"metadata": 1, "calibration": 5}),
    ],
)
def test_filters(filters: dict[str, Any], expected: dict[str, int]) -> None:
    found = counts(plan("nvs", **filters))
    found.pop("alpha_maps", None)
    assert found == {"pointclouds" if k == "pcd" else k: v for k, v in expected.items()}


def test_a_test_sequence_has_tracking_and_calibration_only() -> None:
    assert paths(plan("mono_flame_avatar", participants=(393,), sequences=("FREE",))) == [
        "mono_flame_avatar/metadata.json",
        "mono_flame_avatar/393/calibration/camera_params.json",
        "mono_flame_avatar/393/sequences/FREE/tracking/flame2023_tracking_v2.npz",
    ]


@pytest.mark.parametrize(
    ("filters", "tasks"),
    [
        ({"participants": (388,)}, {"nvs"}),
        ({"participants": (17,)}, {"svfr"}),
        ({"serials": ("222200046",)}, {"svfr"}),
        ({"serials": ("222200042",)}, {"nvs", "svfr"}),
        ({"sequences": ("HAIR",)}, {"nvs"}),
        ({"assets": ("pointclouds",)}, {"nvs"}),
        ({"assets": ("images",), "sequences": ("FREE",)}, {"nvs", "svfr"}),
    ],
)
def test_tasks_where_nothing_matches_contribute_nothing(
    filters: dict[str, Any], tasks: set[str]
) -> None:
    assert {file.task for file in plan(**filters)} == tasks
    needed = {file.task for file in metadata_files(Selection(**filters))}
    assert needed == tasks - {"svfr"}


def test_nothing_matches_at_once() -> None:
    selection = Selection(("nvs",), participants=(388,), sequences=("HAIR",))
    message = "no file matches tasks nvs, participants 388, sequences HAIR at once"
    with pytest.raises(SelectionError, match=message):
        plan_fetch(selection, METADATA)
    with pytest.raises(SelectionError, match=message):
        metadata_files(selection)


# ---- pointcloud frames ----


def timesteps(fetch_plan: FetchPlan) -> list[int | None]:
    return [file.timestep for file in fetch_plan if file.kind is FileKind.PCD]


def test_ranges_and_timesteps_together() -> None:
    chosen = plan("nvs", participants=(475,), frames="5 3 0:259:100 -2:")
    assert timesteps(chosen) == [0, 3, 5, 100, 200, 257, 258]


def test_a_timestep_comes_from_where_it_exists() -> None:
    chosen = plan("nvs", frames="1000")
    assert [f.participant_id for f in chosen if f.kind is FileKind.PCD] == [388, 443]


@pytest.mark.parametrize("frames", ["259", "0 259", "259:", "0 300:400"])
def test_a_frame_that_exists_nowhere_is_refused_with_what_exists(frames: str) -> None:
    with pytest.raises(SelectionError, match=r"no selected sequence has .*HAIR has 259 from 0 to"):
        plan("nvs", participants=(475,), frames=frames)


def test_frames_do_not_matter_where_no_pointclouds_are_wanted() -> None:
    assert len(plan("nvs", assets=("images",), frames="99999")) == 1 + 65
    assert len(plan("svfr", frames="99999")) == 391


def test_frames_follow_metadata_not_the_documented_lengths() -> None:
    metadata = parse_metadata("nvs", nvs_json(p475=[2, 4, 700]), "nvs/metadata.json")
    selection = Selection(
        ("nvs",), participants=(475,), pointcloud_frames=parse_pointcloud_frames("all")
    )
    chosen = plan_fetch(selection, {"nvs": metadata})
    assert timesteps(chosen) == [2, 4, 700]
    assert {file.n_frames for file in chosen if file.kind is FileKind.MP4} == {3}


# ---- order ----


def test_small_and_needed_first_pointclouds_last_and_by_timestep() -> None:
    everything = plan(frames="all")
    stages = [stage(file) for file in everything]
    assert stages == sorted(stages)
    assert set(stages) == {0, 1, 2, 3, 4}
    in_time = timesteps(everything)
    assert in_time == sorted(in_time, key=lambda timestep: timestep or 0)
    first = [file for file in everything if file.kind is FileKind.PCD][:5]
    assert [file.participant_id for file in first] == [388, 422, 443, 445, 475]


def test_a_camera_has_both_videos_side_by_side() -> None:
    videos = [file for file in plan() if file.kind is FileKind.MP4]
    for image, alpha in zip(videos[::2], videos[1::2], strict=True):
        assert (image.asset, alpha.asset) == ("images", "alpha_maps")
        assert image.path.replace("/images/", "/alpha_maps/") == alpha.path


# ---- metadata ----


def test_metadata_files_are_the_first_of_the_plan() -> None:
    selection = Selection()
    first = metadata_files(selection)
    assert paths(first) == ["nvs/metadata.json", "mono_flame_avatar/metadata.json"]
    assert plan_fetch(selection, METADATA).files[:2] == first
    assert metadata_files(Selection(("svfr",))) == ()


def test_metadata_has_to_be_given() -> None:
    with pytest.raises(ValueError, match=r"planning mono_flame_avatar needs its metadata\.json"):
        plan_fetch(Selection(), {"nvs": METADATA["nvs"]})
    assert len(plan_fetch(Selection(("svfr",)), {})) == 391


def test_pointclouds_of_a_sequence_that_metadata_does_not_list() -> None:
    content = json.loads(nvs_json())
    del content["sequences"]["475"]
    content["sequences"]["443"]["sequence_name"] = "OTHER"
    metadata: dict[Task, TaskMetadata] = {
        "nvs": parse_metadata("nvs", json.dumps(content).encode(), "nvs/metadata.json")
    }
    for participant_id in (475, 443):
        selection = Selection(("nvs",), participants=(participant_id,))
        with pytest.raises(MetadataError, match=f"nvs/metadata.json: .*{participant_id}"):
            plan_fetch(selection, metadata)
    videos = plan_fetch(Selection(("nvs",), assets=("images",), participants=(475,)), metadata)
    assert {file.n_frames for file in videos} == {None}


def test_planning_from_documented_lengths() -> None:
    known = plan_known_files(Selection(pointcloud_frames=ALL_POINTCLOUD_FRAMES))
    assert paths(known) == paths(plan(frames="all"))
    lengths = {(file.task, file.n_frames) for file in known if file.kind is FileKind.MP4}
    assert lengths == {
        ("mono_flame_avatar", None),
        *(("nvs", n) for n in (1118, 517, 1108, 514, 259)),
    }


class HostileMetadata:
    """What no parser lets through: names and timesteps that point elsewhere."""

    def timesteps(self, *_: object) -> Any:
        return ["../../../../etc/passwd"]

    def n_frames(self, *_: object) -> int | None:
        return None


def test_no_path_is_made_of_what_metadata_says_but_timesteps() -> None:
    content = json.loads(nvs_json())
    content["sequences"]["999"] = {"sequence_name": "../../x", "timesteps": [0]}
    content["sequences"]["388"] = {"sequence_name": "../../../etc", "timesteps": [0]}
    metadata: dict[Task, TaskMetadata] = {
        "nvs": parse_metadata("nvs", json.dumps(content).encode(), "nvs/metadata.json")
    }
    selection = Selection(
        ("nvs",), participants=(422, 443, 445, 475), pointcloud_frames=ALL_POINTCLOUD_FRAMES
    )
    for path in paths(plan_fetch(selection, metadata)):
        assert ".." not in path
    with pytest.raises(MetadataError):
        plan_fetch(Selection(("nvs",)), metadata)
    with pytest.raises((ValueError, TypeError)):
        plan_fetch(
            Selection(("nvs",), pointcloud_frames=ALL_POINTCLOUD_FRAMES),
            {"nvs": HostileMetadata()},
        )
