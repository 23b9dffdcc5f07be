"""``preview``: the picture that is asked for, and requests that cannot be."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nersemble_async.cli.app import main
from nersemble_async.formats.image.picture import read_png
from tests.support.submission_files import good_video
from tests.support.submissions import video_entries

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stand_in: Path,
    tmp_path: Path,
) -> Run:
    for name in ("stdout", "stderr", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # so that it is put back afterwards
    monkeypatch.chdir(tmp_path)

    def run_it(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["preview", *arguments, "--root", str(stand_in)])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run_it


def test_a_picture_under_its_own_name(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("nvs/388/GLASSES", "--tile-height", "48")
    assert code == 0
    assert out.splitlines()[-1] == "nvs_388_GLASSES.png"
    assert read_png(tmp_path / "nvs_388_GLASSES.png").size > 0


def test_what_is_asked_for(run: Run, tmp_path: Path) -> None:
    wanted = ("--serial", "222200042", "222200044", "--timestep", "0", "2", "--no-alpha")
    code, out, _ = run(
        "nvs/388/GLASSES",
        "a.png",
        *wanted,
        "--overlay",
        "none",
        "--tile-height",
        "40",
        "--format",
        "json",
    )
    assert code == 0
    assert json.loads(out)["path"] == "a.png"
    assert json.loads(out)["notes"] == []
    assert 2 * 68 < read_png(tmp_path / "a.png").shape[0] < 2 * 85


def test_a_submission_under_its_own_name(run: Run, tmp_path: Path) -> None:
    entry = video_entries("nvs")[0]
    (tmp_path / "parts").mkdir()
    with zipfile.ZipFile(tmp_path / "parts" / "mine.zip", "w") as archive:
        archive.writestr(entry.path, good_video("nvs"))
    wanted = ("--participant", "388", "--timestep", "0", "--tile-height", "40")
    code, out, _ = run("parts/mine.zip", *wanted, "--format", "json")
    assert code == 0
    report = json.loads(out)
    assert report["path"] == "mine.png"
    assert report["notes"][0].startswith("missing from the zip: 388/GLASSES/cam_222200037.mp4")
    assert 40 < read_png(tmp_path / "mine.png").shape[0] < 100


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nvs/388/GLASSES", "a.jpg"), "a.jpg: the picture is a PNG"),
        (("nvs/388",), "names no sequence"),
        (("nvs/388/GLASSES", "--participant", "388"), "is for submissions"),
        (("nothing.zip",), "there is no file nothing.zip"),
        (("nvs",), "written TASK/PARTICIPANT/SEQUENCE"),
        (("nvs/388/GLASSES", "--overlay", "mesh"), "it is auto, pointcloud, flame, none"),
        (("nvs/388/GLASSES", "--serial", "1"), "unknown serial"),
        (("nvs/388/GLASSES", "--timestep", "3"), "no timestep 3"),
        (("svfr/17/FREE",), "svfr has no videos"),
    ],
)
def test_what_cannot_be(run: Run, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert list(tmp_path.iterdir()) == []
