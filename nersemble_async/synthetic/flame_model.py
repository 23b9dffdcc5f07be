"""A FLAME model without a licence: FLAME's files with the stand-in's head and invented components.

Shapes, joints and landmark order are those of FLAME 2023, so that code for it runs; its numbers are
not. The trackings that `scene` makes drive it as the stand-in's heads move.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.formats.flame.model import (
    CONTOUR_LANDMARKS_FILE,
    MODEL_FILE,
    STATIC_LANDMARKS_FILE,
)
from nersemble_async.synthetic.anatomy import Anatomy
from nersemble_async.synthetic.flame_landmarks import contour_embedding, static_embedding
from nersemble_async.synthetic.head_shape import HeadShape
from nersemble_async.synthetic.motion import HeadState

Floats = npt.NDArray[np.float64]
Faces = npt.NDArray[np.uint32]

_N_RINGS, _N_SEGMENTS, _N_INSERTED = 73, 68, 58
"""1 + 73 × 68 + 58 vertices and 68 + 72 × 136 + 58 × 2 faces: FLAME's 5023 and 9976."""
_ORIGIN = np.array([0.0, 0.0, -0.010])
"""Inside the head; every vertex lies where the ray to it leaves the head."""
_FRONT_END, _BACK_END = np.radians(160), np.radians(142)
"""From the top of the head down: where the neck is open."""
_JOINTS = np.array(
    [
        [0.0, -0.120, -0.026],
        [0.0, -0.060, -0.026],
        [0.0, -0.020, 0.0],
        [0.030, 0.014, 0.076],
        [-0.030, 0.014, 0.076],
    ]
)
"""Root, neck, jaw, left eye, right eye; the jaw and the eyes where `anatomy` has them."""
_PARENTS = (2**32 - 1, 0, 1, 1, 1)
_N_IDENTITY, _N_EXPRESSION, _N_POSE = 300, 100, 36
_SLICE_METRES = 0.01
_PROTOCOL = 4


def write_synthetic_flame(folder: Path, seed: int = 0) -> None:
    """Write flame2023.pkl and the two landmark embeddings, some 30 MB, replacing what is there.

    Both the official flame-model and `load_flame_model` read them. The first three expression
    components smile, lift the brows and pucker the lips.

    Args:
        folder: is made where it does not exist.
        seed: of the invented components; the head itself does not depend on it.
    """
    rng = np.random.default_rng(seed)
    faces, directions = _topology()
    head = _outline(HeadState(), directions)
    drawn = [
        (_outline(state, directions) - head) / 2
        for state in (HeadState(smile=1), HeadState(brow=1), HeadState(pucker=1))
    ]
    face = _rising(head[:, 2], 0.02, 0.06)[:, None, None]
    identity = _waves(head, _N_IDENTITY, rng) * 0.0006 * np.exp(-np.arange(_N_IDENTITY) / 100)
    others = _waves(head, _N_EXPRESSION - len(drawn), rng) * 0.0004 * face
    expression = np.concatenate([np.stack(drawn, axis=2), others], axis=2)
    model = {
        "v_template": head,
        "f": faces,
        "shapedirs": np.concatenate([identity, expression], axis=2).astype(np.float32),
        "posedirs": (_waves(head, _N_POSE, rng) * 0.0003).astype(np.float32),
        "J_regressor": _joint_regressor(head),
        "kintree_table": np.array([_PARENTS, range(len(_PARENTS))], np.uint32),
        "weights": _weights(head),
    }
    folder.mkdir(parents=True, exist_ok=True)
    static, contour = static_embedding(head, faces), contour_embedding(head, faces)
    (folder / MODEL_FILE).write_bytes(pickle.dumps(model, _PROTOCOL))
    (folder / STATIC_LANDMARKS_FILE).write_bytes(pickle.dumps(static, _PROTOCOL))
    with (folder / CONTOUR_LANDMARKS_FILE).open("wb") as file:
        np.save(file, np.array(contour, dtype=object), allow_pickle=True)


