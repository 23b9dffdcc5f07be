"""What a stand-in's metadata.json files say."""

from __future__ import annotations

from collections.abc import Mapping

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import Task


def _of_nvs(lengths: Mapping[SequenceKey, int]) -> dict[str, object]:
    return {
        "sequences": {
            str(key.participant_id): {
                "sequence_name": key.sequence_name,
                "timesteps": list(range(n_frames)),
            }
            for key, n_frames in lengths.items()
        }
    }


def _of_mono_flame_avatar(lengths: Mapping[SequenceKey, int]) -> dict[str, object]:
    participants: dict[str, dict[str, dict[str, object]]] = {}
    for key, n_frames in lengths.items():
        participant = participants.setdefault(str(key.participant_id), {"sequences_metadata": {}})
        participant["sequences_metadata"][key.sequence_name] = {"n_frames": n_frames}
    return {"participants_metadata": participants}


_CONTENT = {"nvs": _of_nvs, "mono_flame_avatar": _of_mono_flame_avatar}


def metadata_content(task: Task, lengths: Mapping[SequenceKey, int]) -> dict[str, object]:
    """What a task's metadata.json says of sequences of these lengths, in the official form."""
    return _CONTENT[task](lengths)
