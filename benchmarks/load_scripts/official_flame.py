"""FLAME as the official toolkit evaluates it, and flame-model called once for all frames."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from nersemble_benchmark.data.benchmark_data import MonoFlameAvatarDataManager
from nersemble_benchmark.models.flame import FlameProvider

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer

torch: Any = importlib.import_module("torch")


def _provider(job: Job) -> FlameProvider:
    manager = MonoFlameAvatarDataManager(job.root, job.participant_id)
    return FlameProvider(manager.load_flame_tracking(job.sequence_name))


def vertices(job: Job) -> Outcome:
    provider = _provider(job)
    provider.get_vertices(0)
    with Meter() as meter:
        frames = [provider.get_vertices(step) for step in job.steps]
    if "save_to" in job.options:
        np.save(Path(job.options["save_to"]), np.stack(frames))
    return meter.outcome(1)


def vertices_batched(job: Job) -> Outcome:
    """flame-model as one would call it for a whole tracking, and the same way into the world."""
    provider = _provider(job)
    count = len(job.steps)
    provider.get_vertices(0)
    with Meter() as meter, torch.no_grad():
        in_model, _ = provider.flame_model(
            shape_params=provider.shape_params.expand(count, -1),
            expression_params=provider.expr_params,
            pose_params=provider.pose_params,
            neck_pose=provider.neck_pose,
            eye_pose=provider.eyes_pose,
        )
        poses = [torch.from_numpy(provider.get_model_to_world_transformation(t)) for t in job.steps]
        pose = torch.stack(poses).to(in_model.dtype)
        world = torch.baddbmm(pose[:, None, :3, 3], in_model, pose[:, :3, :3].transpose(1, 2))
        result = world.numpy()
    if "reference" in job.options:
        reference = np.load(job.options["reference"])
        meter.figures["max_difference"] = float(np.abs(result - reference).max())
    return meter.outcome(1)


if __name__ == "__main__":
    answer({"vertices": vertices, "vertices_batched": vertices_batched})
