"""The official toolkit's own data managers read the stand-in as it stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.formats.cameras import load_camera_calibration
from nersemble_async.formats.flame.tracking import load_flame_tracking
from nersemble_async.formats.image.picture import read_png
from nersemble_async.formats.pointcloud.pcd_file import read_pointcloud
from nersemble_async.synthetic.dataset import synthesize
from tests.support.official import official_python, run_official
from tests.support.stand_in import TINY, tiny_stand_in
from tests.support.videos import decode_frame

READ_ALL = """
from nersemble_benchmark.data.benchmark_data import (
    MonoFlameAvatarDataManager, NVSDataManager, SVFRDataManager,
)
from nersemble_benchmark.util.metadata import MonoFLAMEAvatarMetadata, NVSMetadata
root, serial = argument["root"], argument["serial"]
nvs = NVSDataManager(root, 443)
calibration = nvs.load_camera_calibration()
points, colors, normals = nvs.load_pointcloud("FREE", 1)
mono = MonoFlameAvatarDataManager(root, 393)
svfr = SVFRDataManager(root, 17)
keys = svfr.list_image_keys()
def load(path):
    with open(f"{root}/{path}") as file:
        return json.load(file)
import json
def tracking(sequence, version):
    return {k: v.tolist() for k, v in vars(mono.load_flame_tracking(sequence, version)).items()}
result = {
    "image": nvs.load_image("FREE", serial, 1, as_uint8=True).tolist(),
    "alpha_map": nvs.load_alpha_map("FREE", serial, 1).tolist(),
    "n_timesteps": nvs.get_n_timesteps("FREE"),
    "serials": sorted(nvs.list_serials("FREE")),
    "world_2_cam": {s: p.tolist() for s, p in calibration.world_2_cam.items()},
    "intrinsics": {s: i.tolist() for s, i in calibration.intrinsics.items()},
    "points": points.tolist(), "colors": colors.tolist(), "normals": normals.tolist(),
    "tracking": tracking("EXP-1-head", 1),
    "test_tracking": tracking("EMO-1-shout+laugh", 2),
    "keys": [key.to_key() for key in keys],
    "svfr_image": svfr.load_image(keys[0]).tolist(),
    "nvs_timesteps": NVSMetadata.from_json(load("nvs/metadata.json")).sequences[443].timesteps,
    "mono_sequences": sorted(
        MonoFLAMEAvatarMetadata.from_json(load("mono_flame_avatar/metadata.json"))
        .participants_metadata[393].sequences_metadata
    ),
}
"""
SERIAL = "222200038"


def test_the_official_toolkit_reads_what_we_read() -> None:
    official_python()  # skips before anything is rendered
    root = tiny_stand_in()
    nvs, mono, svfr = (BENCHMARKS[task] for task in ("nvs", "mono_flame_avatar", "svfr"))
    read = run_official(READ_ALL, {"root": str(root), "serial": SERIAL})

    image = decode_frame(root / nvs.path("images", 443, "FREE", SERIAL), 1)
    alpha_map = decode_frame(root / nvs.path("alpha_maps", 443, "FREE", SERIAL), 1)
    assert np.abs(np.array(read["image"]) - image).max() <= 1
    assert np.abs(np.array(read["alpha_map"])[:, :, 0] - alpha_map[:, :, 0].astype(int)).max() <= 1
    assert read["nvs_timesteps"] == list(range(read["n_timesteps"]))
    assert read["serials"] == sorted(nvs.train_serials)

    calibration = load_camera_calibration(root / nvs.path("calibration", 443))
    for serial, pose in calibration.world_2_cam.items():
        assert np.allclose(read["world_2_cam"][serial], pose, atol=1e-6)
        assert np.allclose(read["intrinsics"][serial], calibration.intrinsics[serial], atol=1e-3)

    cloud = read_pointcloud(root / nvs.path("pointclouds", 443, "FREE", timestep=1))
    assert np.array_equal(np.array(read["points"], np.float32), cloud.points)
    assert np.array_equal(np.array(read["colors"], np.float32), cloud.colors)
    assert np.array_equal(np.array(read["normals"], np.float32), cloud.normals)

    for got, name, asset in (
        (read["tracking"], "EXP-1-head", "flame2023_tracking"),
        (read["test_tracking"], "EMO-1-shout+laugh", "flame2023_tracking_v2"),
    ):
        tracking = load_flame_tracking(root / mono.path(asset, 393, name))
        for field, values in got.items():
            assert np.array_equal(np.array(values, np.float32), getattr(tracking, field))
    assert read["mono_sequences"] == sorted(mono.sequences(393))

    keys = {key.to_key(): key for key in svfr.image_keys[17]}
    assert set(read["keys"]) == set(keys)
    first = keys[read["keys"][0]]
    path = svfr.path("images", 17, first.sequence_name, first.serial, first.timestep)
    assert np.array_equal(np.array(read["svfr_image"]), read_png(root / path))


def test_our_pcd_bytes_are_open3ds(tmp_path: Path) -> None:
    official_python()
    synthesize(tmp_path, replace(TINY, nvs_frames=1, nvs_width=16), tasks=["nvs"])
    ours = tmp_path / BENCHMARKS["nvs"].path("pointclouds", 388, "GLASSES", timestep=0)
    again = tmp_path / "again.pcd"
    program = (
        "import open3d\n"
        "cloud = open3d.io.read_point_cloud(argument[0])\n"
        "result = open3d.io.write_point_cloud(argument[1], cloud)\n"
    )
    assert run_official(program, [str(ours), str(again)]) is True
    assert again.read_bytes() == ours.read_bytes()
