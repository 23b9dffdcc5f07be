"""Camera calibrations: camera_params.json as arrays, the projection that they mean, its inverse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.metadata import parse_camera_params

FloatArray = npt.NDArray[np.floating]

_FLIP_Y_AND_Z = np.diag((1.0, -1.0, -1.0, 1.0))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CameraCalibration:
    """All cameras of one participant, hold-out cameras included."""

    world_2_cam: Mapping[str, npt.NDArray[np.float64]]
    """By serial: (4, 4) float64, world to camera, metres, OpenCV (x right, y down, z forward)."""
    intrinsics: Mapping[str, npt.NDArray[np.float64]]
    """By serial: (3, 3) float64, pixels of the published frames."""

    def __repr__(self) -> str:
        return f"CameraCalibration({len(self.world_2_cam)} cameras: {', '.join(self.world_2_cam)})"

    def camera_position(self, serial: str) -> npt.NDArray[np.float64]:
        """(3,) where the camera stands in the world, metres."""
        pose = self.world_2_cam[serial]
        return -(pose[:3, :3].T @ pose[:3, 3])

    def cam_2_world(self, serial: str) -> npt.NDArray[np.float64]:
        """(4, 4) camera to world, OpenCV: its columns are the camera's three axes and position."""
        return invert_pose(self.world_2_cam[serial])

    def scaled(self, scale: float | tuple[float, float]) -> CameraCalibration:
        """The calibration of images resized by ``scale`` (see `scale_intrinsics`)."""
        scaled = {s: scale_intrinsics(m, scale) for s, m in self.intrinsics.items()}
        return replace(self, intrinsics=scaled)

    def cropped(self, left: float, top: float) -> CameraCalibration:
        """The calibration of images without their first columns and rows (`crop_intrinsics`)."""
        cropped = {s: crop_intrinsics(m, left, top) for s, m in self.intrinsics.items()}
        return replace(self, intrinsics=cropped)


def load_camera_calibration(path: Path) -> CameraCalibration:
    """Read a camera_params.json.

    Raises:
        MetadataError: it breaks the schema; names the file and the field.
        OSError: the file cannot be read.
    """
    params = parse_camera_params(path.read_bytes(), str(path))
    return CameraCalibration(
        world_2_cam={s: np.array(m, np.float64) for s, m in params.world_2_cam.items()},
        intrinsics={s: np.array(m, np.float64) for s, m in params.intrinsics.items()},
    )


def save_camera_calibration(path: Path, calibration: CameraCalibration) -> None:
    """Write a camera_params.json in the official form."""
    content = {
        "world_2_cam": {s: m.tolist() for s, m in calibration.world_2_cam.items()},
        "intrinsics": {s: m.tolist() for s, m in calibration.intrinsics.items()},
    }
    path.write_text(json.dumps(content), "utf-8")


def project(
    points: FloatArray, world_2_cam: FloatArray, intrinsics: FloatArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where world points appear in an image: a pinhole camera without distortion.

    Args:
        points: (N, 3) world coordinates, metres.
        world_2_cam: (4, 4), OpenCV convention.
        intrinsics: (3, 3), pixels.

    Returns:
        Pixels (N, 2) as x right, y down, where (0, 0) is the centre of the first pixel as in
        OpenCV; and depths (N,) along the viewing axis in metres. Where a depth is not positive
        the point lies behind the camera and its pixel is NaN.
    """
    in_camera = points @ world_2_cam[:3, :3].T + world_2_cam[:3, 3]
    depth = in_camera[:, 2].astype(np.float64)
    with_depth = in_camera @ intrinsics.T
    in_front = np.where(depth > 0, depth, np.nan)
    return (with_depth[:, :2] / in_front[:, None]).astype(np.float64), depth


def unproject(
    pixels: FloatArray, depths: FloatArray, world_2_cam: FloatArray, intrinsics: FloatArray
) -> npt.NDArray[np.float64]:
    """Which world points appear at pixels: the inverse of `project`.

    Args:
        pixels: (N, 2) x right, y down; (0, 0) is the centre of the first pixel.
        depths: (N,) along the viewing axis in metres, not along the ray.
        world_2_cam: (4, 4), OpenCV convention.
        intrinsics: (3, 3), pixels.

    Returns:
        (N, 3) float64 world coordinates, metres.
    """
    homogeneous = np.column_stack((pixels, np.ones(len(pixels)))).astype(np.float64)
    in_camera = homogeneous @ np.linalg.inv(intrinsics.astype(np.float64)).T * depths[:, None]
    pose = invert_pose(world_2_cam)
    return in_camera @ pose[:3, :3].T + pose[:3, 3]


def invert_pose(pose: FloatArray) -> npt.NDArray[np.float64]:
    """World to camera from camera to world, or back: (…, 4, 4) float64.

    The rotation is inverted, not transposed: one that was once rounded to float32 is no perfect
    rotation, and this way a pose and its inverse still cancel out.
    """
    inverse = np.zeros(pose.shape, np.float64)
    rotation = np.linalg.inv(pose[..., :3, :3].astype(np.float64))
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -(rotation @ pose[..., :3, 3, None])[..., 0]
    inverse[..., 3, 3] = 1
    return inverse


def opencv_to_opengl(cam_2_world: FloatArray) -> npt.NDArray[np.float64]:
    """The same camera with OpenGL's axes (x right, y up, z backward), as Blender and nerfstudio.

    The camera's y and z axes, columns 1 and 2 of (…, 4, 4) camera to world, are negated; the
    world and the camera's place stay. Of world-to-camera poses these are rows: invert first.
    """
    return cam_2_world.astype(np.float64) @ _FLIP_Y_AND_Z


def opengl_to_opencv(cam_2_world: FloatArray) -> npt.NDArray[np.float64]:
    """The same camera with OpenCV's axes (x right, y down, z forward), from OpenGL's."""
    return cam_2_world.astype(np.float64) @ _FLIP_Y_AND_Z


def scale_intrinsics(
    intrinsics: FloatArray, scale: float | tuple[float, float]
) -> npt.NDArray[np.float64]:
    """The intrinsics of a resized image.

    Pixel (0, 0) is the centre of the first pixel, so the image begins at -0.5 and a position x
    becomes (x + 0.5) · scale - 0.5. (dreifus' ``rescale`` multiplies cx and cy alone, which is
    half a pixel · (1 - scale) beside this: right where (0, 0) is the first pixel's corner.)

    Args:
        intrinsics: (…, 3, 3), pixels.
        scale: new size / old size, both as they really are after rounding; or (x, y).

    Returns:
        (…, 3, 3) float64.

    Raises:
        ValueError: a scale that is not positive and finite.
    """
    scale_x, scale_y = scale if isinstance(scale, tuple) else (scale, scale)
    if not (0 < scale_x < np.inf and 0 < scale_y < np.inf):
        raise ValueError(f"a scale is positive and finite, not {scale}")
    to_scaled = np.array(
        [[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1]]
    )
    return to_scaled @ intrinsics


def crop_intrinsics(intrinsics: FloatArray, left: float, top: float) -> npt.NDArray[np.float64]:
    """The intrinsics (…, 3, 3) float64 of ``image[top:, left:]``; negative numbers mean padding."""
    to_cropped = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64)
    return to_cropped @ intrinsics
