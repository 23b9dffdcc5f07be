"""Camera calibrations: camera_params.json as arrays, and the projection that they mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.metadata import parse_camera_params

FloatArray = npt.NDArray[np.floating]


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
