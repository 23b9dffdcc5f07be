"""The single-view face reconstruction benchmark: 391 images of 20 participants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from nersemble_async.benchmark.keys import ImageKey
from nersemble_async.benchmark.layout import (
    Asset,
    BenchmarkSpec,
    FileKind,
    Scope,
    SubmissionFile,
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
    submission_files=(
        SubmissionFile(
            "mesh_posed", Scope.PER_IMAGE, f"{_IMAGE_FOLDER}/mesh_posed.ply", optional=True
        ),
        SubmissionFile(
            "mesh_neutral", Scope.PER_IMAGE, f"{_IMAGE_FOLDER}/mesh_neutral.ply", optional=True
        ),
        SubmissionFile(
            "landmarks_posed",
            Scope.PER_IMAGE,
            f"{_IMAGE_FOLDER}/landmarks_posed.npy",
            optional=True,
        ),
        SubmissionFile(
            "landmarks_neutral",
            Scope.PER_IMAGE,
            f"{_IMAGE_FOLDER}/landmarks_neutral.npy",
            optional=True,
        ),
    ),
    participants=(
        *(17, 60, 71, 102, 112, 123, 133, 139, 175, 178),
        *(183, 194, 215, 226, 256, 266, 289, 310, 320, 372),
    ),
    frame_size=(512, 512),
    has_metadata=False,
    load_image_keys=load_image_keys,
)
