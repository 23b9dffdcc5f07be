"""The stand-in's cameras: two rows on an arc about a metre from the head."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.spec import SERIALS
from nersemble_async.formats.cameras import CameraCalibration
from nersemble_async.synthetic.ray_marching import Camera

_CENTER_INDEX = SERIALS.index("222200037")
_AZIMUTH_STEP_DEGREES = 6.0
_ELEVATIONS_DEGREES = (-6.0, 13.0)
_DISTANCE_METRES = 1.0
_TARGET_METRES = np.array([0.0, -0.035, 0.0])
_WORLD_UP = np.array([0.0, 1.0, 0.0])

VIEW_WIDTH_METRES = {"nvs": 0.34, "mono_flame_avatar": 0.42, "svfr": 0.40}
"""What a frame's width shows at the distance of the head."""


def rig_cameras(
    frame_size: tuple[int, int], view_width_metres: float, rng: np.random.Generator
) -> dict[str, Camera]:
    """All 16 cameras of one participant, by serial in the official order.

    The world has y up and z out of the face, so that x points to the right of whoever looks at
    the face. Serials stand from left to right in the official order, in turn in the lower and
    the upper row; 222200037 is the centre, and hold-outs 222200046 and 222200039 stand 36° to the
    left and 30° to the right of it.

    Args:
        frame_size: width, height in pixels.
        view_width_metres: what the width shows at the distance of the head.
        rng: of this participant; cameras stand a few millimetres off their places.
    """
    cameras: dict[str, Camera] = {}
    width, height = frame_size
    for index, serial in enumerate(SERIALS):
        azimuth = np.radians((index - _CENTER_INDEX) * _AZIMUTH_STEP_DEGREES)
        elevation = np.radians(_ELEVATIONS_DEGREES[index % 2])
        direction = np.array(
            [
                np.sin(azimuth) * np.cos(elevation),
                np.sin(elevation),
                np.cos(azimuth) * np.cos(elevation),
            ]
        )
        position = _TARGET_METRES + _DISTANCE_METRES * direction + rng.normal(0, 0.003, 3)
        focal = width / view_width_metres * _DISTANCE_METRES * (1 + rng.normal(0, 0.003))
        # Pixel (0, 0) is the centre of the first pixel, so the image's middle is half a pixel
        # less than half its width.
        intrinsics = np.array(
            [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
        )
        world_2_cam = _looking_at(position, _TARGET_METRES)
        cameras[serial] = Camera(world_2_cam, intrinsics, frame_size)
    return cameras


def calibration_of(cameras: Mapping[str, Camera]) -> CameraCalibration:
    """What camera_params.json says of these cameras."""
    return CameraCalibration(
        {serial: camera.world_2_cam for serial, camera in cameras.items()},
        {serial: camera.intrinsics for serial, camera in cameras.items()},
    )


def _looking_at(
    position: npt.NDArray[np.float64], target: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(4, 4) world-to-camera, OpenCV axes, upright."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, _WORLD_UP)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, down, forward])
    pose[:3, 3] = -pose[:3, :3] @ position
    return pose
