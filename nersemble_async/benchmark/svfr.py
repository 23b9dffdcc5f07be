"""The single-view face reconstruction benchmark: 391 images of 20 participants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.layout import (
    SUBTASKS,
    Asset,
    BenchmarkSpec,
    FileKind,
    Scope,
    SubmissionFile,
    Subtask,
)

_IMAGE_KEYS_FILE = "svfr_image_keys.json"
_IMAGE_FOLDER = "{p_id:03d}/{seq_name}_{timestep:03d}_{serial}"


@cache
def load_image_keys() -> Mapping[int, tuple[ImageKey, ...]]:
    """Every image by participant, in the official order, from the list inside the package."""
    text = resources.files(__package__ or "").joinpath(_IMAGE_KEYS_FILE).read_text("utf-8")
    return MappingProxyType(
        {
            int(participant_id): tuple(ImageKey(*key) for key in keys)
            for participant_id, keys in json.loads(text).items()
        }
    )


def _submission_files(subtask: Subtask) -> tuple[SubmissionFile, ...]:
    """A mesh, and landmarks where its topology is not FLAME's."""
    mesh, landmarks = f"mesh_{subtask}", f"landmarks_{subtask}"
    return (
        SubmissionFile(mesh, Scope.PER_IMAGE, FileKind.PLY, f"{_IMAGE_FOLDER}/{mesh}.ply", subtask),
        SubmissionFile(
            landmarks,
            Scope.PER_IMAGE,
            FileKind.NPY,
            f"{_IMAGE_FOLDER}/{landmarks}.npy",
            subtask,
            optional=True,
        ),
    )


SVFR = BenchmarkSpec(
    task="svfr",
    assets=(
        Asset(
            "images",
            Scope.PER_IMAGE,
            FileKind.PNG,
            "{p_id:03d}/{seq_name:}_{timestep:}_{serial:}/rgb.png",
        ),
    ),
    submission_files=tuple(file for subtask in SUBTASKS for file in _submission_files(subtask)),
    participants=(
        *(17, 60, 71, 102, 112, 123, 133, 139, 175, 178),
        *(183, 194, 215, 226, 256, 266, 289, 310, 320, 372),
    ),
    frame_size=(512, 512),
    has_metadata=False,
    load_image_keys=load_image_keys,
)
