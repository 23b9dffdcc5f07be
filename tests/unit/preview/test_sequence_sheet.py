"""A sequence's sheet: what is drawn of it by default and on request, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.data_managers.local_assets import LocalAssets
from nersemble_async.data_managers.participant_files import ParticipantFiles
from nersemble_async.errors import DecodeError, NotCachedError, SelectionError
from nersemble_async.formats.image.picture import read_png
from nersemble_async.preview.sequence_sheet import (
    Overlay,
    SheetOptions,
    spread,
    write_sequence_sheet,
)
from nersemble_async.synthetic.flame_model import write_synthetic_flame

NVS = BENCHMARKS["nvs"]
HEIGHT = 64


def assets_of(root: Path, task: Task, participant_id: int) -> LocalAssets:
    return LocalAssets(ParticipantFiles(root, task, participant_id))


@pytest.fixture(scope="module")
def flame_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("FLAME")
    write_synthetic_flame(folder)
    return folder


def test_images_alpha_maps_and_the_pointcloud_by_default(stand_in: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "sheet.png"
    options = SheetOptions(tile_height=HEIGHT)
    assert write_sequence_sheet(assets_of(stand_in, "nvs", 388), "GLASSES", out, options) == []
    image = read_png(out)
    assert 9 * (HEIGHT + 28) < image.shape[0] < 9 * (HEIGHT + 40)  # three timesteps, three kinds
    assert 6 * 44 < image.shape[1] < 7 * 60


def test_what_is_asked_for(stand_in: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    options = SheetOptions(
        serials=NVS.train_serials[:2],
        timesteps=(1,),
        with_alpha=False,
        overlay=Overlay.NONE,
        tile_height=HEIGHT,
    )
    write_sequence_sheet(assets_of(stand_in, "nvs", 388), "GLASSES", out, options)
    image = read_png(out)
    assert image.shape[0] < 2 * (HEIGHT + 28)
    assert image.shape[1] < 5 * 44  # two cameras, and a title that is not cut off


def test_pointcloud_lies_on_the_head(stand_in: Path, tmp_path: Path) -> None:
    """Points cover the pixels that are no background, within a pixel or so, and hardly others."""
    assets = assets_of(stand_in, "nvs", 388)
    serial = NVS.train_serials[6]
    covered = {}
    for overlay in (Overlay.NONE, Overlay.POINTCLOUD):
        out = tmp_path / f"{overlay}.png"
        options = SheetOptions(
            (serial,), (1,), with_alpha=False, overlay=overlay, tile_height=HEIGHT
        )
        write_sequence_sheet(assets, "GLASSES", out, options)
        # Tiles stand under each other; the last one is the overlay or the image itself.
        tile = read_png(out)[-(HEIGHT + 20) : -20, 6:50]
        covered[overlay] = tile.min(axis=2) < 235
    both = covered[Overlay.NONE] & covered[Overlay.POINTCLOUD]
    assert both.sum() > 0.8 * covered[Overlay.NONE].sum()


def test_flame_is_drawn_over_the_image(stand_in: Path, tmp_path: Path, flame_folder: Path) -> None:
    assets = assets_of(stand_in, "mono_flame_avatar", 393)
    out = tmp_path / "sheet.png"
    options = SheetOptions(
        timesteps=(0,), with_alpha=False, flame_folder=flame_folder, tile_height=HEIGHT
    )
    assert write_sequence_sheet(assets, "EXP-5-mouth", out, options) == []
    image = read_png(out).astype(int)
    above, below = image[: len(image) // 2], image[len(image) // 2 :]

    def blue(part: np.ndarray[tuple[int, ...], np.dtype[np.int_]]) -> float:
        return float((part[..., 2] > part[..., 0] + 40).mean())

    assert blue(below) > blue(above) + 0.02


def mono_root(stand_in: Path, root: Path) -> Path:
    """393's EXP-5-mouth alone, to be broken."""
    folder = Path("mono_flame_avatar") / "393"
    for part in ("calibration", "sequences/EXP-5-mouth"):
        shutil.copytree(stand_in / folder / part, root / folder / part)
    shutil.copy(stand_in / "mono_flame_avatar" / "metadata.json", root / "mono_flame_avatar")
    return root


