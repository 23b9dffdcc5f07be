"""The synthetic FLAME has FLAME's shape and the stand-in's head, wherever its tracking says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.formats.cameras import project
from nersemble_async.formats.flame.model import FlameModel, load_flame_model
from nersemble_async.formats.flame.provider import FlameProvider
from nersemble_async.synthetic.flame_model import write_synthetic_flame
from nersemble_async.synthetic.head_shape import HeadShape
from nersemble_async.synthetic.rig import rig_cameras
from nersemble_async.synthetic.scene import Scene, sequence_scene

N_FRAMES = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flame") / "made"
    write_synthetic_flame(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> FlameModel:
    return load_flame_model(folder)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A bald head that speaks and turns."""
    return sequence_scene("mono_flame_avatar", SequenceKey(486, "FREE"), N_FRAMES, 0)


@pytest.fixture(scope="module")
def provider(model: FlameModel, scene: Scene) -> FlameProvider:
    tracking = scene.flame_tracking(N_FRAMES, np.random.default_rng(0), 0.001)
    return FlameProvider(tracking, model=model)


def test_the_same_seed_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    write_synthetic_flame(tmp_path)
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_the_seed_changes_components_and_no_head(model: FlameModel, tmp_path: Path) -> None:
    write_synthetic_flame(tmp_path, seed=1)
    other = load_flame_model(tmp_path)
    np.testing.assert_array_equal(other.v_template, model.v_template)
    assert np.abs(other.shapedirs - model.shapedirs).max() > 1e-4


def test_the_mesh_is_one_surface_that_is_open_at_the_neck(model: FlameModel) -> None:
    faces = model.faces
    assert len(np.unique(faces)) == 5023
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    # Neighbours run along their edge in opposite directions, or one of them is turned over.
    assert len(np.unique(edges, axis=0)) == len(edges)
    _, counts = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    assert set(counts.tolist()) == {1, 2}
    assert (counts == 1).sum() == 68
    assert 5023 - len(counts) + 9976 == 1
    open_edges = model.v_template[model.v_template[:, 1] < -0.09]
    assert len(open_edges) > 68


def test_faces_look_outward(model: FlameModel) -> None:
    a, b, c = model.v_template[model.faces].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    assert (np.linalg.norm(normals, axis=1) > 0).all()
    assert (np.einsum("ij,ij->i", normals, (a + b + c) / 3 - [0, 0, -0.01]) > 0).all()


def test_weights_and_joints_are_a_head_s(model: FlameModel) -> None:
    np.testing.assert_allclose(model.weights.sum(axis=1), 1, atol=1e-6)
    assert model.weights.min() >= 0
    assert (model.weights.max(axis=0) > 0.9).all()
    root, neck, jaw, left_eye, right_eye = model.joint_regressor @ model.v_template
    assert root[1] < neck[1] < jaw[1] < left_eye[1]
    np.testing.assert_allclose(left_eye, right_eye * [-1, 1, 1], atol=1e-6)
    assert left_eye[0] > 0.02


def test_it_lies_on_the_head_that_is_rendered(scene: Scene, provider: FlameProvider) -> None:
    vertices = provider.get_all_vertices()
    front = provider.flame_model.v_template[:, 2] > 0.03
    for index in range(0, N_FRAMES, 5):
        shape = HeadShape(scene.anatomy, scene.state(index))
        distance = np.abs(shape.distance(np.ascontiguousarray(vertices[index, front].T)))
        assert np.median(distance) < 0.003
        assert np.quantile(distance, 0.95) < 0.010


def test_it_covers_the_face_in_the_pictures(scene: Scene, provider: FlameProvider) -> None:
    camera = rig_cameras((110, 160), 0.34, np.random.default_rng(0))["222200037"]
    for index in (0, 11, 23):
        alpha = scene.render(index, camera).alpha_map
        pixels, _ = project(provider.get_vertices(index), camera.world_2_cam, camera.intrinsics)
        column, row = np.rint(pixels).astype(int).T
        inside = (column >= 0) & (column < 110) & (row >= 0) & (row < 160)
        assert inside.mean() > 0.9
        assert (alpha[row[inside], column[inside]] > 0).mean() > 0.95


def test_the_jaw_opens_the_mouth(model: FlameModel) -> None:
    zeros = np.zeros((2, 3))
    jaw = np.array([[0, 0, 0], [0.3, 0, 0]])
    marks = model.landmarks(np.zeros((1, 300)), np.zeros((2, 100)), jaw, zeros, np.zeros((2, 6)))
    closed, opened = marks
    upper, lower, chin = 17 + 34, 17 + 40, 8
    assert abs(closed[upper] - opened[upper]).max() < 0.002
    assert closed[lower, 1] - opened[lower, 1] > 0.01
    assert closed[chin, 1] - opened[chin, 1] > 0.01


def test_landmarks_are_where_their_names_say(model: FlameModel) -> None:
    marks = model.landmarks(
        np.zeros((1, 300)), *(np.zeros((1, width)) for width in (100, 3, 3, 6))
    )[0]
    x, y, z = marks.T
    # iBUG's order starts on the viewer's left, at the person's right.
    assert x[0] < -0.04 < 0.04 < x[16]
    assert y[8] < y[[0, 16, 30, 57]].min()
    assert x[17:22].max() < 0 < x[22:27].min()
    assert z[30] > np.delete(z, [30, 29, 33]).max()
    assert x[36:42].max() < 0 < x[42:48].min()
    assert y[17:27].min() > y[36:48].max() > y[36:48].min() > y[48:].max()
    assert x[48] < x[51] < x[54]
    assert y[57] < y[51]
