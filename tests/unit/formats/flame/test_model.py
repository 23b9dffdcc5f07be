"""The FLAME model: its files are checked, and its numbers are those of the formula in float64."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nersemble_async.errors import DecodeError, NotCachedError
from nersemble_async.formats.flame.model import (
    CONTOUR_LANDMARKS_FILE,
    MODEL_FILE,
    STATIC_LANDMARKS_FILE,
    FlameModel,
    load_flame_model,
)
from nersemble_async.formats.flame.skinning import euler_rotations, rotation_matrices
from tests.support.flame import dumps_like_python_2, random_tracking

Floats = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def model(flame_folder: Path) -> FlameModel:
    return load_flame_model(flame_folder)


def rotation_of(vector: Floats) -> Floats:
    """Rodrigues, in its textbook form."""
    angle = float(np.linalg.norm(vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: Floats = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return rotation


def reference(model: FlameModel, shape: Any, expression: Any, pose: Any) -> Floats:
    """(5023, 3) of one frame, vertex by vertex transformations, float64; ``pose`` is (5, 3)."""
    betas = np.concatenate([shape, expression]).astype(np.float64)
    shaped = model.v_template + model.shapedirs.astype(np.float64) @ betas
    joints = model.joint_regressor @ shaped
    rotations = [rotation_of(vector.astype(np.float64)) for vector in pose]
    bent = np.concatenate([(rotation - np.eye(3)).ravel() for rotation in rotations[1:]])
    posed = shaped + model.posedirs.astype(np.float64) @ bent
    chain: list[Floats] = []
    for joint, parent in enumerate(model.parents):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        chain.append(chain[parent] @ local if parent >= 0 else local)
    for joint, matrix in enumerate(chain):
        matrix[:3, 3] -= matrix[:3, :3] @ joints[joint]
    blended = np.einsum("vj,jkl->vkl", model.weights.astype(np.float64), np.array(chain))
    vertices: Floats = np.einsum("vkl,vl->vk", blended[:, :3, :3], posed) + blended[:, :3, 3]
    return vertices


@pytest.mark.parametrize("n_frames", [1, 2, 16, 17, 37])
def test_vertices_are_the_formula_s(model: FlameModel, n_frames: int) -> None:
    t = random_tracking(n_frames, seed=n_frames)
    vertices = model.evaluate(t.shape, t.expression, t.jaw, t.neck, t.eyes, rotation=t.rotation)
    assert vertices.shape == (n_frames, 5023, 3)
    assert vertices.dtype == np.float32
    for index in {0, n_frames // 2, n_frames - 1}:
        pose = np.concatenate([t.rotation[index], t.neck[index], t.jaw[index], t.eyes[index]])
        expected = reference(model, t.shape[0], t.expression[index], pose.reshape(5, 3))
        assert np.abs(vertices[index] - expected).max() < 5e-7


def test_the_world_s_transformation_is_applied_last(model: FlameModel) -> None:
    t = random_tracking(3)
    world = np.tile(np.eye(4), (3, 1, 1))
    world[:, :3, :3] = euler_rotations(t.rotation) * 1.25
    world[:, :3, 3] = t.translation
    arguments = (t.shape, t.expression, t.jaw, t.neck, t.eyes)
    for evaluate in (model.evaluate, model.landmarks):
        local = evaluate(*arguments)
        expected = np.einsum("tij,tvj->tvi", world[:, :3, :3], local) + world[:, None, :3, 3]
        actual = evaluate(*arguments, model_to_world=world)
        assert np.abs(actual - expected).max() < 1e-6


def test_no_frames_are_no_frames(model: FlameModel) -> None:
    t = random_tracking(0)
    arguments = (t.shape, t.expression, t.jaw, t.neck, t.eyes)
    assert model.evaluate(*arguments).shape == (0, 5023, 3)
    assert model.landmarks(*arguments).shape == (0, 68, 3)


@pytest.mark.parametrize(
    ("degrees", "row"),
    [(0, 0), (-0.4, 0), (-1, 1), (-38.6, 39), (-70, 39), (1, 40), (38.6, 78), (70, 78), (22, 61)],
)
def test_the_contour_follows_how_far_root_and_neck_turn(
    model: FlameModel, degrees: float, row: int
) -> None:
    t = random_tracking(1)
    half = np.array([[0, np.radians(degrees) / 2, 0]])
    arguments = (t.shape, t.expression, t.jaw, half, t.eyes)
    landmarks = model.landmarks(*arguments, rotation=half)[0]
    vertices = model.evaluate(*arguments, rotation=half)[0]
    corners = vertices[model.faces[model.contour_faces[row]]]
    contour = np.einsum("lcx,lc->lx", corners, model.contour_weights[row])
    static = np.einsum(
        "lcx,lc->lx", vertices[model.faces[model.static_faces]], model.static_weights
    )
    assert landmarks.dtype == np.float32
    np.testing.assert_allclose(landmarks, np.concatenate([contour, static]), atol=2e-7)


def test_rotations_of_any_size() -> None:
    vectors = np.array([[0, 0, 0], [1e-12, 0, 0], [1e-4, 2e-4, 0], [0.3, -2, 1], [0, np.pi, 0]])
    expected = [rotation_of(vector) for vector in vectors]
    np.testing.assert_allclose(rotation_matrices(vectors), expected, atol=1e-15)
    np.testing.assert_allclose(
        euler_rotations(vectors)[3],
        rotation_of(np.array([0.3, 0, 0]))
        @ rotation_of(np.array([0, -2.0, 0]))
        @ rotation_of(np.array([0, 0, 1.0])),
        atol=1e-15,
    )


def test_arrays_of_other_shapes_are_named(model: FlameModel) -> None:
    t = random_tracking(2)
    good = {name: getattr(t, name) for name in ("shape", "expression", "jaw", "neck", "eyes")}
    for name, wrong in (
        ("shape", np.zeros((2, 300))),
        ("expression", np.zeros((2, 50))),
        ("jaw", t.jaw[:1]),
        ("neck", t.neck[0]),
        ("eyes", np.zeros((2, 3))),
        ("rotation", np.zeros((3, 3))),
        ("model_to_world", np.eye(4)),
    ):
        with pytest.raises(ValueError, match=name):
            model.evaluate(**{**good, name: wrong})


def test_it_shows_shapes_and_no_numbers(model: FlameModel) -> None:
    assert "shapedirs=float32 (5023, 3, 400)" in repr(model)
    assert len(repr(model)) < 300


@pytest.mark.parametrize(
    ("missing", "source"),
    [
        (MODEL_FILE, "https://flame.is.tue.mpg.de/download.php"),
        (STATIC_LANDMARKS_FILE, "soubhiksanyal/RingNet"),
        (CONTOUR_LANDMARKS_FILE, "soubhiksanyal/RingNet"),
    ],
)
def test_a_missing_file_is_named_with_its_source(
    flame_folder: Path, tmp_path: Path, missing: str, source: str
) -> None:
    for path in flame_folder.iterdir():
        if path.name != missing:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(NotCachedError) as caught:
        load_flame_model(tmp_path)
    message = str(caught.value)
    assert f"{missing} from" in message
    assert source in message
    assert str(tmp_path) in message
    assert message.count(" from ") == 1
    assert isinstance(caught.value, FileNotFoundError)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_folder_is_the_official_one_unless_told() -> None:
    with pytest.raises(NotCachedError, match=str(Path.home() / ".cache" / "FLAME")):
        load_flame_model()


@pytest.fixture
def own_folder(flame_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(flame_folder, tmp_path / "FLAME"))


def change(path: Path, **changes: Any) -> None:
    """Rewrite a pickled dict with other members; None takes one away."""
    content = {**pickle.loads(path.read_bytes()), **changes}
    kept = {name: value for name, value in content.items() if value is not None}
    path.write_bytes(pickle.dumps(kept))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"v_template": np.zeros((6890, 3))}, r"v_template is \(6890, 3\), not \(5023, 3\)"),
        ({"shapedirs": np.zeros((5023, 3, 150))}, r"shapedirs is \(5023, 3, 150\)"),
        ({"weights": np.full((5023, 5), np.nan)}, "weights has numbers that are not finite"),
        ({"f": np.full((9976, 3), 5023)}, "f has indices beyond 0 to 5022"),
        ({"f": np.full((9976, 3), -1)}, "f has indices beyond 0 to 5022"),
        ({"f": np.full((9976, 3), 0.5)}, "f has indices beyond 0 to 5022"),
        ({"kintree_table": np.zeros((2, 5)) + 3}, "kintree_table names"),
        ({"posedirs": None}, "it lacks posedirs"),
        ({"v_template": "text"}, "v_template: no array but str"),
    ],
)
def test_a_model_that_is_not_flame_2023(
    own_folder: Path, changes: dict[str, Any], reason: str
) -> None:
    path = own_folder / MODEL_FILE
    change(path, **changes)
    with pytest.raises(DecodeError, match=reason) as caught:
        load_flame_model(own_folder)
    assert str(path) in str(caught.value)


def test_landmarks_on_faces_that_there_are_not(own_folder: Path) -> None:
    change(own_folder / STATIC_LANDMARKS_FILE, lmk_face_idx=np.full(51, 9976))
    with pytest.raises(DecodeError, match="lmk_face_idx has indices beyond 0 to 9975"):
        load_flame_model(own_folder)


def test_files_as_python_2_wrote_them(model: FlameModel, own_folder: Path) -> None:
    path = own_folder / MODEL_FILE
    path.write_bytes(dumps_like_python_2(pickle.loads(path.read_bytes()), 2))
    same = load_flame_model(own_folder)
    for name in ("v_template", "faces", "shapedirs", "posedirs", "joint_regressor", "weights"):
        np.testing.assert_array_equal(getattr(same, name), getattr(model, name))
    assert same.parents == model.parents == (-1, 0, 1, 1, 1)
