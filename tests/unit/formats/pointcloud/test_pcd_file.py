"""PCD files: open3d's bytes, and every length that contradicts its header."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.pointcloud.pcd_file import (
    Pointcloud,
    read_pointcloud,
    write_pointcloud,
)
from nersemble_async.formats.pointcloud.pcd_header import check_pointcloud

# What open3d 0.19 wrote for one point (1, 2, 3), normal (0, 0, 1), colour (203, 211, 29) / 255.
OPEN3D_BYTES = (
    b"# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\n"
    b"FIELDS x y z normal_x normal_y normal_z rgb\nSIZE 4 4 4 4 4 4 4\nTYPE F F F F F F U\n"
    b"COUNT 1 1 1 1 1 1 1\nWIDTH 1\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 1\nDATA binary\n"
    + struct.pack("<6f", 1, 2, 3, 0, 0, 1)
    + b"\x1d\xd3\xcb\x00"
)


def _pointcloud(n_points: int) -> Pointcloud:
    random = np.random.default_rng(7)
    levels = random.integers(0, 256, (n_points, 3))
    return Pointcloud(
        points=random.normal(size=(n_points, 3)).astype(np.float32),
        colors=levels.astype(np.float32) / np.float32(255),
        normals=random.normal(size=(n_points, 3)).astype(np.float32),
    )


def test_bytes_are_open3ds(tmp_path: Path) -> None:
    path = tmp_path / "one.pcd"
    color = np.array([[203, 211, 29]], np.float32) / np.float32(255)
    one = Pointcloud(np.array([[1, 2, 3]], np.float32), color, np.array([[0, 0, 1]], np.float32))
    write_pointcloud(path, one)
    assert path.read_bytes() == OPEN3D_BYTES


@pytest.mark.parametrize("n_points", [0, 1, 1000])
def test_round_trip_is_exact(tmp_path: Path, n_points: int) -> None:
    path = tmp_path / "cloud.pcd"
    written = _pointcloud(n_points)
    write_pointcloud(path, written)
    assert check_pointcloud(path).n_points == n_points
    read = read_pointcloud(path)
    for name in ("points", "colors", "normals"):
        assert getattr(read, name).dtype == np.float32
        assert np.array_equal(getattr(read, name), getattr(written, name))


def test_points_alone(tmp_path: Path) -> None:
    path = tmp_path / "points.pcd"
    header = b"FIELDS x y z\nSIZE 8 8 8\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 2\nHEIGHT 1\nPOINTS 2\n"
    path.write_bytes(header + b"DATA binary\n" + struct.pack("<6d", *range(6)))
    read = read_pointcloud(path)
    assert read.points.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read.colors.shape == read.normals.shape == (0, 3)


def test_repr_shows_shapes_and_no_numbers() -> None:
    assert repr(_pointcloud(2)) == (
        "Pointcloud(points=float32 (2, 3), colors=float32 (2, 3), normals=float32 (2, 3))"
    )


def test_each_of_the_256_levels_is_open3ds_double_rounded() -> None:
    levels = np.arange(256)
    assert np.array_equal(
        levels.astype(np.uint8).astype(np.float32) / np.float32(255),
        (levels / 255.0).astype(np.float32),
    )


def test_an_unknown_field_is_told_with_the_known(tmp_path: Path) -> None:
    path = tmp_path / "cloud.pcd"
    write_pointcloud(path, _pointcloud(1))
    with pytest.raises(SelectionError, match=r"points, colors, normals, not \('colours',\)"):
        read_pointcloud(path, fields=("colours",))  # type: ignore[arg-type]  # the error is the point


@pytest.mark.parametrize("missing", ["colors", "normals"])
def test_what_is_missing_stays_missing(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "cloud.pcd"
    written = replace(_pointcloud(4), **{missing: np.empty((0, 3), np.float32)})
    write_pointcloud(path, written)
    read = read_pointcloud(path)
    for name in ("points", "colors", "normals"):
        assert np.array_equal(getattr(read, name), getattr(written, name))


def test_without_open3d_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"pip install 'nersemble-async\[open3d\]'"):
        _pointcloud(1).to_open3d()


def test_arrays_of_different_lengths_are_not_written(tmp_path: Path) -> None:
    cloud = _pointcloud(3)
    with pytest.raises(ValueError, match="not all"):
        write_pointcloud(
            tmp_path / "no.pcd", Pointcloud(cloud.points, cloud.colors[:2], cloud.normals)
        )


@pytest.mark.parametrize("change", [-1, 1, -28, 28])
def test_a_length_that_contradicts_the_header(tmp_path: Path, change: int) -> None:
    path = tmp_path / "cloud.pcd"
    write_pointcloud(path, _pointcloud(5))
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + bytes(change))
    for read in (check_pointcloud, read_pointcloud):
        with pytest.raises(DecodeError, match="the file has"):
            read(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"DATA binary\n", b"DATA zipped\n"),
        (b"DATA binary\n", b""),
        (b"WIDTH 1\n", b"WIDTH 2\n"),
        (b"WIDTH 1\n", b"WIDTH -1\n"),
        (b"POINTS 1\n", b"POINTS 99999999999999999999\n"),
        (b"POINTS 1\n", b"POINTS\n"),
        (b"POINTS 1\n", b"POINTS 1\nPOINTS 1\n"),
        (b"FIELDS x y z", b"FIELDS x y y"),
        (b"FIELDS x y z", b"FIELDS a b c"),
        (b"SIZE 4 4 4 4 4 4 4\n", b"SIZE 4 4 4\n"),
        (b"SIZE 4 4 4 4 4 4 4\n", b""),
        (b"TYPE F F F F F F U\n", b"TYPE F F F F F F O\n"),
        (b"COUNT 1 1 1 1 1 1 1\n", b"COUNT 0 1 1 1 1 1 1\n"),
        (b"VERSION 0.7\n", b"VERSION 0.7\n" + b"#" * 100_000 + b"\n"),
        (b"VERSION 0.7\n", b"VERSION 0.7\n" + b"# \n" * 10_000),
        (b"VERSION 0.7\n", b"<html>\n"),
    ],
)
def test_broken_headers(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "broken.pcd"
    assert old in OPEN3D_BYTES
    path.write_bytes(OPEN3D_BYTES.replace(old, new))
    with pytest.raises(DecodeError):
        check_pointcloud(path)


def _with_data(encoding: bytes, data: bytes) -> bytes:
    return OPEN3D_BYTES[: OPEN3D_BYTES.index(b"DATA")] + b"DATA " + encoding + b"\n" + data


def test_compressed_lengths(tmp_path: Path) -> None:
    path = tmp_path / "compressed.pcd"
    path.write_bytes(_with_data(b"binary_compressed", struct.pack("<II", 10, 28) + bytes(10)))
    assert check_pointcloud(path).encoding == "binary_compressed"
    for data in (
        struct.pack("<II", 10, 28) + bytes(9),
        struct.pack("<II", 10, 27) + bytes(10),
        b"\x0a",
    ):
        path.write_bytes(_with_data(b"binary_compressed", data))
        with pytest.raises(DecodeError):
            check_pointcloud(path)


def test_ascii_lines(tmp_path: Path) -> None:
    path = tmp_path / "ascii.pcd"
    path.write_bytes(_with_data(b"ascii", b"1 2 3 0 0 1 77"))
    assert check_pointcloud(path).encoding == "ascii"
    path.write_bytes(_with_data(b"ascii", b"1 2 3 0 0 1 77\n1 2 3 0 0 1 77\n"))
    with pytest.raises(DecodeError, match="1 points promised, 2 lines"):
        check_pointcloud(path)
