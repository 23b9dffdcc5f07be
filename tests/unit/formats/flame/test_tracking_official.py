"""The official toolkit and flame-model on a synthetic FLAME: equal to a micrometre, by gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nersemble_async.errors import ConfigurationError
from nersemble_async.formats.flame.torch import FlameTorchProvider, load_torch_flame
from nersemble_async.formats.flame.tracking import save_flame_tracking
from tests.support.flame import random_tracking
from tests.support.official import run_official

REPOSITORY = Path(__file__).parents[4]
N_FRAMES = 12

COMPARISON = """
import os, sys
os.environ["HOME"] = argument["home"]
sys.path.insert(0, argument["repository"])
from pathlib import Path
import numpy as np, torch
from nersemble_async.formats.flame.tracking import load_flame_tracking
from nersemble_async.formats.flame.provider import FlameProvider
from nersemble_async.formats.flame.torch import FlameTorchProvider, load_torch_flame

tracking = load_flame_tracking(Path(argument["tracking"]))
ours, torchs = FlameProvider(tracking), FlameTorchProvider(tracking)
printed_by_ours = sys.stdout.getvalue()
imported_by_ours = {name.partition(".")[0] for name in sys.modules}

from nersemble_benchmark.models.flame import FlameProvider as OfficialProvider

official = OfficialProvider(tracking)
timesteps = range(len(ours))

def off(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max()) if a.shape == b.shape else f"{a.shape} {b.shape}"

def batch(method):
    return np.stack([method(timestep) for timestep in timesteps])

local = np.random.default_rng(0).normal(size=(1, 7, 3)).astype(np.float32)
with torch.no_grad():
    result = {
        "vertices": off(ours.get_all_vertices(), batch(official.get_vertices)),
        "landmarks": off(ours.get_all_landmarks(), batch(official.get_landmarks)),
        "poses": off(
            ours.get_all_model_to_world_transformations(),
            batch(official.get_model_to_world_transformation),
        ),
        "points": off(
            ours.apply_model_to_world_transformation(local, 2),
            official.apply_model_to_world_transformation(torch.tensor(local), 2),
        ),
        "mesh vertices": off(ours.get_mesh(1).vertices, official.get_mesh(1).vertices),
        "mesh faces": off(ours.get_mesh(1).faces, official.get_mesh(1).faces),
        "torch vertices": off(ours.get_all_vertices(), torchs.get_all_vertices()),
        "torch landmarks": off(ours.get_all_landmarks(), torchs.get_all_landmarks()),
        "torch vertices one by one": off(
            ours.get_all_vertices(), batch(torchs.get_vertices)
        ),
        "torch landmarks one by one": off(
            ours.get_all_landmarks([5, 3]), [torchs.get_landmarks(5), torchs.get_landmarks(3)]
        ),
        "torch vertices of an iterator": off(
            ours.get_all_vertices([5, 3]), torchs.get_all_vertices(iter([5, 3]))
        ),
        "torch poses": off(
            ours.get_all_model_to_world_transformations(),
            torchs.get_all_model_to_world_transformations(),
        ),
        "torch faces": off(ours.faces, torchs.faces),
    }
result["has_mesh"] = [t for t in range(-2, 20) if ours.has_mesh(t) != official.has_mesh(t)]
result["printed"] = printed_by_ours
result["heavy"] = sorted(imported_by_ours & {"pydantic", "anyio", "av", "chumpy", "trimesh"})
result["type"] = type(torchs.flame).__name__

# The place of the lower lip, pulled by one number at a time.
def place(expression):
    torchs.expression = expression
    return (torchs.get_all_landmarks([3])[0, 57] * torch.tensor([1.0, 2.0, 3.0])).sum()

start = torchs.expression.clone().requires_grad_()
(gradient,) = torch.autograd.grad(place(start), start)
result["other frames"] = float(gradient[[0, 1, 2, 4]].abs().max())
step = torch.zeros_like(start)
step[3, 2] = 1.0
with torch.no_grad():
    slope = (place(start + step) - place(start - step)) / 2
    result["gradient"] = [float(gradient[3, 2]), float(slope)]
for name in ("shape", "jaw", "neck", "eyes", "rotation", "translation", "scale"):
    value = getattr(torchs, name).clone().requires_grad_()
    setattr(torchs, name, value)
    (pull,) = torch.autograd.grad(torchs.get_all_landmarks().square().sum(), value)
    result[f"pull of {name}"] = float(pull.abs().max())
"""


@pytest.fixture(scope="module")
def compared(flame_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("tracking") / "tracking.npz"
    save_flame_tracking(path, random_tracking(N_FRAMES))
    home = flame_folder.parents[1]
    argument = {"home": str(home), "repository": str(REPOSITORY), "tracking": str(path)}
    return run_official(COMPARISON, argument)


@pytest.mark.parametrize(
    "what", ["vertices", "landmarks", "poses", "points", "mesh vertices", "mesh faces"]
)
def test_the_official_provider_agrees(compared: Any, what: str) -> None:
    assert compared[what] <= (0 if what == "mesh faces" else 1e-6)


@pytest.mark.parametrize(
    "what",
    [
        *("vertices", "vertices one by one", "vertices of an iterator"),
        *("landmarks", "landmarks one by one", "poses", "faces"),
    ],
)
def test_torch_agrees(compared: Any, what: str) -> None:
    assert compared[f"torch {what}"] <= 1e-6
    assert compared["type"] == "FLAME"


def test_the_same_timesteps_have_meshes(compared: Any) -> None:
    assert compared["has_mesh"] == []


def test_gradients_flow_to_every_parameter(compared: Any) -> None:
    gradient, slope = compared["gradient"]
    assert abs(slope) > 1e-4
    assert gradient == pytest.approx(slope, rel=1e-2)
    assert compared["other frames"] == 0
    for name in ("shape", "jaw", "neck", "eyes", "rotation", "translation", "scale"):
        assert compared[f"pull of {name}"] > 0


def test_nothing_is_printed_and_nothing_heavy_imported(compared: Any) -> None:
    assert compared["printed"] == ""
    assert compared["heavy"] == []


@pytest.mark.parametrize("missing", ["torch", "flame_model"])
def test_the_extra_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    for make in (load_torch_flame, lambda: FlameTorchProvider(random_tracking(1))):
        with pytest.raises(ConfigurationError, match=r"pip install 'nersemble-async\[flame\]'"):
            make()
