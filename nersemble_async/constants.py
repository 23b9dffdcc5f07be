"""The official constants under their official names, derived from `nersemble_async.benchmark`.

Values and types equal those of ``nersemble_benchmark.constants`` 0.2.0, so an existing script
changes one import line. They are plain lists and dicts as there: treat them as read-only.
"""

from __future__ import annotations

from nersemble_async.benchmark.layout import SERIALS as _SERIALS
from nersemble_async.benchmark.mono_flame_avatar import (
    FLAME_TRACKING_CURRENT_VERSION,
    FLAME_TRACKING_VERSIONS,
    MONO_FLAME_AVATAR,
    TEST_SEQUENCES,
    TRAIN_SEQUENCES,
)
from nersemble_async.benchmark.nvs import NVS
from nersemble_async.benchmark.spec import BENCHMARKS, BenchmarkSpec
from nersemble_async.benchmark.svfr import SVFR

__all__ = [
    "ASSETS",
    "BENCHMARK_MONO_FLAME_AVATAR_HOLD_OUT_SERIALS",
    "BENCHMARK_MONO_FLAME_AVATAR_IDS",
    "BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES",
    "BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES_TEST",
    "BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES_TRAIN",
    "BENCHMARK_MONO_FLAME_AVATAR_SERIALS",
    "BENCHMARK_MONO_FLAME_AVATAR_TRAIN_SERIAL",
    "BENCHMARK_NVS_HOLD_OUT_SERIALS",
    "BENCHMARK_NVS_IDS_AND_SEQUENCES",
    "BENCHMARK_NVS_TRAIN_SERIALS",
    "BENCHMARK_SVFR_IDS",
    "BENCHMARK_SVFR_IMAGE_KEYS",
    "FLAME_TRACKING_CURRENT_VERSION",
    "FLAME_TRACKING_VERSION_MAPPING",
    "NERSEMBLE_ACCESS_FORM_URL",
    "OPTIONAL_ASSETS",
    "SERIALS",
]


def _official_assets(spec: BenchmarkSpec) -> dict[str, dict[str, str] | list[str]]:
    """Templates by scope and key, and the keys of the assets that test sequences have."""
    groups: dict[str, dict[str, str] | list[str]] = {}
    for scope in dict.fromkeys(asset.scope for asset in spec.assets):
        groups[scope.value] = {a.key: a.template for a in spec.assets if a.scope is scope}
    if any(spec.test_sequences.values()):
        groups["test_assets"] = [asset.key for asset in spec.assets if asset.in_test_sequences]
    return groups


ASSETS: dict[str, dict[str, dict[str, str] | list[str]]] = {
    str(task): _official_assets(spec) for task, spec in BENCHMARKS.items()
}
OPTIONAL_ASSETS: list[str] = [
    asset.key for spec in BENCHMARKS.values() for asset in spec.assets if asset.optional
]
FLAME_TRACKING_VERSION_MAPPING: dict[int, str] = dict(FLAME_TRACKING_VERSIONS)

SERIALS: list[str] = list(_SERIALS)

NERSEMBLE_ACCESS_FORM_URL = "https://docs.google.com/forms/d/e/1FAIpQLScYsXR8NVCi4nvmCbFNL0P9swsGodMnbntUJeFejtuKUMsY7Q/viewform"

BENCHMARK_NVS_IDS_AND_SEQUENCES: list[tuple[int, str]] = [
    (participant_id, sequence_name)
    for participant_id in NVS.participants
    for sequence_name in NVS.sequences(participant_id)
]
BENCHMARK_NVS_HOLD_OUT_SERIALS: list[str] = list(NVS.hold_out_serials)
BENCHMARK_NVS_TRAIN_SERIALS: list[str] = list(NVS.train_serials)

BENCHMARK_MONO_FLAME_AVATAR_IDS: list[int] = list(MONO_FLAME_AVATAR.participants)
BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES_TRAIN: list[str] = list(TRAIN_SEQUENCES)
BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES_TEST: list[str] = list(TEST_SEQUENCES)
BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES: list[str] = [*TRAIN_SEQUENCES, *TEST_SEQUENCES]
BENCHMARK_MONO_FLAME_AVATAR_TRAIN_SERIAL: str = MONO_FLAME_AVATAR.train_serials[0]
BENCHMARK_MONO_FLAME_AVATAR_HOLD_OUT_SERIALS: list[str] = list(MONO_FLAME_AVATAR.hold_out_serials)
BENCHMARK_MONO_FLAME_AVATAR_SERIALS: list[str] = list(MONO_FLAME_AVATAR.submission_serials)

BENCHMARK_SVFR_IDS: list[int] = list(SVFR.participants)
BENCHMARK_SVFR_IMAGE_KEYS: dict[int, list[tuple[str, int, str]]] = {
    participant_id: [(key.sequence_name, key.timestep, key.serial) for key in keys]
    for participant_id, keys in SVFR.image_keys.items()
}
