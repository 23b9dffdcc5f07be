"""PNG: pixels survive, and every flipped or missing byte is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nersemble_async.errors import DecodeError
from nersemble_async.formats.image import read_png, write_png
from nersemble_async.formats.png_chunks import check_png


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "rgb.png"
    write_png(path, np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8))
    return path


def test_round_trip_is_exact(png: Path) -> None:
    expected = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)
    assert np.array_equal(read_png(png), expected)
    check_png(png)


def test_every_flipped_byte_is_found(png: Path) -> None:
    data = png.read_bytes()
    for position in range(len(data)):
        png.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        with pytest.raises(DecodeError):
            check_png(png)


def test_every_truncation_and_a_tail_are_found(png: Path) -> None:
    data = png.read_bytes()
    for kept in range(len(data)):
        png.write_bytes(data[:kept])
        with pytest.raises(DecodeError):
            check_png(png)
    png.write_bytes(data + b"\0")
    with pytest.raises(DecodeError, match="1 bytes after its end"):
        check_png(png)


def test_reading_broken_files(png: Path) -> None:
    data = png.read_bytes()
    for broken in (b"", b"<html>", data[:60], data[: len(data) // 2]):
        png.write_bytes(broken)
        with pytest.raises(DecodeError):
            read_png(png)


def test_other_arrays_are_not_written(tmp_path: Path) -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ValueError, match="an image is uint8"):
            write_png(tmp_path / "no.png", wrong)  # type: ignore[arg-type]  # the error is the point
