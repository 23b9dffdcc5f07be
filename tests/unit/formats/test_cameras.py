"""Calibrations and the projection that they mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import MetadataError
from nersemble_async.formats.cameras import (
    CameraCalibration,
    load_camera_calibration,
    project,
    save_camera_calibration,
)

INTRINSICS = np.array([[100.0, 0, 50], [0, 200, 60], [0, 0, 1]])


def test_project_is_a_pinhole_in_opencv_axes() -> None:
    pose = np.eye(4)
    pose[2, 3] = 2.0  # the world's origin is two metres in front
    points = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 2], [0, 0, -3]], np.float32)
    pixels, depth = project(points, pose, INTRINSICS)
    assert pixels[:4].tolist() == [[50, 60], [75, 60], [50, 110], [50, 60]]
    assert depth.tolist() == [2, 2, 2, 4, -1]
    assert np.isnan(pixels[4]).all()


def test_round_trip(tmp_path: Path) -> None:
    pose = np.eye(4)
    pose[:3, 3] = (0.1, 1 / 3, 1e-9)
    path = tmp_path / "camera_params.json"
    save_camera_calibration(path, CameraCalibration({"222200037": pose}, {"222200037": INTRINSICS}))
    read = load_camera_calibration(path)
    assert np.array_equal(read.world_2_cam["222200037"], pose)
    assert np.array_equal(read.intrinsics["222200037"], INTRINSICS)
    assert np.allclose(read.camera_position("222200037"), (-0.1, -1 / 3, -1e-9))
    assert repr(read) == "CameraCalibration(1 cameras: 222200037)"


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "camera_params.json"
    path.write_text('{"world_2_cam": {}}')
    with pytest.raises(MetadataError, match="camera_params"):
        load_camera_calibration(path)
