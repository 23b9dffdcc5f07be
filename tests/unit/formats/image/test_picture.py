"""Images: pixels survive, and every flipped or missing byte of a PNG is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nersemble_async.errors import DecodeError
from nersemble_async.formats.image.picture import (
    read_image,
    read_image_as_stored,
    read_png,
    write_png,
)
from nersemble_async.formats.image.png_chunks import check_png
from tests.support.official import run_official


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


STORED_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")
OFFICIAL_WAY = """
import numpy as np
from PIL import Image
for path in argument:
    np.save(path + ".npy", np.asarray(Image.open(path)))
result = True
"""


def _picture(mode: str) -> Image.Image:
    pixels = np.random.default_rng(2).integers(0, 256, (16, 24, 3), np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    return Image.fromarray(pixels).convert(mode)


def test_as_stored_is_what_the_official_toolkit_loads(tmp_path: Path) -> None:
    paths = {mode: tmp_path / f"{index}.png" for index, mode in enumerate(STORED_MODES)}
    paths["JPEG"] = tmp_path / "rgb.jpg"
    for mode, path in paths.items():
        _picture("RGB" if mode == "JPEG" else mode).save(path)
    run_official(OFFICIAL_WAY, [str(path) for path in paths.values()])
    for mode, path in paths.items():
        theirs = np.load(f"{path}.npy")
        ours = read_image_as_stored(path)
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), mode
        assert np.array_equal(ours, theirs), mode
        assert ours.flags.writeable
        converted = read_image(path)
        assert converted.dtype == np.uint8
        assert converted.shape == (16, 24, 3)
        if mode in {"RGB", "JPEG"}:
            assert np.array_equal(converted, theirs)


def test_jpeg_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "named.png"
    _picture("RGB").save(path, format="JPEG", exif=_upside_down())
    assert read_image(path).shape == (16, 24, 3)  # turned by its EXIF it would be (24, 16, 3)
    with pytest.raises(DecodeError, match="not a PNG"):
        read_png(path)
    data = path.read_bytes()
    for broken in (b"", data[:30], data[: len(data) // 2]):
        path.write_bytes(broken)
        with pytest.raises(DecodeError, match="PNG or JPEG"):
            read_image(path)


def _upside_down() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # the orientation: turn by 90 degrees
    return exif
