"""The dynamic novel view synthesis benchmark: five sequences, 13 train and 3 hold-out cameras."""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.layout import (
    SERIALS,
    Asset,
    BenchmarkSpec,
    FileKind,
    Scope,
    SubmissionFile,
)

_N_FRAMES = {
    SequenceKey(388, "GLASSES"): 1118,
    SequenceKey(422, "EXP-2-eyes"): 517,
    SequenceKey(443, "FREE"): 1108,
    SequenceKey(445, "EXP-6-tongue-1"): 514,
    SequenceKey(475, "HAIR"): 259,
}
_SEQUENCES = MappingProxyType({key.participant_id: (key.sequence_name,) for key in _N_FRAMES})
_HOLD_OUT_SERIALS = ("222200046", "222200037", "222200039")

NVS = BenchmarkSpec(
    task="nvs",
    assets=(
        Asset(
            "calibration",
            Scope.PER_PERSON,
            FileKind.JSON,
            "{p_id:03d}/calibration/camera_params.json",
        ),
        Asset(
            "images",
            Scope.PER_CAM,
            FileKind.MP4,
            "{p_id:03d}/sequences/{seq_name:}/images/cam_{serial:}.mp4",
        ),
        Asset(
            "alpha_maps",
            Scope.PER_CAM,
            FileKind.MP4,
            "{p_id:03d}/sequences/{seq_name:}/alpha_maps/cam_{serial:}.mp4",
        ),
        Asset(
            "pointclouds",
            Scope.PER_TIMESTEP,
            FileKind.PCD,
            "{p_id:03d}/sequences/{seq_name:}/pointclouds/frame_{timestep:05d}.pcd",
        ),
    ),
    submission_files=(
        SubmissionFile(
            "images", Scope.PER_CAM, FileKind.MP4, "{p_id:03d}/{seq_name}/cam_{serial}.mp4"
        ),
    ),
    participants=tuple(_SEQUENCES),
    frame_size=(1100, 1604),
    has_metadata=True,
    train_sequences=_SEQUENCES,
    submission_sequences=_SEQUENCES,
    train_serials=tuple(serial for serial in SERIALS if serial not in _HOLD_OUT_SERIALS),
    hold_out_serials=_HOLD_OUT_SERIALS,
    submission_serials=_HOLD_OUT_SERIALS,
    submission_rate=Fraction(73),
    n_frames=MappingProxyType(_N_FRAMES),
    n_train_frames=MappingProxyType({key.participant_id: n for key, n in _N_FRAMES.items()}),
)
