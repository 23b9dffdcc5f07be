"""Every method of the official data managers, beside ours on the same stand-in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from nersemble_async import data_managers, sync
from tests.support.official import official_python, run_official
from tests.support.stand_in import tiny_stand_in

SERIALS = ["222200042", "222200038"]
TIMESTEPS = [2, 0, 1]
PATHS = {
    "nvs": [
        "get_camera_calibration_path()",
        "get_images_path('FREE', '222200038')",
        "get_alpha_maps_path('x', 'y')",
        "get_pointcloud_path('FREE', 12)",
    ],
    "mono": [
        "get_images_path('EXP-3-cheeks+nose', '222200037')",
        "get_flame_tracking_path('FREE')",
        "get_flame_tracking_path('FREE', version=1)",
    ],
    "svfr": ["get_asset_folder(key) for key in manager.list_image_keys()"],
}

READ = """
import contextlib, hashlib, io, os
import numpy as np

def digest(array):
    array = np.ascontiguousarray(array)
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]

def fields(tracking):
    names = ("shape", "expression", "rotation", "rotation_matrices", "translation", "jaw",
             "frames", "scale", "neck", "eyes")
    return {name: digest(getattr(tracking, name)) for name in names}

def read(nvs_class, mono_class, svfr_class, argument):
    root, found = argument["root"], {}
    nvs, mono = nvs_class(root, 443), mono_class(root, 393)
    for name, manager, sequence in (("nvs", nvs, "FREE"), ("mono", mono, "EXP-1-head")):
        found[name] = {
            "sequences": sorted(manager.list_sequences()),
            "serials": sorted(manager.list_serials(sequence)),
            "timesteps": manager.list_timesteps(sequence),
            "n_timesteps": manager.get_n_timesteps(sequence),
            "has": [manager.has_sequence(sequence)]
            + [manager.has_video(sequence, s) for s in ("222200037", "222200038", "1")],
        }
        calibration = manager.load_camera_calibration()
        for part in ("world_2_cam", "intrinsics"):
            found[name][part] = {
                serial: np.asarray(matrix, np.float32).tolist()
                for serial, matrix in getattr(calibration, part).items()
            }
    images = found["images"] = {}
    for serial in argument["serials"]:
        for t in argument["timesteps"]:
            images[f"{serial} {t}"] = digest(nvs.load_image("FREE", serial, t, as_uint8=True))
            floats = nvs.load_image("FREE", serial, t)
            images[f"{serial} {t} float"] = digest(floats.astype(np.float32))
            images[f"{serial} {t} alpha"] = digest(nvs.load_alpha_map("FREE", serial, t))
        every = nvs.load_all_images("FREE", serial, as_uint8=True)
        second = nvs.load_all_images("FREE", serial, every_nth_frame=2)
        images[f"{serial} all"] = [digest(image) for image in every]
        for scale in (0.5, 0.3, 2.0):
            scaled = nvs.load_all_images("FREE", serial, as_uint8=True, scale=scale)
            images[f"{serial} times {scale}"] = [digest(image) for image in scaled]
        scaled = nvs.load_all_images("FREE", serial, every_nth_frame=2, scale=0.4)
        images[f"{serial} times 0.4 float"] = [digest(i.astype(np.float32)) for i in scaled]
        images[f"{serial} every second"] = [digest(i.astype(np.float32)) for i in second]
    serial = "222200037"
    images["mono"] = digest(mono.load_image("EXP-1-head", serial, 1, True))
    images["mono alpha"] = digest(mono.load_alpha_map("EXP-1-head", serial, 1))
    found["pointclouds"] = [
        [digest(part) for part in nvs.load_pointcloud("FREE", t)] for t in argument["timesteps"]
    ]
    found["trackings"] = [
        fields(mono.load_flame_tracking("EXP-1-head")),
        fields(mono.load_flame_tracking("EXP-1-head", version=1)),
        fields(mono.load_flame_tracking("EMO-1-shout+laugh", 2)),
    ]
    found["svfr"] = {}
    for participant_id in argument["participants"]:
        manager = svfr_class(root, participant_id)
        found["svfr"][str(participant_id)] = [
            [key.to_key(), key.sequence_name, key.timestep, key.serial,
             digest(manager.load_image(key))]
            for key in manager.list_image_keys()
        ]
    managers = {"nvs": nvs, "mono": mono, "svfr": svfr_class(root, 194)}
    found["paths"] = [
        eval(f"[manager.{getter}]", {"manager": managers[name]})
        for name, getters in argument["paths"].items() for getter in getters
    ]
    return found
"""
OFFICIAL = (
    READ
    + """
from nersemble_benchmark.data.benchmark_data import (
    MonoFlameAvatarDataManager, NVSDataManager, SVFRDataManager,
)
result = read(NVSDataManager, MonoFlameAvatarDataManager, SVFRDataManager, argument)
"""
)


class Awaited:
    """An async manager whose awaited methods are called as the official ones are."""

    def __init__(self, made: Callable[[], Any]) -> None:
        self._manager = made()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._manager, name)
        if name.startswith("get_") and name != "get_n_timesteps":
            return method
        return lambda *given, **named: anyio.run(lambda: method(*given, **named))


@pytest.fixture(scope="module")
def argument() -> dict[str, Any]:
    official_python()
    root = str(tiny_stand_in())
    return {
        "root": root,
        "serials": SERIALS,
        "timesteps": TIMESTEPS,
        "participants": [17, 194],
        "paths": PATHS,
    }


@pytest.fixture(scope="module")
def official(argument: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = run_official(OFFICIAL, argument)
    return found


def test_the_sync_managers_give_what_the_official_ones_give(
    argument: dict[str, Any], official: dict[str, Any]
) -> None:
    names: dict[str, Any] = {}
    exec(READ, names)
    classes = sync.NVSDataManager, sync.MonoFlameAvatarDataManager, sync.SVFRDataManager
    assert names["read"](*classes, argument) == official


def test_the_async_managers_give_what_the_official_ones_give(
    argument: dict[str, Any], official: dict[str, Any]
) -> None:
    names: dict[str, Any] = {}
    exec(READ, names)

    def awaited(cls: Callable[..., Any]) -> Callable[..., Awaited]:
        return lambda *given: Awaited(lambda: cls(*given))

    found = names["read"](
        awaited(data_managers.NVSDataManager),
        awaited(data_managers.MonoFlameAvatarDataManager),
        awaited(data_managers.SVFRDataManager),
        argument,
    )
    assert found == official
    assert hashlib.sha256(b"").hexdigest() not in str(official)  # nothing was empty


def test_paths_of_a_folder_are_as_it_was_given() -> None:
    for folder in ("some/where", "./here/", Path("some/where")):
        manager = sync.NVSDataManager(folder, 388)
        assert manager.get_images_path("GLASSES", "222200042") == (
            f"{folder}/nvs/388/sequences/GLASSES/images/cam_222200042.mp4"
        )
