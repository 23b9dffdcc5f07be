"""Poses, conventions, resized and cropped images: round trips, and what dreifus says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.formats.cameras import (
    CameraCalibration,
    crop_intrinsics,
    invert_pose,
    opencv_to_opengl,
    opengl_to_opencv,
    project,
    scale_intrinsics,
    unproject,
)
from tests.support.official import run_official

FloatArray = npt.NDArray[np.float64]

OF_DREIFUS = """
import numpy as np
from dreifus.camera import CameraCoordinateConvention, PoseType
from dreifus.matrix import Intrinsics, Pose
result = []
for matrix in argument["world_2_cam"]:
    pose = Pose(np.array(matrix), camera_coordinate_convention=CameraCoordinateConvention.OPEN_CV,
                pose_type=PoseType.WORLD_2_CAM)
    inverse = pose.invert()
    opengl = inverse.change_camera_coordinate_convention(
        CameraCoordinateConvention.OPEN_GL, inplace=False)
    crop = Intrinsics(np.array(argument["intrinsics"])).crop(30, 40, inplace=False)
    result.append([np.array(m, dtype=float).tolist() for m in (inverse, opengl, crop)])
"""


def random_pose(seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = rng.normal(size=3)
    return pose


@st.composite
def intrinsics(draw: st.DrawFn) -> FloatArray:
    focal_x, focal_y = draw(st.tuples(st.floats(100, 9000), st.floats(100, 9000)))
    center_x, center_y = draw(st.tuples(st.floats(-50, 2000), st.floats(-50, 2000)))
    skew = draw(st.floats(-5, 5))
    return np.array([[focal_x, skew, center_x], [0, focal_y, center_y], [0, 0, 1]])


poses = st.integers(0, 1 << 32).map(random_pose)
scales = st.floats(0.05, 8)


def _random_pixels(seed: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-100, 2000, (9, 2)), rng.uniform(0.1, 5, 9)


@given(pose=poses, matrix=intrinsics(), seed=st.integers(0, 1 << 32))
def test_unproject_is_the_inverse_of_project(
    pose: FloatArray, matrix: FloatArray, seed: int
) -> None:
    pixels, depths = _random_pixels(seed)
    points = unproject(pixels, depths, pose, matrix)
    assert points.shape == (9, 3)
    assert points.dtype == np.float64
    seen, seen_depths = project(points, pose, matrix)
    # A depth of 0.1 m is a difference of coordinates up to 100 m wide of the axis.
    assert np.allclose(seen_depths, depths, rtol=1e-9, atol=1e-10)
    assert np.allclose(seen, pixels, rtol=0, atol=1e-5)


@given(pose=poses)
def test_a_pose_and_its_inverse_cancel_out(pose: FloatArray) -> None:
    rounded = pose.astype(np.float32)
    for matrix in (pose, rounded):
        assert np.allclose(invert_pose(matrix) @ matrix, np.eye(4), rtol=0, atol=1e-14)
    assert np.array_equal(invert_pose(np.stack([pose, np.eye(4)]))[0], invert_pose(pose))


@given(pose=poses)
def test_opengl_and_back_is_the_identity(pose: FloatArray) -> None:
    opengl = opencv_to_opengl(pose)
    assert np.array_equal(opengl_to_opencv(opengl), pose)
    assert np.array_equal(opengl[:3, 3], pose[:3, 3])  # it stands where it stood
    assert np.isclose(np.linalg.det(opengl[:3, :3]), 1)
    assert np.array_equal(opengl[:3, 0], pose[:3, 0])
    assert np.array_equal(opengl[:3, 1:3], -pose[:3, 1:3])


@given(pose=poses, matrix=intrinsics(), scale=st.tuples(scales, scales), seed=st.integers(0, 999))
def test_scaled_and_cropped_intrinsics_project_to_scaled_and_cropped_pixels(
    pose: FloatArray, matrix: FloatArray, scale: tuple[float, float], seed: int
) -> None:
    pixels, depths = _random_pixels(seed)
    points = unproject(pixels, depths, pose, matrix)
    scaled, _ = project(points, pose, scale_intrinsics(matrix, scale))
    assert np.allclose(scaled, (pixels + 0.5) * scale - 0.5, rtol=0, atol=1e-4)
    cropped, _ = project(points, pose, crop_intrinsics(matrix, 12, 7.5))
    assert np.allclose(cropped, pixels - (12, 7.5), rtol=0, atol=1e-4)


@given(matrix=intrinsics(), scale=scales)
def test_scaling_back_is_the_identity(matrix: FloatArray, scale: float) -> None:
    back = scale_intrinsics(scale_intrinsics(matrix, scale), 1 / scale)
    assert np.allclose(back, matrix, rtol=1e-12, atol=1e-9)


def test_halving_moves_the_centre_of_the_image_to_the_centre_of_the_small_image() -> None:
    # 1100 pixels have their centre at 549.5, 550 pixels at 274.5.
    matrix = np.array([[2000.0, 0, 549.5], [0, 2000, 801.5], [0, 0, 1]])
    assert scale_intrinsics(matrix, 0.5).tolist() == [[1000, 0, 274.5], [0, 1000, 400.5], [0, 0, 1]]


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), (1, 0)])
def test_impossible_scales(scale: float | tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a scale is positive and finite"):
        scale_intrinsics(np.eye(3), scale)


def test_a_whole_calibration() -> None:
    matrix = np.array([[2000.0, 0, 549.5], [0, 2000, 801.5], [0, 0, 1]])
    calibration = CameraCalibration({"222200037": random_pose(1)}, {"222200037": matrix})
    cam_2_world = calibration.cam_2_world("222200037")
    assert np.allclose(cam_2_world[:3, 3], calibration.camera_position("222200037"))
    changed = calibration.cropped(100, 50).scaled((0.5, 0.25))
    assert changed.world_2_cam is calibration.world_2_cam
    expected = scale_intrinsics(crop_intrinsics(matrix, 100, 50), (0.5, 0.25))
    assert np.array_equal(changed.intrinsics["222200037"], expected)


def test_dreifus_says_the_same() -> None:
    matrix = np.array([[2000.0, 0, 549.5], [0, 2000, 801.5], [0, 0, 1]])
    of_world = [random_pose(seed) for seed in range(5)]
    argument = {"world_2_cam": [p.tolist() for p in of_world], "intrinsics": matrix.tolist()}
    for pose, theirs in zip(of_world, run_official(OF_DREIFUS, argument), strict=True):
        inverse = invert_pose(pose)
        ours = (inverse, opencv_to_opengl(inverse), crop_intrinsics(matrix, 30, 40))
        for our_matrix, their_matrix in zip(ours, theirs, strict=True):
            assert np.allclose(our_matrix, their_matrix, rtol=1e-6, atol=1e-6)  # theirs: float32
