"""``info``: what is in each kind of file, and on disk of a sequence; wrong targets."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.cli.app import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in ("stdout", "stderr", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # so that it is put back afterwards

    def run_it(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["info", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run_it


def facts_of(run: Run, path: Path) -> Any:
    code, out, _ = run(str(path), "--format", "json")
    assert code == 0
    return json.loads(out)["facts"]


NVS, MONO, SVFR = (BENCHMARKS[t] for t in ("nvs", "mono_flame_avatar", "svfr"))


def test_each_kind_of_file(run: Run, stand_in: Path) -> None:
    serial = NVS.train_serials[0]
    video = facts_of(run, stand_in / NVS.path("images", 388, "GLASSES", serial))
    assert (video["n_frames"], video["n_frames_source"], video["width"]) == (3, "packets", 44)
    assert (video["frames_per_second"], video["codec"], video["n_keyframes"]) == (73, "h264", 1)
    cloud = facts_of(run, stand_in / NVS.path("pointclouds", 388, "GLASSES", timestep=1))
    assert cloud["encoding"] == "binary"
    assert cloud["has_colors"]
    assert cloud["has_normals"]
    assert cloud["n_not_finite"] == 0
    assert all(low < high for low, high in zip(cloud["lowest_metres"], cloud["highest_metres"]))  # noqa: B905
    tracking = facts_of(run, stand_in / MONO.path("flame2023_tracking_v2", 393, "FREE"))
    assert tracking["kind"] == "FLAME tracking"
    assert tracking["last_timestep"] == tracking["n_frames"] - 1
    cameras = facts_of(run, stand_in / NVS.path("calibration", 388))
    assert cameras["n_cameras"] == len(cameras["serials"]) == 16
    key = SVFR.image_keys[17][0]
    image = facts_of(
        run, stand_in / SVFR.path("images", 17, key.sequence_name, key.serial, key.timestep)
    )
    assert (image["width"], image["height"]) == (32, 32)


def test_for_a_person(run: Run, stand_in: Path) -> None:
    path = stand_in / NVS.path("images", 388, "GLASSES", NVS.train_serials[0])
    code, out, err = run(str(path))
    assert (code, err) == (0, "")
    assert f"{path}\n" in out
    assert "  n frames source       packets\n" in out


def test_a_sequence(run: Run, stand_in: Path) -> None:
    code, out, _ = run("nvs/388/GLASSES", "--root", str(stand_in))
    assert code == 0
    lines = out.splitlines()
    assert sum(" images " in line for line in lines) == len(NVS.train_serials)
    assert any("3 frames, 44 x 64, 73 fps, h264, keyframes: 1" in line for line in lines)
    assert any("pointclouds" in line and "3 of 3" in line for line in lines)


def test_all_sequences_of_a_participant(run: Run, stand_in: Path) -> None:
    code, out, _ = run("mono_flame_avatar/393", "--root", str(stand_in), "--format", "json")
    told = json.loads(out)["sequences"]
    assert code == 0
    assert list(told) == list(MONO.sequences(393))
    assert [row["asset"] for row in told["FREE"]] == ["flame2023_tracking_v2"]
    told = json.loads(run("svfr/17", "--root", str(stand_in), "--format", "json")[1])["sequences"]
    assert sum(row["files"] for rows in told.values() for row in rows) == len(SVFR.image_keys[17])


def test_what_is_missing_and_what_is_broken(run: Run, stand_in: Path, tmp_path: Path) -> None:
    relative = NVS.path("images", 388, "GLASSES", NVS.train_serials[1])
    broken = tmp_path / relative
    broken.parent.mkdir(parents=True)
    broken.write_bytes((stand_in / relative).read_bytes()[:1000])
    _, out, _ = run("nvs/388/GLASSES", "--root", str(tmp_path), "--format", "json")
    rows = {(row["asset"], row["what"]): row for row in json.loads(out)["sequences"]["GLASSES"]}
    assert rows["images", NVS.train_serials[0]]["files"] == 0
    assert rows["images", NVS.train_serials[1]]["content"].startswith("BROKEN: ")
    shutil.copy(broken, tmp_path / "alone.mp4")
    code, _, err = run(str(tmp_path / "alone.mp4"))
    assert code == 1
    assert "alone.mp4: mp4: truncated" in err


@pytest.mark.parametrize(
    ("target", "code", "told"),
    [
        ("nowhere.mp4", 2, "there is no file or sequence nowhere.mp4"),
        ("nvs", 2, "such as nvs/388/GLASSES"),
        ("nvs/388/GLASSE", 2, "did you mean GLASSES?"),
        ("nvs/389", 2, "unknown participant 389"),
        ("nvs/388/GLASSES/more", 2, "TASK/PARTICIPANT/SEQUENCE"),
    ],
)
def test_wrong_targets(run: Run, tmp_path: Path, target: str, code: int, told: str) -> None:
    found, out, err = run(target, "--root", str(tmp_path))
    assert (found, out) == (code, "")
    assert told in err


def test_a_file_of_no_known_kind(run: Run, stand_in: Path) -> None:
    code, _, err = run(str(stand_in / "nvs" / "metadata.json"))
    assert code == 1
    assert "camera_params.json" in err