def _topology() -> tuple[Faces, Floats]:
    """Faces (9976, 3), outward, and the directions (5023, 3) of their vertices from the origin."""
    turn = np.linspace(-np.pi, np.pi, _N_SEGMENTS, endpoint=False)
    azimuth = turn - 0.5 * np.sin(turn)  # twice as dense in the face as at the back
    end = (_FRONT_END + _BACK_END) / 2 + (_FRONT_END - _BACK_END) / 2 * np.cos(azimuth)
    polar = np.arange(1, _N_RINGS + 1)[:, None] / _N_RINGS * end
    grid = np.stack(
        [np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], axis=2
    )
    directions = np.concatenate([[[0.0, 1.0, 0.0]], grid.reshape(-1, 3)])

    index = 1 + np.arange(_N_RINGS * _N_SEGMENTS).reshape(_N_RINGS, _N_SEGMENTS)
    following = np.roll(index, -1, axis=1)
    cap = np.stack([np.zeros_like(index[0]), index[0], following[0]], axis=1)
    upper = np.stack([index[:-1], index[1:], following[:-1]], axis=2)
    lower = np.stack([following[:-1], index[1:], following[1:]], axis=2)
    faces = np.concatenate([cap, upper.reshape(-1, 3), lower.reshape(-1, 3)])

    # The faces at the nose's tip are split into three, to come to FLAME's numbers.
    middles = directions[faces].mean(axis=1)
    chosen = np.sort(np.argsort(-middles @ [0.0, -0.1, 1.0], kind="stable")[:_N_INSERTED])
    inserted = len(directions) + np.arange(_N_INSERTED)
    a, b, c = faces[chosen].T
    faces[chosen] = np.stack([a, b, inserted], axis=1)
    others = [np.stack(corners, axis=1) for corners in ((b, c, inserted), (c, a, inserted))]
    directions = np.concatenate([directions, middles[chosen]])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.concatenate([faces, *others]).astype(np.uint32), directions


def _outline(state: HeadState, directions: Floats) -> Floats:
    """(V, 3) where rays from the origin first leave a hairless, average head."""
    anatomy = Anatomy(width=1, length=1, jaw=1, nose=1, ears=1, hair="bald")
    shape = HeadShape(anatomy, state)

    def is_outside(depth: Floats) -> npt.NDArray[np.bool_]:
        points = _ORIGIN[:, None] + directions.T * depth
        return shape.distance(points.astype(np.float32)) > 0

    near = np.zeros(len(directions))
    leaving = np.zeros(len(directions), np.bool_)
    step = 0.004
    for depth in np.arange(0.04, 0.25, step):
        leaving |= is_outside(np.full(len(directions), depth))
        near[~leaving] = depth
    far = near + step
    for _ in range(12):
        middle = (near + far) / 2
        outside = is_outside(middle)
        near, far = np.where(outside, near, middle), np.where(outside, middle, far)
    return _ORIGIN + directions * ((near + far) / 2)[:, None]


def _rising(values: Floats, zero_at: float, one_at: float) -> Floats:
    """A smooth step from 0 to 1."""
    share: Floats = np.clip((values - zero_at) / (one_at - zero_at), 0, 1)
    return share * share * (3 - 2 * share)


def _waves(head: Floats, n_components: int, rng: np.random.Generator) -> Floats:
    """(V, 3, n) smooth random displacements of about 1."""
    waves = rng.normal(0, 2 * np.pi / 0.15, (3, n_components))
    directions = rng.normal(size=(3, n_components))
    directions /= np.linalg.norm(directions, axis=0)
    phases = rng.uniform(0, 2 * np.pi, n_components)
    return np.sin(head @ waves + phases)[:, None] * directions


def _weights(head: Floats) -> Floats:
    """(V, 5) of the joints, each row's sum is 1."""
    y, z = head[:, 1], head[:, 2]
    weights = np.zeros((len(head), len(_JOINTS)))
    below_lips = _rising(y, -0.046, -0.056) * _rising(y, -0.130, -0.105)
    weights[:, 2] = below_lips * _rising(z, 0.0, 0.035)
    for joint in (3, 4):
        distance = np.linalg.norm(head - _JOINTS[joint], axis=1)
        weights[:, joint] = _rising(distance - distance.min(), 0.005, 0.001)
    rest = 1 - weights.sum(axis=1)
    weights[:, 1] = rest * _rising(y, -0.098, -0.06)
    weights[:, 0] = rest - weights[:, 1]
    return weights


def _joint_regressor(head: Floats) -> Floats:
    """(5, V) the smallest weights of the vertices around a joint whose mean is the joint."""
    regressor = np.zeros((len(_JOINTS), len(head)))
    for joint, place in enumerate(_JOINTS):
        around = np.flatnonzero(np.abs(head[:, 1] - place[1]) < _SLICE_METRES)
        conditions = np.concatenate([head[around].T, np.ones((1, len(around)))])
        regressor[joint, around] = np.linalg.pinv(conditions) @ [*place, 1.0]
    return regressor
