"""What a picture is, by its first bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, JpegImagePlugin, PngImagePlugin

from nersemble_async.errors import DecodeError
from nersemble_async.formats.image.picture_header import PictureHeader, read_picture_header


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("RGB", PictureHeader(6, 4, "RGB", 8, has_alpha=False)),
        ("RGBA", PictureHeader(6, 4, "RGBA", 8, has_alpha=True)),
        ("L", PictureHeader(6, 4, "L", 8, has_alpha=False)),
        ("LA", PictureHeader(6, 4, "LA", 8, has_alpha=True)),
        ("1", PictureHeader(6, 4, "1", 1, has_alpha=False)),
    ],
)
def test_size_mode_and_depth_of_a_png(tmp_path: Path, mode: str, expected: PictureHeader) -> None:
    path = tmp_path / "a.png"
    Image.new(mode, (6, 4)).save(path)
    assert read_picture_header(path) == expected


def test_a_transparent_colour_is_alpha(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (6, 4)).save(path, transparency=(0, 0, 0))
    assert read_picture_header(path).has_alpha


def test_sixteen_bits_are_told_although_pillow_reads_eight(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(path)
    assert read_picture_header(path).n_bits == 16


def test_a_jpeg_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (6, 4)).save(path, format="JPEG")
    assert read_picture_header(path) == PictureHeader(6, 4, "RGB", 8, has_alpha=False)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(("orientation", "is_turned"), [(1, False), (3, True), (6, True)])
def test_exif_tells_of_a_turned_picture(
    tmp_path: Path, suffix: str, orientation: int, *, is_turned: bool
) -> None:
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (6, 4)).save(path, exif=exif)
    assert read_picture_header(path).is_turned == is_turned


def test_no_pixel_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(image: Image.Image) -> None:
        raise AssertionError(f"{image} is decoded")

    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", decode)
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", decode)
    assert not read_picture_header(tmp_path / "a.png").is_turned
    assert not read_picture_header(tmp_path / "a.jpg").is_turned


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("n_bytes", range(0, 40, 3))
def test_damaged_exif_is_no_error(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = exif.tobytes()[: 6 + n_bytes]
    Image.new("RGB", (6, 4)).save(path, exif=data + bytes(3) if n_bytes % 2 else data)
    assert read_picture_header(path).width == 6


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(40)])
def test_other_bytes_are_a_decode_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(DecodeError):
        read_picture_header(path)
