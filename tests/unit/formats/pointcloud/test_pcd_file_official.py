"""Pointclouds against open3d itself: it writes, both read, every bit is the same."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nersemble_async.formats.pointcloud.pcd_file import read_pointcloud, write_pointcloud
from tests.support.official import official_python, run_official

REPOSITORY = Path(__file__).parents[4]
ENCODINGS = {
    "binary": {"write_ascii": False, "compressed": False},
    "binary_compressed": {"write_ascii": False, "compressed": True},
    "ascii": {"write_ascii": True, "compressed": False},
}
KEPT_FIELDS = ("points", "points colors", "points normals", "points colors normals")
# PCL's habits, each with its bytes: what open3d reads besides its own files.
FOREIGN = {
    "float_rgb": ("x y z rgb", "4 4 4 4", "F F F F", "<3fI", (1.5, 2, 3, 0x01CBD31D)),
    "integer_rgba": ("x y z rgba", "4 4 4 4", "F F F I", "<3fI", (1.5, 2, 3, 0xFFCBD31D)),
    "rgb_and_rgba": ("x y z rgb rgba", "4 4 4 4 4", "F F F U U", "<3f2I", (1, 2, 3, 4, 5)),
    "integers": ("x y z", "4 2 1", "I U I", "<iHb", (-70000001, 65535, -3)),
    "padded": ("x _ y z", "4 1 4 4", "F U F F", "<fBff", (1.5, 9, float("nan"), float("inf"))),
}

WRITE_AND_READ = """
import struct
from pathlib import Path
import numpy as np
import open3d as o3d

def read(path):
    cloud = o3d.io.read_point_cloud(str(path))
    # The lines of the official toolkit's load_pointcloud.
    arrays = {n: np.asarray(getattr(cloud, n), dtype=np.float32)
              for n in ("points", "colors", "normals")}
    np.savez(path.with_suffix(".npz"), **arrays)

folder = Path(argument["folder"])
rng = np.random.default_rng(5)
levels = rng.integers(0, 256, (700, 3))
levels[:256] = np.arange(256)[:, None]
values = {
    "points": rng.normal(size=(700, 3)).astype(np.float32),
    "colors": levels / 255,
    "normals": rng.normal(size=(700, 3)).astype(np.float32),
}
values["points"][:3] = np.diag([np.nan, np.inf, -0.0])
for kept in argument["kept"]:
    cloud = o3d.geometry.PointCloud()
    for name in kept.split():
        setattr(cloud, name, o3d.utility.Vector3dVector(values[name].astype(float)))
    for encoding, flags in argument["encodings"].items():
        path = folder / f"{encoding} {kept}.pcd"
        o3d.io.write_point_cloud(str(path), cloud, **flags)
        read(path)
for name in argument["foreign"]:
    read(folder / f"{name}.pcd")
result = o3d.__version__
"""

TO_OPEN3D = """
import sys, types
import numpy as np
sys.path.append(argument["repository"])
sys.modules["lzf"] = types.ModuleType("lzf")  # reading is not what is shown here
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud
arrays = [np.array(argument[name], np.float32).reshape(-1, 3)
          for name in ("points", "colors", "normals")]
cloud = Pointcloud(*arrays).to_open3d()
result = [type(cloud).__module__, cloud.has_colors(),
          *(np.asarray(a).tolist() for a in (cloud.points, cloud.colors, cloud.normals))]
"""


def _write_foreign(path: Path, name: str) -> None:
    fields, sizes, kinds, layout, values = FOREIGN[name]
    path.write_bytes(
        f"VERSION .7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {kinds}\n"
        f"COUNT {' '.join('1' * len(sizes.split()))}\nWIDTH 2\nHEIGHT 3\n"
        f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 6\nDATA binary\n".encode()
        + struct.pack(layout, *values) * 6
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    official_python()
    folder = tmp_path_factory.mktemp("open3d")
    for name in FOREIGN:
        _write_foreign(folder / f"{name}.pcd", name)
    argument = {
        "folder": str(folder),
        "kept": KEPT_FIELDS,
        "encodings": ENCODINGS,
        "foreign": list(FOREIGN),
    }
    run_official(WRITE_AND_READ, argument)
    return folder


def _assert_the_same_bits(folder: Path, name: str) -> None:
    ours = read_pointcloud(folder / f"{name}.pcd")
    with np.load(folder / f"{name}.npz") as theirs:
        for field in ("points", "colors", "normals"):
            array: Any = getattr(ours, field)
            assert array.shape == theirs[field].shape, field
            assert np.array_equal(array.view(np.uint32), theirs[field].view(np.uint32)), field


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kept", KEPT_FIELDS)
def test_what_open3d_writes(folder: Path, encoding: str, kept: str) -> None:
    name = f"{encoding} {kept}"
    assert f"DATA {encoding}\n".encode() in (folder / f"{name}.pcd").read_bytes()[:400]
    _assert_the_same_bits(folder, name)
    ours = read_pointcloud(folder / f"{name}.pcd")
    assert (len(ours.colors), len(ours.normals)) == (
        700 * ("colors" in kept),
        700 * ("normals" in kept),
    )


@pytest.mark.parametrize("name", FOREIGN)
def test_what_others_write(folder: Path, name: str) -> None:
    _assert_the_same_bits(folder, name)


@pytest.mark.parametrize("kept", KEPT_FIELDS)
def test_our_bytes_are_open3ds(folder: Path, tmp_path: Path, kept: str) -> None:
    source = folder / f"binary {kept}.pcd"
    path = tmp_path / "ours.pcd"
    write_pointcloud(path, read_pointcloud(source))
    assert path.read_bytes() == source.read_bytes()


def test_to_open3d() -> None:
    points, normals = [[1.0, 2.0, 3.0]], [[0.0, 0.0, 1.0]]
    argument = {
        "repository": str(REPOSITORY),
        "points": points,
        "colors": [],
        "normals": normals,
    }
    module, has_colors, *arrays = run_official(TO_OPEN3D, argument)
    assert module.startswith("open3d")
    assert has_colors is False
    assert arrays == [points, [], normals]
