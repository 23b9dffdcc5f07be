"""Facts of files that hold next to nothing, or what JSON has no word for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.formats.flame.tracking import FlameTracking, save_flame_tracking
from nersemble_async.formats.inspection import Facts, inspect_file
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud, write_pointcloud
from nersemble_async.formats.video.index import build_video_index
from tests.support.videos import write_video


def facts_of(path: Path) -> Facts:
    facts = inspect_file(path)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    return facts


def tracking_of(n_frames: int) -> FlameTracking:
    shapes: dict[str, tuple[int, ...]] = {
        "shape": (1, 300),
        "expression": (n_frames, 100),
        "rotation": (n_frames, 3),
        "rotation_matrices": (n_frames, 3, 3),
        "translation": (n_frames, 3),
        "jaw": (n_frames, 3),
        "scale": (1, 1),
        "neck": (n_frames, 3),
        "eyes": (n_frames, 6),
    }
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    return FlameTracking(frames=np.arange(n_frames), **arrays)


def test_a_tracking_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "tracking.npz"
    save_flame_tracking(path, tracking_of(0))
    facts = facts_of(path)
    assert (facts["n_frames"], facts["scale"]) == (0, 1.0)
    assert facts["mean_translation_metres"] is facts["largest_jaw_radians"] is None


def test_a_tracking_that_is_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "tracking.npz"
    places = np.array([[1, 2, np.nan], [3, 2, 1]], np.float32)
    save_flame_tracking(path, replace(tracking_of(2), translation=places))
    assert facts_of(path)["mean_translation_metres"] == [2.0, 2.0, None]


@pytest.mark.parametrize("points", [np.empty((0, 3)), np.full((2, 3), np.nan)])
def test_pointclouds_without_a_place(tmp_path: Path, points: np.ndarray[tuple[int, int]]) -> None:
    path, none = tmp_path / "points.pcd", np.empty((0, 3), np.float32)
    write_pointcloud(path, Pointcloud(points.astype(np.float32), none, none))
    facts = facts_of(path)
    assert facts["n_points"] == facts["n_not_finite"] == len(points)
    assert facts["lowest_metres"] is facts["highest_metres"] is None


def test_groups_of_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cam_1.mp4", 30, gop=12)
    facts = facts_of(path)
    assert (facts["n_keyframes"], facts["longest_group_frames"]) == (3, 12)
    assert facts["mean_frame_bytes"] == int(build_video_index(path).sizes.mean())
