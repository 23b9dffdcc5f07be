"""The FLAME 2023 head model: its files as arrays, evaluated in batches of frames in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError, NotCachedError
from nersemble_async.formats.array_summary import summarise_arrays
from nersemble_async.formats.flame.model_pickle import read_pickled_arrays
from nersemble_async.formats.flame.skinning import (
    Float32,
    Float64,
    Skin,
    rotation_matrices,
    skinning_transforms,
)

MODEL_FILE = "flame2023.pkl"
STATIC_LANDMARKS_FILE = "flame_static_embedding.pkl"
CONTOUR_LANDMARKS_FILE = "flame_dynamic_embedding.npy"
_RING_NET = "the folder flame_model of https://github.com/soubhiksanyal/RingNet (no licence needed)"
_SOURCES = {
    MODEL_FILE: "https://flame.is.tue.mpg.de/download.php (FLAME 2023; register and accept the "
    "licence there)",
    STATIC_LANDMARKS_FILE: _RING_NET,
    CONTOUR_LANDMARKS_FILE: _RING_NET,
}
_SHAPES: dict[str, tuple[int, ...]] = {
    "v_template": (5023, 3),
    "f": (9976, 3),
    "shapedirs": (5023, 3, 400),
    "posedirs": (5023, 3, 36),
    "J_regressor": (5, 5023),
    "kintree_table": (2, 5),
    "weights": (5023, 5),
}
_N_IDENTITY, _N_EXPRESSION = 300, 100
_STATIC_SHAPES = {"lmk_face_idx": (51,), "lmk_b_coords": (51, 3)}
_CONTOUR_SHAPES = {"lmk_face_idx": (79, 17), "lmk_b_coords": (79, 17, 3)}
_NECK = 1
_MAX_CONTOUR_DEGREES = 39

Angles = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FlameModel:
    """FLAME's arrays, metres and radians. The five joints: root, neck, jaw, left and right eye."""

    v_template: Float32
    """(5023, 3) the mean head."""
    faces: npt.NDArray[np.int64]
    """(9976, 3) indices of vertices."""
    shapedirs: Float32
    """(5023, 3, 400): offsets of 300 identity components, then of 100 expression components."""
    posedirs: Float32
    """(5023, 3, 36): offsets of the elements of the four inner joints' rotations."""
    joint_regressor: Float64
    """(5, 5023): the joints' places as means of vertices."""
    parents: tuple[int, ...]
    """Of the five joints; -1 for the root."""
    weights: Float32
    """(5023, 5): how much each vertex follows each joint."""
    static_faces: npt.NDArray[np.int64]
    """(51,) faces on which brows, nose, eyes and mouth are marked."""
    static_weights: Float32
    """(51, 3) barycentric."""
    contour_faces: npt.NDArray[np.int64]
    """(79, 17) faces of the contour: rows 0 to 39 for a turn by as many degrees, then -1 to -39."""
    contour_weights: Float32
    """(79, 17, 3) barycentric."""
    _joints: tuple[Float64, Float64] = field(init=False)
    _skin: Skin = field(init=False)
    _landmark_skin: Skin = field(init=False)
    _landmark_corners: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        def place(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        regressor = self.joint_regressor
        directions = np.tensordot(regressor, self.shapedirs.astype(np.float64), 1)
        place("_joints", (regressor @ self.v_template.astype(np.float64), directions))
        place("_skin", self._skin_of(slice(None)))
        # Landmarks need a fraction of the vertices.
        corners = [self.faces[self.static_faces], self.faces[self.contour_faces]]
        used, place_of = np.unique(
            np.concatenate([c.ravel() for c in corners]), return_inverse=True
        )
        static, contour = np.split(place_of.ravel(), [corners[0].size])
        place("_landmark_skin", self._skin_of(used))
        place(
            "_landmark_corners",
            (static.reshape(corners[0].shape), contour.reshape(corners[1].shape)),
        )

    def __repr__(self) -> str:
        names = ("v_template", "faces", "shapedirs", "posedirs", "weights")
        return summarise_arrays("FlameModel", {name: getattr(self, name) for name in names})

    def evaluate(
        self,
        shape: Angles,
        expression: Angles,
        jaw: Angles,
        neck: Angles,
        eyes: Angles,
        *,
        rotation: Angles | None = None,
        model_to_world: npt.NDArray[np.floating] | None = None,
    ) -> Float32:
        """Vertices of T frames of one person.

        Args:
            shape: (300,) or (1, 300) identity.
            expression: (T, 100).
            jaw: (T, 3) axis-angle.
            neck: (T, 3) axis-angle.
            eyes: (T, 6) axis-angle, left and right.
            rotation: (T, 3) axis-angle of the root; None is none.
            model_to_world: (T, 4, 4) applied to the result; None leaves it in model space.

        Returns:
            (T, 5023, 3) float32, metres.

        Raises:
            ValueError: arrays of other shapes.
        """
        pose = _pose(expression, jaw, neck, eyes, rotation)
        return self._move(self._skin, shape, expression, pose, model_to_world)

    def landmarks(
        self,
        shape: Angles,
        expression: Angles,
        jaw: Angles,
        neck: Angles,
        eyes: Angles,
        *,
        rotation: Angles | None = None,
        model_to_world: npt.NDArray[np.floating] | None = None,
    ) -> Float32:
        """Facial landmarks of T frames of one person; arguments as for `evaluate`.

        Returns:
            (T, 68, 3) float32, metres: 17 of the contour, which depend on how far root and neck
            are turned to the side, then 51 that are fixed to the surface.

        Raises:
            ValueError: arrays of other shapes.
        """
        pose = _pose(expression, jaw, neck, eyes, rotation)
        vertices = self._move(self._landmark_skin, shape, expression, pose, model_to_world)
        rows = _contour_rows(pose)
        static, contour = self._landmark_corners
        frames = np.arange(len(pose))[:, None, None]
        on_contour = np.einsum(
            "tlcx,tlc->tlx", vertices[frames, contour[rows]], self.contour_weights[rows]
        )
        fixed = np.einsum("tlcx,lc->tlx", vertices[:, static], self.static_weights)
        return np.concatenate([on_contour, fixed], axis=1)

    def _move(
        self,
        skin: Skin,
        shape: Angles,
        expression: Angles,
        pose: Float64,
        model_to_world: npt.NDArray[np.floating] | None,
    ) -> Float32:
        if shape.shape not in ((_N_IDENTITY,), (1, _N_IDENTITY)):
            raise ValueError(f"shape is {shape.shape}, not (1, {_N_IDENTITY}): one identity")
        identity = shape.reshape(_N_IDENTITY)
        rotations = rotation_matrices(pose)
        mean, directions = self._joints
        of_person = mean + directions[..., :_N_IDENTITY] @ identity
        joints = of_person + np.einsum("te,jxe->tjx", expression, directions[..., _N_IDENTITY:])
        world = None if model_to_world is None else model_to_world.astype(np.float64)
        if world is not None and world.shape != (len(pose), 4, 4):
            raise ValueError(f"model_to_world is {world.shape}, not ({len(pose)}, 4, 4)")
        transforms = skinning_transforms(joints, rotations, self.parents, world)
        bent = (rotations[:, 1:] - np.eye(3)).reshape(len(pose), self.posedirs.shape[2])
        factors = np.concatenate([expression, bent], axis=1).astype(np.float32)
        return skin.move(skin.shaped(identity.astype(np.float32)), factors, transforms)

    def _skin_of(self, vertices: npt.NDArray[np.int64] | slice) -> Skin:
        shape_offsets, pose_offsets = self.shapedirs[vertices], self.posedirs[vertices]
        moving = np.concatenate([shape_offsets[..., _N_IDENTITY:], pose_offsets], axis=2)
        return Skin(
            template=self.v_template[vertices].T.ravel(),
            identity=shape_offsets.reshape(-1, shape_offsets.shape[2])[:, :_N_IDENTITY],
            offsets=np.ascontiguousarray(moving.transpose(2, 1, 0).reshape(moving.shape[2], -1)),
            weights=np.ascontiguousarray(self.weights[vertices].T),
        )


def default_flame_folder() -> Path:
    """Where the official toolkit looks for FLAME's files: ``~/.cache/FLAME``."""
    return Path.home() / ".cache" / "FLAME"


def flame_model_files(flame_folder: Path) -> tuple[Path, Path, Path]:
    """The model, the static landmarks and the contour's.

    Raises:
        NotCachedError: files are missing; says which, where to get them and where to put them.
    """
    missing = [name for name in _SOURCES if not (flame_folder / name).is_file()]
    if missing:
        sources = "\n".join(f"    {name} from {_SOURCES[name]}" for name in missing)
        raise NotCachedError(
            f"FLAME's model files are not all there. Put into {flame_folder}:\n{sources}"
        )
    model, static, contour = (flame_folder / name for name in _SOURCES)
    return model, static, contour


def load_flame_model(flame_folder: Path | str | None = None) -> FlameModel:
    """Read FLAME 2023 and its landmark embeddings; nothing is downloaded, no pickle is run.

    Args:
        flame_folder: holds flame2023.pkl, flame_static_embedding.pkl and
            flame_dynamic_embedding.npy; None is `default_flame_folder`.

    Raises:
        NotCachedError: files are missing; says which, where to get them and where to put them.
        DecodeError: a file is broken, or not FLAME 2023.
        OSError: a file cannot be read.
    """
    folder = default_flame_folder() if flame_folder is None else Path(flame_folder)
    model_path, static_path, contour_path = flame_model_files(folder)
    model = _read(model_path, _SHAPES)
    static = _read(static_path, _STATIC_SHAPES)
    contour = _read(contour_path, _CONTOUR_SHAPES)
    n_vertices, n_faces = _SHAPES["v_template"][0], _SHAPES["f"][0]
    return FlameModel(
        v_template=model["v_template"].astype(np.float32),
        faces=_indices(model_path, "f", model["f"], n_vertices),
        shapedirs=model["shapedirs"].astype(np.float32),
        posedirs=model["posedirs"].astype(np.float32),
        joint_regressor=model["J_regressor"].astype(np.float64),
        parents=_parents(model_path, model["kintree_table"]),
        weights=model["weights"].astype(np.float32),
        static_faces=_indices(static_path, "lmk_face_idx", static["lmk_face_idx"], n_faces),
        static_weights=static["lmk_b_coords"].astype(np.float32),
        contour_faces=_indices(contour_path, "lmk_face_idx", contour["lmk_face_idx"], n_faces),
        contour_weights=contour["lmk_b_coords"].astype(np.float32),
    )


def _read(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[np.generic]]:
    arrays = read_pickled_arrays(path, shapes)
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise DecodeError(str(path), f"{name} is {array.shape}, not {shapes[name]}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DecodeError(str(path), f"{name} has numbers that are not finite")
    return arrays


def _indices(
    path: Path, name: str, array: npt.NDArray[np.generic], limit: int
) -> npt.NDArray[np.int64]:
    indices = array.astype(np.int64)
    if (indices != array).any() or indices.min() < 0 or indices.max() >= limit:
        raise DecodeError(str(path), f"{name} has indices beyond 0 to {limit - 1}")
    return indices


def _parents(path: Path, kintree_table: npt.NDArray[np.generic]) -> tuple[int, ...]:
    """The root's own entry is 2³² - 1 or the like."""
    parents = (-1, *kintree_table[0, 1:].astype(np.int64).tolist())
    if not all(0 <= parent < joint for joint, parent in enumerate(parents[1:], 1)):
        raise DecodeError(str(path), f"kintree_table names {parents} as the joints' parents")
    return parents


def _pose(
    expression: Angles, jaw: Angles, neck: Angles, eyes: Angles, rotation: Angles | None
) -> Float64:
    """(T, 5, 3) axis-angles of the joints."""
    n_frames = len(expression)
    root = np.zeros((n_frames, 3)) if rotation is None else rotation
    given = {"expression": (expression, 100), "jaw": (jaw, 3), "neck": (neck, 3), "eyes": (eyes, 6)}
    for name, (array, width) in {**given, "rotation": (root, 3)}.items():
        if array.shape != (n_frames, width):
            raise ValueError(f"{name} is {array.shape}, not ({n_frames}, {width})")
    return np.concatenate([root, neck, jaw, eyes], axis=1, dtype=np.float64).reshape(-1, 5, 3)


def _contour_rows(pose: Float64) -> npt.NDArray[np.int64]:
    """(T,) which row of the contour's embedding: how far root and neck turn to the side.

    Whole degrees up to 39, counted on from 39 where they are negative; RingNet's convention.
    """
    turned = rotation_matrices(pose[:, 0]) @ rotation_matrices(pose[:, _NECK])
    side = np.arctan2(-turned[:, 2, 0], np.hypot(turned[:, 0, 0], turned[:, 1, 0]))
    limit = _MAX_CONTOUR_DEGREES
    degrees = np.round(np.clip(-np.degrees(side), -limit, limit)).astype(np.int64)
    return np.where(degrees < 0, limit - degrees, degrees)
