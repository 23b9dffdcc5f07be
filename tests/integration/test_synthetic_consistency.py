"""Pointclouds, images, alpha maps and cameras of the stand-in show one and the same head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.formats.cameras import load_camera_calibration, project
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud, read_pointcloud
from nersemble_async.synthetic.dataset import synthesize
from nersemble_async.synthetic.scale import SCALES
from tests.support.videos import decode_frame

NVS = BENCHMARKS["nvs"]
SCALE = replace(SCALES["small"], nvs_frames=2, nvs_width=132, n_points=6000, crf=6)
# Far left, near the centre, far right; both rows.
SERIALS = ("222200042", "222200041", "222200038", "221501007")
MOVING = (SequenceKey(388, "GLASSES"), SequenceKey(443, "FREE"))


class View(NamedTuple):
    """A pointcloud as one camera sees it, and that camera's picture."""

    cloud: Pointcloud
    pixels: npt.NDArray[np.float64]
    depth: npt.NDArray[np.float64]
    towards_camera: npt.NDArray[np.float64]
    image: npt.NDArray[np.uint8]
    alpha_map: npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("consistency")
    synthesize(folder, SCALE, tasks=["nvs"])
    return folder


def view(
    root: Path, key: SequenceKey, serial: str, *, cloud_at: int = 0, frame_at: int = 0
) -> View:
    participant_id, name = key.participant_id, key.sequence_name
    calibration = load_camera_calibration(root / NVS.path("calibration", participant_id))
    cloud = read_pointcloud(root / NVS.path("pointclouds", participant_id, name, timestep=cloud_at))
    pixels, depth = project(
        cloud.points, calibration.world_2_cam[serial], calibration.intrinsics[serial]
    )
    rays = calibration.camera_position(serial) - cloud.points
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    images, alpha_maps = (
        decode_frame(root / NVS.path(asset, participant_id, name, serial), frame_at)
        for asset in ("images", "alpha_maps")
    )
    towards_camera = (rays * cloud.normals).sum(axis=1)
    return View(cloud, pixels, depth, towards_camera, images, alpha_maps[:, :, 0])


def share_on_head(seen: View, reach: int = 1) -> float:
    """Of all points, those with alpha above a half within ``reach`` pixels."""
    height, width = seen.alpha_map.shape
    x, y = np.rint(seen.pixels).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    on_head = np.zeros(len(x), np.bool_)
    for shift_x in range(-reach, reach + 1):
        for shift_y in range(-reach, reach + 1):
            near_x, near_y = np.clip(x + shift_x, 0, width - 1), np.clip(y + shift_y, 0, height - 1)
            on_head |= seen.alpha_map[near_y, near_x] > 127
    return float((on_head & inside).mean())


def color_errors(seen: View) -> npt.NDArray[np.float64]:
    """Levels between each visible, front-facing point and its pixel, mean of R, G and B."""
    x, y = np.rint(seen.pixels).astype(int).T
    # A point is hidden where another within a few pixels is clearly nearer.
    cells = (y // 4) * 10_000 + x // 4
    _, cell_of = np.unique(cells, return_inverse=True)
    nearest = np.full(cell_of.max() + 1, np.inf)
    np.minimum.at(nearest, cell_of, seen.depth)
    visible = (seen.depth < nearest[cell_of] + 0.01) & (seen.towards_camera > 0.5)
    assert visible.sum() > 300
    in_picture = seen.image[y[visible], x[visible]].astype(float)
    errors: npt.NDArray[np.float64] = np.abs(in_picture - seen.cloud.colors[visible] * 255)
    means: npt.NDArray[np.float64] = errors.mean(axis=1)
    return means


@pytest.mark.parametrize("serial", SERIALS)
@pytest.mark.parametrize("key", MOVING, ids=lambda key: str(key.participant_id))
@pytest.mark.parametrize("timestep", [0, 1])
def test_colors_agree_at_every_timestep(
    root: Path, key: SequenceKey, serial: str, timestep: int
) -> None:
    seen = view(root, key, serial, cloud_at=timestep, frame_at=timestep)
    assert share_on_head(seen) >= 0.99
    errors = color_errors(seen)
    # A pixel is 2.6 mm wide here and chroma has half the resolution: edges of stripes, eyes and
    # hair differ, the rest is within what H.264 and the conversion to yuv420p leave.
    assert np.median(errors) < 5
    assert np.quantile(errors, 0.9) < 30


@pytest.mark.parametrize("key", MOVING, ids=lambda key: str(key.participant_id))
def test_the_head_has_moved_between_timesteps(root: Path, key: SequenceKey) -> None:
    right = color_errors(view(root, key, "222200041", cloud_at=1, frame_at=1))
    wrong = color_errors(view(root, key, "222200041", cloud_at=0, frame_at=1))
    assert np.median(wrong) > 1.3 * np.median(right)


def test_a_wrong_camera_does_not_pass(root: Path) -> None:
    seen = view(root, MOVING[0], "222200042")
    other = view(root, MOVING[0], "221501007")
    mixed = seen._replace(image=other.image, alpha_map=other.alpha_map)
    assert share_on_head(mixed) < 0.99
    assert np.median(color_errors(mixed)) > 10
