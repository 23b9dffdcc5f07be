"""The rig: where the cameras stand, and that their pictures are upright."""

from __future__ import annotations

import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS, SERIALS
from nersemble_async.formats.cameras import project
from nersemble_async.synthetic.ray_marching import Camera
from nersemble_async.synthetic.rig import calibration_of, rig_cameras

SIZE = (110, 160)


@pytest.fixture(scope="module")
def cameras() -> dict[str, Camera]:
    return rig_cameras(SIZE, 0.34, np.random.default_rng(0))


def test_sixteen_cameras_a_metre_from_the_head(cameras: dict[str, Camera]) -> None:
    assert tuple(cameras) == SERIALS
    calibration = calibration_of(cameras)
    positions = np.array([calibration.camera_position(serial) for serial in SERIALS])
    assert np.allclose(np.linalg.norm(positions - (0, -0.035, 0), axis=1), 1, atol=0.02)
    # In front of the face, from left to right, in two rows.
    assert (positions[:, 2] > 0.5).all()
    assert (np.diff(positions[:, 0]) > 0).all()
    assert (positions[0::2, 1] < -0.1).all()
    assert (positions[1::2, 1] > 0.1).all()


def test_hold_outs_are_left_center_right(cameras: dict[str, Camera]) -> None:
    calibration = calibration_of(cameras)
    left, center, right = (
        calibration.camera_position(serial)[0] for serial in BENCHMARKS["nvs"].hold_out_serials
    )
    assert left < -0.3
    assert abs(center) < 0.05
    assert right > 0.3


@pytest.mark.parametrize("serial", SERIALS)
def test_poses_are_rigid_and_pictures_upright(cameras: dict[str, Camera], serial: str) -> None:
    camera = cameras[serial]
    rotation = camera.world_2_cam[:3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)
    points = np.array([[0, -0.035, 0], [0, 0.05, 0], [0.05, -0.035, 0]])
    pixels, depth = project(points, camera.world_2_cam, camera.intrinsics)
    assert (depth > 0.8).all()
    assert np.allclose(pixels[0], (54.5, 79.5), atol=2)
    assert pixels[1, 1] < pixels[0, 1] - 10  # higher up in the world: higher up in the picture
    assert pixels[2, 0] > pixels[0, 0] + 5


def test_rays_go_through_the_pixels_that_points_project_to(cameras: dict[str, Camera]) -> None:
    camera = cameras["222200044"]
    x, y = np.array([0.0, 54.5, 109.0]), np.array([0.0, 20.25, 159.0])
    rays = camera.rays(x, y)
    points = (rays.origin[:, None] + 0.9 * rays.directions).T
    pixels, _ = project(points, camera.world_2_cam, camera.intrinsics)
    assert np.allclose(pixels, np.stack([x, y], axis=1), atol=1e-3)
