"""The monocular FLAME avatar benchmark: one train camera, 18 train and 4 test sequences each."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from nersemble_async.benchmark.layout import (
    Asset,
    BenchmarkSpec,
    FileKind,
    Scope,
    SubmissionFile,
)

TRAIN_SEQUENCES: tuple[str, ...] = (
    "EXP-1-head",
    "EXP-2-eyes",
    "EXP-3-cheeks+nose",
    "EXP-4-lips",
    "EXP-5-mouth",
    "EXP-8-jaw-1",
    "EXP-9-jaw-2",
    "EMO-2-surprise+fear",
    "EMO-3-angry+sad",
    "EMO-4-disgust+happy",
    "SEN-01-cramp_small_danger",
    "SEN-02-same_phrase_thirty_times",
    "SEN-03-pluck_bright_rose",
    "SEN-04-two_plus_seven",
    "SEN-05-glow_eyes_sweet_girl",
    "SEN-06-problems_wise_chief",
    "SEN-07-fond_note_fried",
    "SEN-08-clothes_and_lodging",
)
TEST_SEQUENCES: tuple[str, ...] = (
    "FREE",
    "EMO-1-shout+laugh",
    "SEN-09-frown_events_bad",
    "SEN-10-port_strong_smokey",
)

FLAME_TRACKING_VERSIONS: Mapping[int, str] = MappingProxyType(
    {1: "flame2023_tracking", 2: "flame2023_tracking_v2"}
)
"""Asset key of each version of the tracking."""
FLAME_TRACKING_CURRENT_VERSION = 2
"""The version that submissions since 2026 have to be made with."""

_PARTICIPANTS = (393, 404, 461, 477, 486)
_TRAIN_SERIAL = "222200037"
_HOLD_OUT_SERIALS = ("222200046", "220700191", "222200039")
_TEST_SEQUENCES = MappingProxyType(dict.fromkeys(_PARTICIPANTS, TEST_SEQUENCES))

MONO_FLAME_AVATAR = BenchmarkSpec(
    task="mono_flame_avatar",
    assets=(
        Asset(
            "calibration",
            Scope.PER_PERSON,
            FileKind.JSON,
            "{p_id:03d}/calibration/camera_params.json",
        ),
        Asset(
            "flame2023_tracking",
            Scope.PER_SEQUENCE,
            FileKind.NPZ,
            "{p_id:03d}/sequences/{seq_name:}/tracking/flame2023_tracking.npz",
            optional=True,
        ),
        Asset(
            "flame2023_tracking_v2",
            Scope.PER_SEQUENCE,
            FileKind.NPZ,
            "{p_id:03d}/sequences/{seq_name:}/tracking/flame2023_tracking_v2.npz",
            in_test_sequences=True,
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
    ),
    submission_files=(
        SubmissionFile(
            "images", Scope.PER_CAM, FileKind.MP4, "{p_id:03d}/{seq_name}/cam_{serial}.mp4"
        ),
    ),
    participants=_PARTICIPANTS,
    frame_size=(512, 512),
    has_metadata=True,
    train_sequences=MappingProxyType(dict.fromkeys(_PARTICIPANTS, TRAIN_SEQUENCES)),
    test_sequences=_TEST_SEQUENCES,
    submission_sequences=_TEST_SEQUENCES,
    train_serials=(_TRAIN_SERIAL,),
    hold_out_serials=_HOLD_OUT_SERIALS,
    submission_serials=(_TRAIN_SERIAL, *_HOLD_OUT_SERIALS),
    submission_rate=Fraction(243, 10),
    n_train_frames=MappingProxyType({393: 2964, 404: 2009, 461: 2057, 477: 2543, 486: 2440}),
    n_test_frames=MappingProxyType({393: 816, 404: 665, 461: 486, 477: 530, 486: 608}),
)
