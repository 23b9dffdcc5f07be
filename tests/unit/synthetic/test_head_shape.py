"""The geometry behind the stand-in: distances, normals and the bounds of rays agree."""

from __future__ import annotations

import numpy as np
import pytest

from nersemble_async.formats.cameras import project
from nersemble_async.synthetic.anatomy import Anatomy
from nersemble_async.synthetic.ellipsoids import FloatArray
from nersemble_async.synthetic.head_shape import HeadShape
from nersemble_async.synthetic.motion import HeadState
from nersemble_async.synthetic.point_sampler import sample_points
from nersemble_async.synthetic.ray_marching import Camera, march
from nersemble_async.synthetic.rig import rig_cameras

STYLES = ["short", "long", "bun", "afro", "bald"]
STATE = HeadState(rotation=(0.1, 0.4, -0.1), translation=(0.01, 0.0, -0.01), jaw=0.25, smile=0.5)


def shape_of(style: str) -> HeadShape:
    return HeadShape(Anatomy(1.03, 0.98, 1.1, 1.2, 1.0, style), STATE)


def camera_of(width: int) -> Camera:
    size = (width, 2 * width)
    return rig_cameras(size, 0.34, np.random.default_rng(0))["222200047"]


def surface_points(shape: HeadShape, width: int = 40) -> FloatArray:
    camera = camera_of(width)
    pixels = np.arange(width * 2 * width, dtype=np.float64)
    rays = camera.rays(pixels % width, pixels // width)
    points, coverage, _ = march(shape, rays, np.float32(1e-4))
    return points[:, coverage >= 1]


@pytest.mark.parametrize("style", STYLES)
def test_marched_points_lie_on_the_surface(style: str) -> None:
    shape = shape_of(style)
    points = surface_points(shape)
    assert points.shape[1] > 500
    distances = np.abs(shape.distance(points))
    assert np.quantile(distances, 0.95) < 2e-4
    # Only rays that graze the surface end a little below it.
    assert distances.max() < 3e-3


@pytest.mark.parametrize("style", STYLES)
def test_sampled_points_are_on_the_surface_and_in_every_frame(style: str) -> None:
    shape = shape_of(style)
    cameras = list(rig_cameras((110, 160), 0.34, np.random.default_rng(0)).values())
    points = sample_points(shape, cameras, 700, np.random.default_rng(1))
    assert points.shape == (3, 700)
    assert np.quantile(np.abs(shape.distance(points)), 0.99) < 5e-4
    for camera in cameras:
        pixels, depth = project(points.T, camera.world_2_cam, camera.intrinsics)
        assert (depth > 0.5).all()
        assert (pixels > 0.5).all()
        assert (pixels < (108.5, 158.5)).all()


@pytest.mark.parametrize("style", STYLES)
def test_normals_are_the_gradient_of_the_distance(style: str) -> None:
    shape = shape_of(style)
    points = surface_points(shape)
    normals = shape.surface(points).normals
    assert np.allclose(np.linalg.norm(normals, axis=0), 1, atol=1e-4)
    step = np.float32(2e-3)
    slopes = [
        shape.distance(points + step * np.eye(3, dtype=np.float32)[:, [axis]])
        - shape.distance(points - step * np.eye(3, dtype=np.float32)[:, [axis]])
        for axis in range(3)
    ]
    numeric = np.array(slopes)
    numeric /= np.linalg.norm(numeric, axis=0)
    cosines = (normals * numeric).sum(axis=0)
    # Both are approximate where parts meet; nearly everywhere they point the same way.
    assert np.quantile(cosines, 0.05) > 0.97
    assert np.median(cosines) > 0.999


def test_inside_is_negative_and_far_is_far() -> None:
    shape = shape_of("short")
    points = np.array([[0, 0, 0], [0, 0, 1], [0, 0.5, 0]], np.float32).T
    inside, ahead, above = shape.distance(points)
    assert inside < -0.03
    assert ahead > 0.5
    assert above > 0.2


@pytest.mark.parametrize("style", STYLES)
def test_bounds_of_rays_lose_nothing(style: str) -> None:
    shape = shape_of(style)
    camera = camera_of(48)
    pixels = np.arange(48 * 96, dtype=np.float64)
    rays = camera.rays(pixels % 48, pixels // 48)
    enter, leave = shape.ray_bounds(rays.origin, rays.directions)
    # A dense walk along every ray: whatever is inside the shape lies between the bounds.
    origin = rays.origin.astype(np.float32)[:, None]
    for depth in np.arange(0.6, 1.5, 0.004, dtype=np.float32):
        inside = shape.distance(origin + depth * rays.directions) < 0
        assert (enter[inside] <= depth).all()
        assert (leave[inside] >= depth).all()


def test_the_head_moves_with_its_state() -> None:
    still, turned = (
        HeadShape(Anatomy(1, 1, 1, 1, 1, "bald"), state)
        for state in (HeadState(), HeadState(rotation=(0, 0.5, 0), translation=(0.02, 0, 0)))
    )
    nose = np.array([[0], [-0.016], [0.111]], np.float32)
    assert abs(still.distance(nose)[0]) < 0.01
    turned_nose = np.array(
        [[0.02 + np.sin(0.5) * 0.111], [-0.016], [np.cos(0.5) * 0.111]], np.float32
    )
    assert turned.distance(turned_nose)[0] == pytest.approx(still.distance(nose)[0], abs=1e-5)
