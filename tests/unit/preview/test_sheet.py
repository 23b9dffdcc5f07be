"""A sheet's file: whole or as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nersemble_async.formats.image.picture import read_png
from nersemble_async.preview.sheet import Row, Tile, write_sheet

FULL = Path("/dev/full")
ROWS = [Row("one", [Tile("tile", lambda: np.zeros((9, 9, 3), np.uint8))])]


def test_a_file_that_was_there_stays_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "sheet.png"
    assert write_sheet(out, ROWS)
    before = out.read_bytes()

    def fail(self: Image.Image, path: Path, **given: object) -> None:
        path.write_bytes(b"half")
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", fail)
        with pytest.raises(OSError, match="no room"):
            write_sheet(out, ROWS)
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]
    assert write_sheet(out, [*ROWS, *ROWS])
    assert read_png(out).shape[0] > 176 * 2


def test_a_full_disk_is_told_with_the_file_that_it_has_no_room_for(tmp_path: Path) -> None:
    (tmp_path / ".sheet.png.partial").symlink_to(FULL)  # what is written there finds no room
    with pytest.raises(OSError, match="No space left") as caught:
        write_sheet(tmp_path / "sheet.png", ROWS)
    assert caught.value.filename == str(tmp_path / "sheet.png")
    assert list(tmp_path.iterdir()) == []
