"""``prepare``: frames that data managers then find, what is said before, wrong input, Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.cli.app import main
from nersemble_async.data_managers.local_assets import LocalAssets
from nersemble_async.data_managers.participant_files import ParticipantFiles
from nersemble_async.data_managers.prepared_frames import make_frame_cache
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.loaders.frame_cache import FillReport, FrameCache
from nersemble_async.settings import Settings
from nersemble_async.sync import NVSDataManager
from tests.support.videos import write_video

Run = Callable[..., tuple[int, str, str]]

NVS = BENCHMARKS["nvs"]
SERIALS = NVS.train_serials
GLASSES = "nvs/388/GLASSES"
N_FRAMES = 3
"""Of each of its videos in the tiny stand-in."""


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stand_in: Path,
    tmp_path: Path,
) -> Iterator[Run]:
    """Frames go to ``tmp_path / "frames"`` unless the arguments say otherwise."""
    for name in ("stdout", "stderr", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # so that it is put back afterwards
    monkeypatch.setenv("NERSEMBLE_FRAME_CACHE_FOLDER", str(tmp_path / "frames"))
    monkeypatch.setenv("NERSEMBLE_BENCHMARK_FOLDER", str(stand_in))
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}

    def run_it(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["prepare", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    yield run_it
    for each, handler in handlers.items():
        signal.signal(each, handler)


def report_of(run: Run, *arguments: str) -> Any:
    code, out, _ = run(*arguments, "--format", "json")
    report = json.loads(out)
    assert report["exit_code"] == code
    return report


@pytest.mark.parametrize("mode", ["compressed", "raw"])
def test_a_data_manager_finds_the_frames(
    run: Run, stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    wanted = ("--serial", *SERIALS[:2], "--assets", "images", "alpha_maps", "--mode", mode)
    report = report_of(run, *wanted, GLASSES)
    assert report["exit_code"] == 0
    assert report["frames"] == report["stored_frames"] == 4 * N_FRAMES
    assert (report["mode"], report["folder"]) == (mode, str(tmp_path / "frames"))
    paths = [NVS.path(a, 388, "GLASSES", s) for a in ("images", "alpha_maps") for s in SERIALS[:2]]
    assert [video["path"] for video in report["videos"]] == paths
    if mode == "raw":  # 44 x 64, yuv420p, behind a head: said exactly beforehand
        assert report["expected_bytes"] == report["size_bytes"] == report["raw_bytes"]
        assert report["size_bytes"] == 4 * (N_FRAMES * 44 * 64 * 3 // 2 + 8192)

    plain = NVSDataManager(stand_in, 388)
    expected = plain.load_image("GLASSES", SERIALS[1], 2, as_uint8=True)
    plain.close()
    settings = Settings(benchmark_folder=stand_in, frame_cache_folder=tmp_path / "frames")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a video is decoded")

    with make_frame_cache(settings) as cache:
        monkeypatch.setattr(VideoReader, "__init__", refuse)
        found = NVSDataManager(stand_in, 388, frame_cache=cache)
        np.testing.assert_array_equal(
            found.load_image("GLASSES", SERIALS[1], 2, as_uint8=True), expected
        )
        assert found.load_alpha_map("GLASSES", SERIALS[0], 1).shape == (64, 44, 1)


def test_the_second_run_does_nothing(run: Run, tmp_path: Path) -> None:
    code, out, err = run(GLASSES)
    n_frames = N_FRAMES * len(SERIALS)
    assert (code, "Error" in err) == (0, False)
    assert f"{len(SERIALS)} videos, {n_frames} frames: " in out
    assert f"to be written to {tmp_path / 'frames'}, where " in out
    assert f"Prepared: {n_frames} frames in " in out
    assert f"{n_frames} decoded in " in out
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "frames").rglob("*.frames")}
    code, out, _ = run(GLASSES, "nvs/388")  # the same again, and once more
    assert code == 0
    assert f"{n_frames} of them are there already, in " in out
    assert out.splitlines()[-1] == "  nothing was missing"
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "frames").rglob("*.frames")}
    assert len(before) == len(SERIALS)
    assert after == before


def test_the_folder_in_the_root(
    run: Run, stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NERSEMBLE_FRAME_CACHE_FOLDER")
    relative = NVS.path("images", 388, "GLASSES", SERIALS[0])
    (tmp_path / relative).parent.mkdir(parents=True)
    shutil.copy(stand_in / relative, tmp_path / relative)
    code, out, _ = run(GLASSES, "--root", str(tmp_path))
    assert code == 0
    assert (tmp_path / ".nersemble_async/frame_cache" / relative / "000000.frames").is_file()
    assert f"{GLASSES}: {len(SERIALS) - 1} of {len(SERIALS)} videos are not on disk" in out
    command = "    nersemble-async fetch nvs --participant 388 --sequence GLASSES --serial"
    assert f"{command} {SERIALS[1]}" in out


def test_a_changed_video_is_prepared_anew(run: Run, stand_in: Path, tmp_path: Path) -> None:
    relative = NVS.path("images", 388, "GLASSES", SERIALS[0])
    video = tmp_path / "root" / relative
    video.parent.mkdir(parents=True)
    shutil.copy(stand_in / relative, video)
    there = ("--root", str(tmp_path / "root"), GLASSES)
    assert report_of(run, *there)["stored_frames"] == N_FRAMES
    write_video(video, 7)
    report = report_of(run, *there)
    assert (report["present_frames"], report["stored_frames"]) == (0, 7)


# ---- room ---------------------------------------------------------------------------------------


def test_a_limit_that_is_too_small_is_said_before_anything_is_written(
    run: Run, tmp_path: Path
) -> None:
    code, out, err = run(GLASSES, "--limit", "20k")
    assert code == 2
    assert f"{len(SERIALS)} videos, " in out
    assert "more than --limit (NERSEMBLE_FRAME_CACHE_LIMIT), which is 20.0 kB: raise it" in err
    assert not (tmp_path / "frames").exists()


def test_within_the_limit_others_make_room(run: Run) -> None:
    first = report_of(run, GLASSES, "--serial", SERIALS[0])
    limit = str(int(1.5 * first["size_bytes"]))
    code, out, _ = run(GLASSES, "--serial", SERIALS[1], "--limit", limit)
    assert code == 0
    assert "of others are evicted for them" in out
    assert report_of(run, GLASSES, "--serial", SERIALS[1], "--limit", limit)["stored_frames"] == 0
    assert report_of(run, GLASSES, "--serial", SERIALS[0])["stored_frames"] == N_FRAMES


def test_what_others_hold_leaves_no_room(run: Run, tmp_path: Path) -> None:
    first = report_of(run, GLASSES, "--serial", SERIALS[0])
    limit = str(int(1.5 * first["size_bytes"]))
    held = NVS.path("images", 388, "GLASSES", SERIALS[0])
    with FrameCache(tmp_path / "frames") as cache, cache.pin(held):
        report = report_of(run, GLASSES, "--serial", SERIALS[1], "--limit", limit)
    assert report["exit_code"] == 4
    assert (report["stored_frames"], report["refused_frames"]) == (0, N_FRAMES)


def test_a_full_disk_is_said_before_anything_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    code, _, err = run(GLASSES)
    assert code == 4
    assert f"more are needed in {tmp_path / 'frames'}, 1.0 kB are free: make room there" in err
    assert not (tmp_path / "frames").exists()


def test_a_folder_that_takes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, err = run(GLASSES, "--folder", str(tmp_path / "file" / "frames"))
    assert code == 1
    assert f"Error: {tmp_path / 'file' / 'frames'}: " in err


# ---- what goes wrong ----------------------------------------------------------------------------


def test_one_broken_video_does_not_stop_the_others(
    run: Run, stand_in: Path, tmp_path: Path
) -> None:
    for serial in SERIALS[:3]:
        relative = NVS.path("images", 388, "GLASSES", serial)
        (tmp_path / "root" / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stand_in / relative, tmp_path / "root" / relative)
    broken = tmp_path / "root" / NVS.path("images", 388, "GLASSES", SERIALS[1])
    broken.write_bytes(broken.read_bytes()[:1000])
    code, out, _ = run(GLASSES, "--root", str(tmp_path / "root"))
    assert code == 1
    assert f"Prepared but for what failed: {2 * N_FRAMES} frames in " in out
    relative = NVS.path("images", 388, "GLASSES", SERIALS[1])
    assert "1 file failed:" in out
    assert f"  {relative}: mp4: truncated" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nvs",), "such as nvs/388/GLASSES"),
        (("nvs/389",), "unknown participant 389"),
        (("nvs/388/GLASSE",), "did you mean GLASSES?"),
        (("svfr/17",), "svfr has no videos"),
        (("mono_flame_avatar/393/FREE",), "is a test sequence"),
        ((GLASSES, "--serial", "1"), "unknown serial '1'"),
        ((GLASSES, "--assets", "pointclouds"), "'pointclouds' are no videos"),
        ((GLASSES, "--limit", "much"), "not a size"),
        ((GLASSES, "--limit", "0"), "would leave no room"),
        ((GLASSES, "--mode", "zip"), "'zip' is not one of 'compressed', 'raw'"),
        ((), "Missing argument"),
    ],
)
def test_wrong_input(run: Run, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert told in " ".join(err.split())
    assert not (tmp_path / "frames").exists()


def test_what_is_not_on_disk(run: Run, tmp_path: Path) -> None:
    code, out, err = run(GLASSES, "--root", str(tmp_path), "--serial", SERIALS[4])
    assert (code, out) == (1, "")
    assert f"--serial {SERIALS[4]} --assets images --root {tmp_path}" in err


# ---- Ctrl-C -------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_is_there(
    run: Run, stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill, n_stored = FrameCache.fill, 0

    def interrupted(
        *given: Any, on_progress: Callable[[int, int], None], **more: Any
    ) -> FillReport:
        def told(n_done: int, n_missing: int) -> None:
            nonlocal n_stored
            on_progress(n_done, n_missing)
            n_stored += 1
            if n_stored == N_FRAMES + 1:
                os.kill(os.getpid(), signal.SIGINT)
            if n_stored > N_FRAMES:
                anyio.from_thread.run(anyio.sleep_forever)  # until it is cancelled

        return fill(*given, on_progress=told, **more)

    with monkeypatch.context() as patch:
        patch.setattr(FrameCache, "fill", interrupted)
        code, out, err = run(GLASSES, "--serial", *SERIALS[:5])
    assert code == 130
    assert "stopping; what is here is kept" in err
    assert "interrupted; run the same command again to go on" in err
    stored = _stored(stand_in, tmp_path)
    assert N_FRAMES < stored < 5 * N_FRAMES
    assert f"Not complete: {stored} of {5 * N_FRAMES} frames" in out
    report = report_of(run, GLASSES, "--serial", *SERIALS[:5])
    assert (report["present_frames"], report["stored_frames"]) == (stored, 5 * N_FRAMES - stored)


def _stored(stand_in: Path, tmp_path: Path) -> int:
    assets = LocalAssets(ParticipantFiles(stand_in, "nvs", 388))
    videos = assets.files.videos("images", "GLASSES")
    with FrameCache(tmp_path / "frames") as cache:
        return sum(len(cache.stored(assets.video_source(v), v.path)) for v in videos)
