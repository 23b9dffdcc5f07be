"""FLAME in torch, differentiable: flame-model's own forward pass, with the extra ``flame``.

flame-model's constructor is not run: it unpickles FLAME's files with all the code that they may
hold (and fails where chumpy cannot be imported), downloads what is missing, and prints. Its module
is filled with the arrays of `load_flame_model` instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import ConfigurationError
from nersemble_async.formats.flame.model import FlameModel
from nersemble_async.formats.flame.provider import shared_flame_model, timestep_positions
from nersemble_async.formats.flame.tracking import FlameTracking

if TYPE_CHECKING:
    Tensor = Any  # torch.Tensor; torch need not be there to check types

_PARAMETERS = ("shape", "expression", "jaw", "neck", "eyes", "rotation", "translation", "scale")
_N_AXES = 3


def load_torch_flame(
    flame_folder: Path | str | None = None,
    *,
    model: FlameModel | None = None,
    device: str = "cpu",
) -> Any:  # noqa: ANN401 -- torch has no types here
    """A ``flame_model.FLAME`` of FLAME 2023 with 300 identity and 100 expression components.

    Call it with all of its parameters but ``transl``; batches of any size work, which they do not
    in flame-model's own configuration.

    Args:
        flame_folder: where FLAME's files are; None is ``~/.cache/FLAME``.
        model: one that was loaded before; ``flame_folder`` is then not looked at.
        device: torch's name of it.

    Raises:
        ConfigurationError: flame-model or torch is not installed.
        NotCachedError, DecodeError, OSError: see `load_flame_model`.
    """
    torch, official = _import_extra()
    arrays = shared_flame_model(flame_folder) if model is None else model
    module = official.FLAME.__new__(official.FLAME)
    torch.nn.Module.__init__(module)
    # One row that is repeated or broadcast: with more, its forward mistakes rows for frames.
    module.batch_size = 1
    module.NECK_IDX = 1
    module.dtype = torch.float32
    module.use_face_contour = module.use_3D_translation = True
    module.faces = arrays.faces
    module.vt, module.ft = np.load(official.FLAME_VT_PATH), np.load(official.FLAME_FT_PATH)
    for name, width in (
        ("shape_betas", 0),
        ("expression_betas", 0),
        ("eye_pose", 6),
        ("neck_pose", 3),
        ("transl", 3),
    ):
        fixed = torch.nn.Parameter(torch.zeros(1, width), requires_grad=False)
        module.register_parameter(name, fixed)
    for name, array in _buffers(arrays).items():
        module.register_buffer(name, torch.tensor(array))
    return module.to(device)


class FlameTorchProvider:
    """`FlameProvider` in torch: heads of a tracking in the world, with gradients.

    The tracking's parameters are the attributes ``shape`` (1, 300), ``expression`` (T, 100),
    ``jaw``, ``neck``, ``rotation``, ``translation`` (T, 3), ``eyes`` (T, 6), ``scale`` (1, 1),
    float32 tensors. Whatever of them asks for gradients gets them; they may be replaced by
    parameters of the same shapes.
    """

    shape: Tensor
    expression: Tensor
    jaw: Tensor
    neck: Tensor
    eyes: Tensor
    rotation: Tensor
    translation: Tensor
    scale: Tensor

    def __init__(
        self,
        tracking: FlameTracking,
        flame_folder: Path | str | None = None,
        *,
        model: FlameModel | None = None,
        device: str = "cpu",
    ) -> None:
        """Blocks while it reads; arguments and errors as for `load_torch_flame`."""
        self._torch, _ = _import_extra()
        self.tracking = tracking
        self.flame = load_torch_flame(flame_folder, model=model, device=device)
        for name in _PARAMETERS:
            array = getattr(tracking, name).astype(np.float32)
            setattr(self, name, self._torch.tensor(array, device=device))

    @property
    def faces(self) -> Tensor:
        """(9976, 3) indices of vertices."""
        return self.flame.faces_tensor

    def __len__(self) -> int:
        return len(self.expression)

    def get_vertices(self, timestep: SupportsIndex) -> Tensor:
        """(5023, 3) in the world.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        return self.evaluate([timestep])[0][0]

    def get_landmarks(self, timestep: SupportsIndex) -> Tensor:
        """(68, 3) in the world.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        return self.evaluate([timestep])[1][0]

    def get_all_vertices(self, timesteps: Iterable[SupportsIndex] | None = None) -> Tensor:
        """(T, 5023, 3) in the world; see `evaluate`."""
        return self.evaluate(timesteps)[0]

    def get_all_landmarks(self, timesteps: Iterable[SupportsIndex] | None = None) -> Tensor:
        """(T, 68, 3) in the world; see `evaluate`."""
        return self.evaluate(timesteps)[1]

    def evaluate(self, timesteps: Iterable[SupportsIndex] | None = None) -> tuple[Tensor, Tensor]:
        """Vertices (T, 5023, 3) and landmarks (T, 68, 3) in the world, in one pass.

        Takes some 0.8 MB a frame while it runs, and 1.4 MB where gradients are wanted.

        Args:
            timesteps: which, in this order; None is all.

        Raises:
            SelectionError: the tracking has no such timestep.
        """
        torch = self._torch
        rows = self._rows(timesteps)
        jaw, rotation = self.jaw[rows], self.rotation[rows]
        points = self.flame(
            shape_params=self.shape.expand(len(rows), -1),
            expression_params=self.expression[rows],
            # The world's rotation is Euler angles and comes after the scale; FLAME's own is none.
            pose_params=torch.cat([torch.zeros_like(rotation), jaw], dim=1),
            neck_pose=self.neck[rows],
            eye_pose=self.eyes[rows],
        )
        poses = self._model_to_world(rows)
        linear, shift = poses[:, :3, :3], poses[:, None, :3, 3]
        vertices, landmarks = (part @ linear.transpose(1, 2) + shift for part in points)
        return vertices, landmarks

    def get_all_model_to_world_transformations(
        self, timesteps: Iterable[SupportsIndex] | None = None
    ) -> Tensor:
        """(T, 4, 4); arguments and errors as for `evaluate`."""
        return self._model_to_world(self._rows(timesteps))

    def _model_to_world(self, rows: Tensor) -> Tensor:
        torch = self._torch
        angles = self.rotation[rows]
        axes = torch.eye(_N_AXES, device=angles.device, dtype=angles.dtype)
        cross = torch.linalg.cross(axes[:, None], axes[None]).transpose(1, 2)
        sine, versine = torch.sin(angles)[..., None, None], 1 - torch.cos(angles)[..., None, None]
        about = axes + sine * cross + versine * (cross @ cross)
        linear = about[:, 0] @ about[:, 1] @ about[:, 2] * self.scale[0, 0]
        top = torch.cat([linear, self.translation[rows][:, :, None]], dim=2)
        bottom = torch.tensor([[[0.0, 0.0, 0.0, 1.0]]], device=angles.device, dtype=angles.dtype)
        return torch.cat([top, bottom.expand(len(rows), -1, -1)], dim=1)

    def _rows(self, timesteps: Iterable[SupportsIndex] | None) -> Tensor:
        positions = timestep_positions(timesteps, len(self))
        return self._torch.tensor(positions, device=self.expression.device)


def _import_extra() -> tuple[Any, Any]:
    """Torch and flame-model; neither has types."""
    try:
        return import_module("torch"), import_module("flame_model")
    except ImportError as error:
        raise ConfigurationError(
            f"FLAME in torch needs flame-model and torch ({error}): "
            "pip install 'nersemble-async[flame]'. FlameProvider computes the same in NumPy"
        ) from error


def _buffers(arrays: FlameModel) -> dict[str, npt.NDArray[np.generic]]:
    """By flame-model's names."""
    n_pose = arrays.posedirs.shape[2]
    chain = [1]
    while arrays.parents[chain[-1]] >= 0:
        chain.append(arrays.parents[chain[-1]])
    return {
        "faces_tensor": arrays.faces,
        "v_template": arrays.v_template,
        "shapedirs": arrays.shapedirs,
        "J_regressor": arrays.joint_regressor.astype(np.float32),
        "posedirs": np.ascontiguousarray(arrays.posedirs.reshape(-1, n_pose).T),
        "parents": np.array(arrays.parents, np.int64),
        "lbs_weights": arrays.weights,
        "lmk_faces_idx": arrays.static_faces,
        "lmk_bary_coords": arrays.static_weights,
        "dynamic_lmk_faces_idx": arrays.contour_faces,
        "dynamic_lmk_bary_coords": arrays.contour_weights,
        "neck_kin_chain": np.array(chain, np.int64),
    }
