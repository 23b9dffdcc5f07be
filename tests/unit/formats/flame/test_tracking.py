"""FLAME trackings: shapes, no pickles, and every damage found by the npz check."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import DecodeError
from nersemble_async.formats.flame.tracking import (
    FlameTracking,
    load_flame_tracking,
    save_flame_tracking,
)
from nersemble_async.formats.npz_members import check_npz


def _tracking(n_frames: int = 4) -> FlameTracking:
    def numbers(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)

    return FlameTracking(
        shape=numbers(1, 300),
        expression=numbers(n_frames, 100),
        rotation=numbers(n_frames, 3),
        rotation_matrices=numbers(n_frames, 3, 3),
        translation=numbers(n_frames, 3),
        jaw=numbers(n_frames, 3),
        frames=np.arange(n_frames),
        scale=numbers(1, 1),
        neck=numbers(n_frames, 3),
        eyes=numbers(n_frames, 6),
    )


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    path = tmp_path / "flame2023_tracking_v2.npz"
    save_flame_tracking(path, _tracking())
    return path


def test_round_trip_is_exact_and_reproducible(npz: Path, tmp_path: Path) -> None:
    read = load_flame_tracking(npz)
    for field in fields(FlameTracking):
        assert np.array_equal(getattr(read, field.name), getattr(_tracking(), field.name))
    save_flame_tracking(tmp_path / "again.npz", read)
    assert (tmp_path / "again.npz").read_bytes() == npz.read_bytes()
    check_npz(npz)


def test_repr_shows_shapes_only() -> None:
    assert "rotation_matrices=float32 (4, 3, 3)" in repr(_tracking())
    assert "[" not in repr(_tracking())


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="jaw is"):
        replace(_tracking(), jaw=np.zeros((3, 3)))


def test_missing_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.npz"
    np.savez(path, shape=np.zeros((1, 300)))
    with pytest.raises(DecodeError, match="lacks"):
        load_flame_tracking(path)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "pickled.npz"
    arrays = {f.name: getattr(_tracking(), f.name) for f in fields(FlameTracking)}
    arrays["jaw"] = np.array([{"run": "me"}], object)
    np.savez(path, **arrays)
    with pytest.raises(DecodeError):
        load_flame_tracking(path)
    with pytest.raises(DecodeError, match="Python objects"):
        check_npz(path)


def test_flipped_bytes_in_data_are_found(npz: Path) -> None:
    data = npz.read_bytes()
    # Everything up to the central directory, except zip fields that no reader looks at twice
    # (times and versions in a local header): the array bytes themselves must all be covered.
    start = data.index(b"\x93NUMPY")
    for position in range(start, start + 128 + 1200, 7):
        npz.write_bytes(data[:position] + bytes([data[position] ^ 0x01]) + data[position + 1 :])
        with pytest.raises(DecodeError):
            check_npz(npz)


def test_truncations_are_found(npz: Path) -> None:
    data = npz.read_bytes()
    for kept in range(0, len(data), 97):
        npz.write_bytes(data[:kept])
        with pytest.raises(DecodeError):
            check_npz(npz)
        with pytest.raises(DecodeError):
            load_flame_tracking(npz)


def _npy(header: bytes, data: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"no array"),
        ("a.npy", b"no array"),
        ("a.npy", b""),
        ("a.npy", _npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", bytes(8))),
        ("a.npy", _npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", b"")),
        ("a.npy", _npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", bytes(8))),
        ("a.npy", _npy(b"[" * 3000, b"")),
        ("a.npy", _npy(b"{'descr': '<f4', 'shape': (" + b"9" * 3000 + b",)}", b"")),
        ("a.npy", _npy(b"{[]: 1}", b"")),
        ("a.npy", _npy(b"__import__('os')", b"")),
    ],
)
def test_members_that_are_no_arrays(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "odd.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    with pytest.raises(DecodeError):
        check_npz(path)


def test_a_bomb_is_not_inflated_for_long(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(10, np.float32))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", buffer.getvalue())
    data = bytearray(path.read_bytes())
    # The uncompressed size in the central directory becomes 4 GB.
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = b"\xfe\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(DecodeError, match="claims"):
        check_npz(path)
