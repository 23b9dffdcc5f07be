"""metadata.json files with the documented lengths, and plans made from them."""

from __future__ import annotations

import json
from typing import Any

from nersemble_async.benchmark.metadata import TaskMetadata, parse_metadata
from nersemble_async.benchmark.spec import BENCHMARKS, TASKS, FileKind, Task
from nersemble_async.fetch.plan import (
    FetchPlan,
    PlannedFile,
    Selection,
    parse_pointcloud_frames,
    plan_fetch,
)

MONO_N_FRAMES = {
    participant_id: {name: 100 + index for index, name in enumerate(spec.sequences(participant_id))}
    for spec in (BENCHMARKS["mono_flame_avatar"],)
    for participant_id in spec.participants
}


def nvs_json(**replaced: object) -> bytes:
    """nvs/metadata.json with the documented lengths; ``p388=…`` replaces a timeline."""
    return json.dumps(
        {
            "sequences": {
                str(key.participant_id): {
                    "sequence_name": key.sequence_name,
                    "timesteps": replaced.get(f"p{key.participant_id}", list(range(n))),
                }
                for key, n in BENCHMARKS["nvs"].n_frames.items()
            }
        }
    ).encode()


def mono_json() -> bytes:
    """mono_flame_avatar/metadata.json with the lengths of `MONO_N_FRAMES`."""
    return json.dumps(
        {
            "participants_metadata": {
                str(participant_id): {
                    "sequences_metadata": {name: {"n_frames": n} for name, n in lengths.items()}
                }
                for participant_id, lengths in MONO_N_FRAMES.items()
            }
        }
    ).encode()


METADATA: dict[Task, TaskMetadata] = {
    "nvs": parse_metadata("nvs", nvs_json(), "nvs/metadata.json"),
    "mono_flame_avatar": parse_metadata("mono_flame_avatar", mono_json(), "mono/metadata.json"),
}


def plan(*tasks: Task, frames: str = "0", **filters: Any) -> FetchPlan:
    """A plan over `METADATA`; no task is all of them."""
    selection = Selection(
        tasks or TASKS, **filters, pointcloud_frames=parse_pointcloud_frames(frames)
    )
    return plan_fetch(selection, METADATA)


STAGES = [{"metadata"}, {"calibration"}, {"npz", "png"}, {"mp4"}, {"pcd"}]


def stage(file: PlannedFile) -> int:
    """When a file's turn is, from 0."""
    name = file.asset if file.kind is FileKind.JSON else str(file.kind)
    return next(index for index, names in enumerate(STAGES) if name in names)
