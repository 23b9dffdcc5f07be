"""The contact sheet shows what there is, and says what does not decode."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from nersemble_async.formats.image.picture import read_png
from nersemble_async.preview.root_sheet import write_root_sheet
from tests.support.stand_in import tiny_stand_in


def _copy(relative_path: str, root: Path) -> Path:
    target = root / relative_path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tiny_stand_in() / relative_path, target)
    return target


def test_everything_is_drawn(tmp_path: Path) -> None:
    sheet = tmp_path / "new" / "sheet.png"
    assert write_root_sheet(tiny_stand_in(), sheet)
    image = read_png(sheet)
    # Five NVS rows, one of mono_flame_avatar, two of SVFR images, each about 200 pixels high.
    assert image.shape[0] > 8 * 180
    assert image.shape[1] > 1200
    # Heads cover much of it: neither paper nor white.
    assert (image.min(axis=2) < 200).mean() > 0.2


def test_a_part_of_a_root_is_enough(tmp_path: Path) -> None:
    _copy("nvs/388/sequences/GLASSES/images/cam_222200042.mp4", tmp_path)
    sheet = tmp_path / "sheet.png"
    assert write_root_sheet(tmp_path, sheet)
    assert read_png(sheet).shape[0] < 2 * 220


def test_nothing_to_draw_writes_nothing(tmp_path: Path) -> None:
    assert not write_root_sheet(tmp_path, tmp_path / "sheet.png")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_a_tile_that_says_so(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for root in (whole, broken):
        _copy("nvs/388/sequences/GLASSES/images/cam_222200042.mp4", root)
        video = _copy("nvs/388/sequences/GLASSES/images/cam_222200044.mp4", root)
    video.write_bytes(video.read_bytes()[:200])
    sheets = []
    for root in (whole, broken):
        assert write_root_sheet(root, root / "sheet.png")
        sheets.append(read_png(root / "sheet.png"))
    left = np.s_[:, :120]
    assert np.array_equal(sheets[0][left], sheets[1][left])
    assert not np.array_equal(sheets[0], sheets[1])
