"""The official constants: literal facts, and equality with the official module where it is."""

from __future__ import annotations

from typing import Any

from nersemble_async import constants
from tests.support.official import run_official

_DUMP = """
import importlib.util, pathlib
import nersemble_benchmark
folder = pathlib.Path(nersemble_benchmark.__file__).parent
spec = importlib.util.spec_from_file_location("official_constants", folder / "constants.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

def described(value):
    if isinstance(value, dict):
        return ["dict", [[described(k), described(v)] for k, v in value.items()]]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [described(v) for v in value]]
    return [type(value).__name__, value]

result = {name: described(getattr(module, name)) for name in dir(module) if name.isupper()}
"""


def _described(value: object) -> list[Any]:
    """A value with its types and its order, in what JSON can hold; as in `_DUMP`."""
    if isinstance(value, dict):
        return ["dict", [[_described(k), _described(v)] for k, v in value.items()]]
    if isinstance(value, list | tuple):
        return [type(value).__name__, [_described(v) for v in value]]
    return [type(value).__name__, value]


def test_equal_to_the_official_module_in_value_type_and_order() -> None:
    official = run_official(_DUMP)
    ours = {name: _described(getattr(constants, name)) for name in constants.__all__}
    assert ours == official


def test_assets() -> None:
    videos = {
        "images": "{p_id:03d}/sequences/{seq_name:}/images/cam_{serial:}.mp4",
        "alpha_maps": "{p_id:03d}/sequences/{seq_name:}/alpha_maps/cam_{serial:}.mp4",
    }
    tracking = "{p_id:03d}/sequences/{seq_name:}/tracking"
    assert {
        "nvs": {
            "per_person": {"calibration": "{p_id:03d}/calibration/camera_params.json"},
            "per_cam": videos,
            "per_timestep": {
                "pointclouds": (
                    "{p_id:03d}/sequences/{seq_name:}/pointclouds/frame_{timestep:05d}.pcd"
                )
            },
        },
        "mono_flame_avatar": {
            "per_person": {"calibration": "{p_id:03d}/calibration/camera_params.json"},
            "per_sequence": {
                "flame2023_tracking": f"{tracking}/flame2023_tracking.npz",
                "flame2023_tracking_v2": f"{tracking}/flame2023_tracking_v2.npz",
            },
            "per_cam": videos,
            "test_assets": ["flame2023_tracking_v2"],
        },
        "svfr": {
            "per_image": {"images": "{p_id:03d}/{seq_name:}_{timestep:}_{serial:}/rgb.png"},
        },
    } == constants.ASSETS
    assert constants.OPTIONAL_ASSETS == ["flame2023_tracking"]
    assert all(type(task) is str for task in constants.ASSETS)


def test_cameras() -> None:
    assert [
        *("222200042", "222200044", "222200046", "222200040", "222200036", "222200048"),
        *("220700191", "222200041", "222200037", "222200038", "222200047", "222200043"),
        *("222200049", "222200039", "222200045", "221501007"),
    ] == constants.SERIALS
    assert constants.BENCHMARK_NVS_HOLD_OUT_SERIALS == ["222200046", "222200037", "222200039"]
    assert [
        *("222200042", "222200044", "222200040", "222200036", "222200048", "220700191"),
        *("222200041", "222200038", "222200047", "222200043", "222200049", "222200045"),
        "221501007",
    ] == constants.BENCHMARK_NVS_TRAIN_SERIALS
    assert constants.BENCHMARK_MONO_FLAME_AVATAR_TRAIN_SERIAL == "222200037"
    hold_out = ["222200046", "220700191", "222200039"]
    assert hold_out == constants.BENCHMARK_MONO_FLAME_AVATAR_HOLD_OUT_SERIALS
    assert ["222200037", *hold_out] == constants.BENCHMARK_MONO_FLAME_AVATAR_SERIALS


def test_participants_and_sequences() -> None:
    assert constants.BENCHMARK_NVS_IDS_AND_SEQUENCES == [
        (388, "GLASSES"),
        (422, "EXP-2-eyes"),
        (443, "FREE"),
        (445, "EXP-6-tongue-1"),
        (475, "HAIR"),
    ]
    assert constants.BENCHMARK_MONO_FLAME_AVATAR_IDS == [393, 404, 461, 477, 486]
    train = [
        *("EXP-1-head", "EXP-2-eyes", "EXP-3-cheeks+nose", "EXP-4-lips", "EXP-5-mouth"),
        *("EXP-8-jaw-1", "EXP-9-jaw-2", "EMO-2-surprise+fear", "EMO-3-angry+sad"),
        *("EMO-4-disgust+happy", "SEN-01-cramp_small_danger", "SEN-02-same_phrase_thirty_times"),
        *("SEN-03-pluck_bright_rose", "SEN-04-two_plus_seven", "SEN-05-glow_eyes_sweet_girl"),
        *("SEN-06-problems_wise_chief", "SEN-07-fond_note_fried", "SEN-08-clothes_and_lodging"),
    ]
    test = [
        *("FREE", "EMO-1-shout+laugh", "SEN-09-frown_events_bad", "SEN-10-port_strong_smokey"),
    ]
    assert train == constants.BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES_TRAIN
    assert test == constants.BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES_TEST
    assert train + test == constants.BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES
    assert [
        *(17, 60, 71, 102, 112, 123, 133, 139, 175, 178),
        *(183, 194, 215, 226, 256, 266, 289, 310, 320, 372),
    ] == constants.BENCHMARK_SVFR_IDS


def test_image_keys() -> None:
    keys = constants.BENCHMARK_SVFR_IMAGE_KEYS
    assert list(keys) == constants.BENCHMARK_SVFR_IDS
    assert sum(map(len, keys.values())) == 391
    assert keys[17][0] == ("EMO-1-shout+laugh", 156, "221501007")
    assert keys[17][7] == ("EXP-3-cheeks+nose", 78, "222200045")
    assert keys[372][-1] == ("EMO-2-surprise+fear", 345, "222200036")
    assert len(keys[175]) == 19


def test_flame_tracking_versions_and_form() -> None:
    assert constants.FLAME_TRACKING_CURRENT_VERSION == 2
    assert constants.FLAME_TRACKING_VERSION_MAPPING == {
        1: "flame2023_tracking",
        2: "flame2023_tracking_v2",
    }
    assert constants.NERSEMBLE_ACCESS_FORM_URL.startswith("https://docs.google.com/forms/d/e/")
    assert constants.NERSEMBLE_ACCESS_FORM_URL.endswith("/viewform")
