"""The heads of a FLAME tracking: vertices, landmarks and meshes in the world, by timestep."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import SelectionError
from nersemble_async.formats.flame.model import (
    FlameModel,
    default_flame_folder,
    flame_model_files,
    load_flame_model,
)
from nersemble_async.formats.flame.skinning import Float32, euler_rotations
from nersemble_async.formats.flame.tracking import FlameTracking

if TYPE_CHECKING:
    import trimesh

Timesteps = Iterable[SupportsIndex]


class FlameProvider:
    """FLAME evaluated for a tracking, with the official toolkit's methods and batched ones.

    A timestep counts the tracking's frames from 0 and so the frames of the sequence's video, as in
    the official toolkit; what the tracking calls its frames is in ``tracking.frames`` and does not
    matter here. All arrays are float32, all lengths metres. Instances are safe to share between
    threads.
    """

    def __init__(
        self,
        tracking: FlameTracking,
        flame_folder: Path | str | None = None,
        *,
        model: FlameModel | None = None,
    ) -> None:
        """Blocks for 0.1 to 0.2 s where it has to read the model; the latest two, 50 MB each, stay.

        Args:
            tracking: of one sequence.
            flame_folder: where FLAME's files are; None is ``~/.cache/FLAME``.
            model: one that was loaded before; ``flame_folder`` is then not looked at.

        Raises:
            NotCachedError, DecodeError, OSError: see `load_flame_model`.
        """
        self.tracking = tracking
        self.flame_model = shared_flame_model(flame_folder) if model is None else model

    @property
    def faces(self) -> npt.NDArray[np.int64]:
        """(9976, 3) indices of vertices, the same at every timestep."""
        return self.flame_model.faces

    def __len__(self) -> int:
        return len(self.tracking.expression)

    def has_mesh(self, timestep: SupportsIndex) -> bool:
        """Whether the tracking has this timestep."""
        return 0 <= operator.index(timestep) < len(self)

    def get_vertices(self, timestep: SupportsIndex) -> Float32:
        """(5023, 3) in the world.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        vertices: Float32 = self.get_all_vertices([timestep])[0]
        return vertices

    def get_landmarks(self, timestep: SupportsIndex) -> Float32:
        """(68, 3) in the world: 17 of the contour, then 51 of brows, nose, eyes and mouth.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        landmarks: Float32 = self.get_all_landmarks([timestep])[0]
        return landmarks

    def get_mesh(self, timestep: SupportsIndex) -> trimesh.Trimesh:
        """The head in the world; its vertices keep their number and order.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        return self.create_mesh(self.get_vertices(timestep))

    def create_mesh(self, vertices: npt.NDArray[np.floating]) -> trimesh.Trimesh:
        """A mesh of FLAME's faces over these vertices (5023, 3), unprocessed."""
        import trimesh  # noqa: PLC0415 -- most callers want arrays, and it is slow to import

        return trimesh.Trimesh(vertices, self.faces, process=False)

    def get_model_to_world_transformation(self, timestep: SupportsIndex) -> Float32:
        """(4, 4) with the scale in its linear part.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        pose: Float32 = self.get_all_model_to_world_transformations([timestep])[0]
        return pose

    def apply_model_to_world_transformation(
        self, points: npt.NDArray[np.floating], timestep: SupportsIndex
    ) -> Float32:
        """Points (…, 3) of model space in the world of that timestep.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        pose = self._model_to_world(self._positions([timestep]))[0]
        in_world: Float32 = (points @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32)
        return in_world

    def get_all_vertices(self, timesteps: Timesteps | None = None) -> Float32:
        """(T, 5023, 3) in the world, 60 KB each; much faster than one by one.

        Args:
            timesteps: which, in this order; None is all.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        return self.flame_model.evaluate(**self._parameters(timesteps))

    def get_all_landmarks(self, timesteps: Timesteps | None = None) -> Float32:
        """(T, 68, 3) in the world; arguments as for `get_all_vertices`.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        return self.flame_model.landmarks(**self._parameters(timesteps))

    def get_all_model_to_world_transformations(self, timesteps: Timesteps | None = None) -> Float32:
        """(T, 4, 4); arguments as for `get_all_vertices`.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        return self._model_to_world(self._positions(timesteps)).astype(np.float32)

    def _parameters(self, timesteps: Timesteps | None) -> dict[str, Any]:
        tracking, positions = self.tracking, self._positions(timesteps)
        return {
            "shape": tracking.shape,
            "expression": tracking.expression[positions],
            "jaw": tracking.jaw[positions],
            "neck": tracking.neck[positions],
            "eyes": tracking.eyes[positions],
            "model_to_world": self._model_to_world(positions),
        }

    def _model_to_world(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        tracking = self.tracking
        poses = np.tile(np.eye(4), (len(positions), 1, 1))
        scale = float(tracking.scale[0, 0])
        poses[:, :3, :3] = euler_rotations(tracking.rotation[positions]) * scale
        poses[:, :3, 3] = tracking.translation[positions]
        return poses

    def _positions(self, timesteps: Timesteps | None) -> npt.NDArray[np.intp]:
        return timestep_positions(timesteps, len(self))


def timestep_positions(timesteps: Timesteps | None, n_frames: int) -> npt.NDArray[np.intp]:
    """(T,) of a tracking's ``n_frames`` frames; None is all of them.

    Raises:
        SelectionError: beyond the tracking.
    """
    if timesteps is None:
        return np.arange(n_frames)
    positions = [operator.index(timestep) for timestep in timesteps]
    for position in positions:
        if not 0 <= position < n_frames:
            raise SelectionError(
                f"the tracking has no timestep {position}; it has 0 to {n_frames - 1}"
                if n_frames
                else f"the tracking has no timestep {position}; it is empty"
            )
    return np.array(positions, np.intp)


def shared_flame_model(flame_folder: Path | str | None = None) -> FlameModel:
    """`load_flame_model`, read once for as long as the files stay the same."""
    folder = default_flame_folder() if flame_folder is None else Path(flame_folder)
    versions = tuple(
        (status.st_mtime_ns, status.st_size, status.st_ino)
        for status in (path.stat() for path in flame_model_files(folder))
    )
    return _load(folder.absolute(), versions)


@lru_cache(maxsize=2)
def _load(folder: Path, _versions: tuple[tuple[int, int, int], ...]) -> FlameModel:
    return load_flame_model(folder)
