"""What the official readme shows (its sections 3 and 4) runs with other import lines.

Left out: 3.3's list of a tracking's fields, which is no program
(`test_a_tracking_has_the_documented_fields` looks at them).
"""

from __future__ import annotations

import textwrap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from nersemble_async.benchmark.keys import VideoKey
from nersemble_async.benchmark.spec import Task
from nersemble_async.submission.metadata_source import find_metadata
from nersemble_async.sync import MonoFlameAvatarDataManager
from nersemble_async.synthetic.flame_model import write_synthetic_flame
from tests.support.stand_in import TINY, tiny_stand_in
from tests.support.submissions import pictures, video_entries

NEW_HOMES = {
    "nersemble_benchmark.data.benchmark_data": "nersemble_async.sync",
    "nersemble_benchmark.data.submission_data": "nersemble_async.sync",
    "nersemble_benchmark.models.flame": "nersemble_async.sync",
    "nersemble_benchmark.constants": "nersemble_async.constants",
}

SHARED_DATA_MANAGERS = """
from nersemble_benchmark.data.benchmark_data import NVSDataManager
from nersemble_benchmark.constants import BENCHMARK_NVS_IDS_AND_SEQUENCES, BENCHMARK_NVS_TRAIN_SERIALS

benchmark_folder = "path/to/local/benchmark/folder"
participant_id, sequence_name = BENCHMARK_NVS_IDS_AND_SEQUENCES[0]
serial = BENCHMARK_NVS_TRAIN_SERIALS[0]
timestep = 0

data_manager = NVSDataManager(benchmark_folder, participant_id)
"""  # noqa: E501 -- lines as they are there
LOAD_IMAGE = "image = data_manager.load_image(sequence_name, serial, timestep)"
LOAD_ALPHA_MAP = "image = data_manager.load_alpha_map(sequence_name, serial, timestep)"
LOAD_CAMERAS = """
camera_params = data_manager.load_camera_calibration()
world_2_cam_pose = camera_params.world_2_cam[serial]
intrinsics = camera_params.intrinsics[serial]
"""
NVS_ASSETS = """
from nersemble_benchmark.data.benchmark_data import NVSDataManager
nvs_data_manager = NVSDataManager(benchmark_folder, participant_id)
"""
LOAD_POINTCLOUD = (
    "points, colors, normals = nvs_data_manager.load_pointcloud(sequence_name, timestep)"
)
MONO_ASSETS = """
from nersemble_benchmark.data.benchmark_data import MonoFlameAvatarDataManager
mono_flame_data_manager = MonoFlameAvatarDataManager(benchmark_folder, participant_id)
"""
LOAD_TRACKING = "flame_tracking = mono_flame_data_manager.load_flame_tracking(sequence_name)"
FLAME_MESH = """
from nersemble_benchmark.models.flame import FlameProvider

flame_provider = FlameProvider(flame_tracking)
mesh = flame_provider.get_mesh(timestep)
"""
SVFR_IMAGES = """
from nersemble_benchmark.constants import BENCHMARK_SVFR_IDS
from nersemble_benchmark.data.benchmark_data import SVFRDataManager

for participant_id in BENCHMARK_SVFR_IDS:
    svfr_data_manager = SVFRDataManager(benchmark_folder, participant_id)
    image_keys = svfr_data_manager.list_image_keys()

    for image_key in image_keys:
        image = svfr_data_manager.load_image(image_key)
        ...
"""
NVS_HOLD_OUT_CAMERAS = """
from nersemble_benchmark.constants import BENCHMARK_NVS_HOLD_OUT_SERIALS

camera_params = data_manager.load_camera_calibration()
for serial in BENCHMARK_NVS_HOLD_OUT_SERIALS:
    world_2_cam_pose = camera_params.world_2_cam[serial]
    intrinsics = camera_params.intrinsics[serial]
    ...
"""
MONO_HOLD_OUT_SEQUENCES = """
from nersemble_benchmark.constants import BENCHMARK_MONO_FLAME_AVATAR_IDS, BENCHMARK_MONO_FLAME_AVATAR_TRAIN_SERIAL, BENCHMARK_MONO_FLAME_AVATAR_HOLD_OUT_SERIALS, BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES_TEST

camera_params = data_manager.load_camera_calibration()
for participant_id in BENCHMARK_MONO_FLAME_AVATAR_IDS:
    for sequence_name in BENCHMARK_MONO_FLAME_AVATAR_SEQUENCES_TEST:
        flame_tracking = data_manager.load_flame_tracking(sequence_name)
        flame_provider = FlameProvider(flame_tracking)
        for serial in BENCHMARK_MONO_FLAME_AVATAR_HOLD_OUT_SERIALS:
            world_2_cam_pose = camera_params.world_2_cam[serial]
            intrinsics = camera_params.intrinsics[serial]
            ...

        serial = BENCHMARK_MONO_FLAME_AVATAR_TRAIN_SERIAL
        world_2_cam_pose = camera_params.world_2_cam[serial]
        intrinsics = camera_params.intrinsics[serial]
        ...
"""  # noqa: E501 -- lines as they are there
WRITE_NVS = """
from nersemble_benchmark.data.submission_data import NVSSubmissionDataWriter

with NVSSubmissionDataWriter(zip_path) as submission_data_manager:
    submission_data_manager.add_video(participant, sequence_name, serial, images)
"""
WRITE_MONO = """
from nersemble_benchmark.data.submission_data import MonoFlameAvatarSubmissionDataWriter

with MonoFlameAvatarSubmissionDataWriter(zip_path) as submission_data_manager:
    submission_data_manager.add_video(participant, sequence_name, serial, images)
"""
EVERY_VIDEO = "for participant, sequence_name, serial, images in predictions:\n        "
WRITE_SVFR = """
from nersemble_benchmark.constants import BENCHMARK_SVFR_IMAGE_KEYS
from nersemble_benchmark.data.submission_data import SVFRSubmissionDataWriter

with SVFRSubmissionDataWriter(zip_path) as submission_data_writer:
    for participant_id, image_keys in BENCHMARK_SVFR_IMAGE_KEYS.items():
        for sequence_name, timestep, serial in image_keys:
            mesh = predicted_mesh
            now_landmarks = predicted_landmarks

            submission_data_writer.add_posed_mesh(participant_id, sequence_name, timestep, serial, mesh, now_landmarks)
"""  # noqa: E501 -- lines as they are there


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The namespace that blocks run in, after the first of them; FLAME lies where it belongs."""
    folder = tmp_path / "path" / "to" / "local" / "benchmark" / "folder"
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tiny_stand_in())
    write_synthetic_flame(tmp_path / ".cache" / "FLAME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run(SHARED_DATA_MANAGERS, names)
    return names


def run(block: str, names: dict[str, Any]) -> None:
    """Run a block; of it, only where import lines look is changed."""
    lines = textwrap.dedent(block).splitlines()
    for position, line in enumerate(lines):
        if line.startswith("from "):
            _, module, rest = line.split(" ", 2)
            lines[position] = f"from {NEW_HOMES[module]} {rest}"
    exec("\n".join(lines), names)


def test_images_and_cameras(names: dict[str, Any]) -> None:
    width, height = TINY.frame_size("nvs")
    run(LOAD_IMAGE, names)
    assert names["image"].shape == (height, width, 3)
    assert names["image"].dtype == np.float32
    assert 0 <= names["image"].min() < names["image"].max() <= 1
    run(LOAD_ALPHA_MAP, names)
    assert names["image"].shape == (height, width, 1)
    run(LOAD_CAMERAS, names)
    assert names["world_2_cam_pose"].shape == (4, 4)
    assert names["intrinsics"].shape == (3, 3)
    run(NVS_HOLD_OUT_CAMERAS, names)
    assert names["serial"] == "222200039"


def test_pointclouds(names: dict[str, Any]) -> None:
    run(NVS_ASSETS, names)
    run(LOAD_POINTCLOUD, names)
    n_points = TINY.points(388)
    assert {names[part].shape for part in ("points", "colors", "normals")} == {(n_points, 3)}


def test_flame(names: dict[str, Any]) -> None:
    names.update(participant_id=393, sequence_name="EXP-1-head")  # one of that benchmark
    run(MONO_ASSETS, names)
    run(LOAD_TRACKING, names)
    run(FLAME_MESH, names)
    assert names["mesh"].vertices.shape == (5023, 3)
    names["data_manager"] = names["mono_flame_data_manager"]
    run(MONO_HOLD_OUT_SEQUENCES, names)
    assert names["sequence_name"] == "SEN-10-port_strong_smokey"


def test_svfr_images(names: dict[str, Any]) -> None:
    run(SVFR_IMAGES, names)
    assert names["image"].shape == (TINY.svfr_width, TINY.svfr_width, 3)
    assert names["image"].dtype == np.uint8
    assert names["participant_id"] == 372


@pytest.mark.parametrize(("task", "block"), [("nvs", WRITE_NVS), ("mono_flame_avatar", WRITE_MONO)])
def test_writing_videos(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: Task, block: str
) -> None:
    """The block shows one video; all of them have to be there, else the writer says which lack."""
    monkeypatch.setenv("NERSEMBLE_BENCHMARK_FOLDER", names["benchmark_folder"])
    metadata = find_metadata(task)
    assert metadata is not None
    names["zip_path"] = str(tmp_path / "made" / "submission.zip")
    names["predictions"] = [
        (
            *(key.participant_id, key.sequence_name, key.serial),
            list(pictures(task, entry, metadata.n_frames(*where(key)) or 0)),
        )
        for entry in video_entries(task)
        for key in [entry.video]
    ]
    run(
        block.replace("submission_data_manager.add", f"{EVERY_VIDEO}submission_data_manager.add"),
        names,
    )
    with zipfile.ZipFile(names["zip_path"]) as file:
        assert file.namelist() == [entry.path for entry in video_entries(task)]


def where(key: VideoKey) -> tuple[int, str]:
    return key.participant_id, key.sequence_name


def test_writing_meshes(names: dict[str, Any], tmp_path: Path) -> None:
    box = trimesh.creation.box((0.2, 0.3, 0.2))
    names["zip_path"] = tmp_path / "submission.zip"
    names["predicted_mesh"], names["predicted_landmarks"] = box, np.array(box.vertices[:7])
    run(WRITE_SVFR, names)
    assert len(zipfile.ZipFile(names["zip_path"]).namelist()) == 2 * 391


def test_a_tracking_has_the_documented_fields() -> None:
    manager = MonoFlameAvatarDataManager(tiny_stand_in(), 393)
    tracking = manager.load_flame_tracking("EXP-1-head")
    t = manager.get_n_timesteps("EXP-1-head")
    shapes = {
        "shape": (1, 300),
        "expression": (t, 100),
        "rotation": (t, 3),
        "rotation_matrices": (t, 3, 3),
        "translation": (t, 3),
        "jaw": (t, 3),
        "frames": (t,),
        "scale": (1, 1),
        "neck": (t, 3),
        "eyes": (t, 6),
    }
    assert {name: getattr(tracking, name).shape for name in shapes} == shapes