def test_a_tracking_of_fewer_frames_leaves_a_tile_that_says_so(
    stand_in: Path, tmp_path: Path, flame_folder: Path
) -> None:
    root = mono_root(stand_in, tmp_path / "root")
    assets = assets_of(root, "mono_flame_avatar", 393)
    whole = assets.read_flame_tracking("EXP-5-mouth", 2)
    rows = {name: getattr(whole, name) for name in whole.__slots__}
    path = assets.files.local_path(assets.files.flame_tracking("EXP-5-mouth", 2))
    shorter = {
        name: row[:1] if len(row) == len(whole.frames) else row for name, row in rows.items()
    }
    np.savez(path, **shorter)
    out = tmp_path / "sheet.png"
    options = SheetOptions(timesteps=(0, 1), flame_folder=flame_folder, tile_height=HEIGHT)
    assert write_sequence_sheet(assets, "EXP-5-mouth", out, options) == []
    assert out.is_file()


def test_a_broken_tracking_is_no_reason_to_draw_nothing(
    stand_in: Path, tmp_path: Path, flame_folder: Path
) -> None:
    root = mono_root(stand_in, tmp_path / "root")
    for tracking in root.rglob("*.npz"):
        tracking.write_bytes(b"no npz")
    assets = assets_of(root, "mono_flame_avatar", 393)
    options = SheetOptions(flame_folder=flame_folder, tile_height=HEIGHT)
    (note,) = write_sequence_sheet(assets, "EXP-5-mouth", tmp_path / "sheet.png", options)
    assert note.startswith("no flame is drawn: ")
    options = SheetOptions(flame_folder=flame_folder, overlay=Overlay.FLAME)
    with pytest.raises(DecodeError, match="npz"):
        write_sequence_sheet(assets, "EXP-5-mouth", tmp_path / "other.png", options)


def test_without_the_flame_model_the_sheet_says_so(stand_in: Path, tmp_path: Path) -> None:
    assets = assets_of(stand_in, "mono_flame_avatar", 393)
    empty = tmp_path / "empty"
    options = SheetOptions(flame_folder=empty, tile_height=HEIGHT)
    (note,) = write_sequence_sheet(assets, "EXP-5-mouth", tmp_path / "sheet.png", options)
    assert note.startswith("no flame is drawn: ")
    assert "flame2023.pkl" in note
    options = SheetOptions(flame_folder=empty, overlay=Overlay.FLAME)
    with pytest.raises(NotCachedError, match=r"flame2023\.pkl"):
        write_sequence_sheet(assets, "EXP-5-mouth", tmp_path / "other.png", options)
    assert not (tmp_path / "other.png").exists()


def test_missing_and_broken_files_are_tiles_that_say_so(stand_in: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for serial in NVS.train_serials[:2]:
        path = NVS.path("images", 388, "GLASSES", serial)
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stand_in / path, root / path)
    (root / path).write_bytes((root / path).read_bytes()[:300])
    options = SheetOptions(tile_height=HEIGHT)
    notes = write_sequence_sheet(
        assets_of(root, "nvs", 388), "GLASSES", tmp_path / "sheet.png", options
    )
    assert len(notes) == 1
    assert "no pointcloud is drawn" in notes[0]
    assert "nersemble-async fetch nvs" in notes[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (SheetOptions(serials=("222200037",)), "hold-out camera"),
        (SheetOptions(timesteps=(99,)), "no timestep 99"),
        (SheetOptions(overlay=Overlay.FLAME), "overlays are pointcloud, none"),
    ],
)
def test_what_does_not_exist(
    stand_in: Path, tmp_path: Path, options: SheetOptions, told: str
) -> None:
    with pytest.raises(SelectionError, match=told):
        write_sequence_sheet(
            assets_of(stand_in, "nvs", 388), "GLASSES", tmp_path / "sheet.png", options
        )
    assert list(tmp_path.iterdir()) == []


def test_nothing_on_disk(tmp_path: Path) -> None:
    with pytest.raises(NotCachedError, match="nersemble-async fetch nvs"):
        write_sequence_sheet(
            assets_of(tmp_path, "nvs", 388), "GLASSES", tmp_path / "sheet.png", SheetOptions()
        )


def test_spread() -> None:
    assert spread(range(100), 3) == (16, 50, 83)
    assert spread("ab", 6) == ("a", "b")
    assert spread([], 3) == ()
