"""What a stand-in's metadata.json files say."""

from __future__ import annotations

from collections.abc import Mapping

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import Task


def metadata_content(task: Task, lengths: Mapping[SequenceKey, int]) -> dict[str, object]:
    """What a task's metadata.json says of sequences of these lengths, in the official form."""
    if task == "nvs":
        return {
            "sequences": {
                str(key.participant_id): {
                    "sequence_name": key.sequence_name,
                    "timesteps": list(range(n_frames)),
                }
                for key, n_frames in lengths.items()
            }
        }
    participants: dict[str, dict[str, dict[str, object]]] = {}
    for key, n_frames in lengths.items():
        participant = participants.setdefault(str(key.participant_id), {"sequences_metadata": {}})
        participant["sequences_metadata"][key.sequence_name] = {"n_frames": n_frames}
    return {"participants_metadata": participants}
