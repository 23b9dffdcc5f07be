"""Meshes by themselves: whole, the near side in front, upright where landmarks say so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from nersemble_async.preview.mesh_picture import draw_shaded_mesh
from nersemble_async.preview.sheet import RgbImage

SIZE = (60, 80)
QUAD_FACES = np.array([[0, 1, 2], [0, 2, 3]])


def quad(width: float, height: float, z: float) -> npt.NDArray[np.float64]:
    """A rectangle around the origin."""
    x, y = width / 2, height / 2
    return np.array([[-x, -y, z], [x, -y, z], [x, y, z], [-x, y, z]])


def covered(image: RgbImage) -> npt.NDArray[np.bool_]:
    drawn: npt.NDArray[np.bool_] = image.min(axis=2) < 250
    return drawn


def box_of(image: RgbImage) -> tuple[int, int]:
    """Width and height of what is drawn."""
    rows, columns = np.nonzero(covered(image))
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


@pytest.mark.parametrize("metres", [1.0, 1000.0, 1e-6, 1e300])
def test_a_mesh_of_any_unit_fills_the_picture_without_holes(metres: float) -> None:
    image = draw_shaded_mesh(quad(0.2, 0.2, 0) * metres, QUAD_FACES, SIZE)
    assert image.shape == (80, 60, 3)
    width, height = box_of(image)
    assert abs(width - 0.86 * 60) <= 2
    assert abs(height - width) <= 1
    assert covered(image).sum() == width * height


def test_long_thin_and_many_small_faces_leave_no_holes() -> None:
    steps = np.linspace(-1, 1, 41)
    x, y = np.meshgrid(steps, steps)
    vertices = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1)
    at = np.arange(41 * 41).reshape(41, 41)
    corners = [at[:-1, :-1], at[:-1, 1:], at[1:, 1:], at[1:, :-1]]
    a, b, c, d = (each.ravel() for each in corners)
    small = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    fan = np.stack([np.zeros(40, int), at[-1, :-1], at[-1, 1:]], axis=1)  # half of the square
    for faces, share in ((small, 1.0), (fan, 0.5)):
        image = draw_shaded_mesh(vertices, faces, SIZE)
        assert covered(image).sum() == pytest.approx(share * 51.6**2, rel=0.06)


def test_the_nearer_surface_hides_the_other_whatever_the_order() -> None:
    near, far = quad(1, 1, 0.2), quad(2, 2, -0.2)
    far[:2, 2] -= 1.5  # tilted: it is darker
    for first, second in ((near, far), (far, near)):
        vertices = np.concatenate([first, second])
        image = draw_shaded_mesh(vertices, np.concatenate([QUAD_FACES, QUAD_FACES + 4]), SIZE)
        assert image[40, 30].mean() > image[40, 8].mean() + 20
        alone = draw_shaded_mesh(np.concatenate([far, far]), QUAD_FACES, SIZE)
        assert np.abs(image[40, 8].astype(int) - alone[40, 8]).max() <= 2


def test_landmarks_tell_where_up_is_and_are_drawn() -> None:
    wide = quad(2, 1, 0)
    face = np.array(
        [[-3, 2, 0], [-1, 2, 0], [1, 2, 0], [3, 2, 0], [0, 0, 0], [-1, -2, 0], [1, -2, 0]]
    )
    turned = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # by 90 degrees
    for axes in (np.eye(3), turned):
        image = draw_shaded_mesh(wide @ axes, QUAD_FACES, SIZE, face / 10 @ axes)
        width, height = box_of(image)
        assert width == pytest.approx(2 * height, abs=2)
        red = (image[..., 0] > 180) & (image[..., 1] < 110)
        assert red.sum() >= 7
    width, height = box_of(draw_shaded_mesh(wide @ turned, QUAD_FACES, SIZE))
    assert height == pytest.approx(2 * width, abs=2)


def test_landmarks_in_one_point_and_meshes_without_faces_are_drawn_all_the_same() -> None:
    image = draw_shaded_mesh(quad(1, 1, 0), QUAD_FACES, SIZE, np.zeros((7, 3)))
    assert covered(image).any()
    no_faces = np.empty((0, 3), np.int64)
    assert covered(draw_shaded_mesh(quad(1, 1, 0), no_faces, SIZE)).sum() <= 16
    assert not covered(draw_shaded_mesh(np.zeros((1, 3)), no_faces, SIZE))[:30].any()
