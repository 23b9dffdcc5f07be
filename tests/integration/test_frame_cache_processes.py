"""One frame cache, several processes: at once, killed, forked, spawned, on a full disk."""

from __future__ import annotations

import logging
import multiprocessing
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nersemble_async.errors import DiskFullError
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame_cache import FrameCache
from tests.integration import test_fetch_disk_full
from tests.support.frame_cache_process import KEY, use
from tests.support.tagged_videos import write_tagged_video

REPOSITORY = Path(__file__).parents[2]
N_FRAMES, FRAME_BYTES = 70, 64 * 48 * 3 // 2
mounting = test_fetch_disk_full.mounting


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> VideoSource:
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    write_tagged_video(path, n_frames=N_FRAMES, x264_params="keyint=20")
    return VideoSource(path, path.with_suffix(".index"))


def start(
    source: VideoSource, folder: Path, mode: str, *, limit: int = 0, seed: int = 0, rounds: int = 2
) -> subprocess.Popen[str]:
    arguments = [str(source.path), str(folder), mode, str(limit), str(seed), str(rounds)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.frame_cache_process", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("limit", [0, 8192 + 20 * FRAME_BYTES])
def test_processes_fill_and_read_one_folder(
    tmp_path: Path, source: VideoSource, limit: int
) -> None:
    runs = [
        start(source, tmp_path, mode, limit=limit, seed=seed)
        for seed, mode in enumerate(("compressed", "raw", "compressed"))
    ]
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert (run.returncode, out) == (0, f"begins\n{2 * N_FRAMES}\n"), err
    with FrameCache(tmp_path) as cache:
        assert cache.used_bytes() <= (limit or 10**9)
        if not limit:
            assert cache.stored(source, KEY) == list(range(N_FRAMES))
        assert use(cache, source, seed=9, rounds=1) == N_FRAMES


def test_killed_at_any_instant(tmp_path: Path, source: VideoSource) -> None:
    draw, kills = random.Random(3), 0
    limit = 2 * 8192 + 50 * FRAME_BYTES
    with FrameCache(tmp_path, limit) as cache:
        for seed in range(6):
            run = start(source, tmp_path, "raw", limit=limit, seed=seed, rounds=10**6)
            assert run.stdout is not None
            assert run.stdout.readline() == "begins\n"
            # No synchronisation: the instant of death is drawn, and any will do.
            time.sleep(draw.uniform(0.0, 0.2))
            run.kill()
            kills += run.wait(timeout=20) == -signal.SIGKILL
            run.communicate()
            assert cache.used_bytes() <= limit
            assert use(cache, source, seed=seed, rounds=1) == N_FRAMES
    assert kills == 6


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_a_process_that_uses_it(
    tmp_path: Path, source: VideoSource, method: str
) -> None:
    script = "tests.support.frame_cache_children"
    done = subprocess.run(
        [sys.executable, "-m", script, str(source.path), str(tmp_path), method],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout.split() == 4 * [str(2 * N_FRAMES)], done.stderr
    assert done.returncode == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_pin_is_the_parents_and_ends_with_it(tmp_path: Path, source: VideoSource) -> None:
    limit = 8192 + 5 * FRAME_BYTES
    processes = multiprocessing.get_context("fork")
    blocked, release = processes.Event(), processes.Event()

    def wait() -> None:
        blocked.set()
        release.wait(30)

    with FrameCache(tmp_path, limit, mode="raw") as cache:
        with cache.pin(KEY):
            assert cache.fill(source, KEY).n_stored == 5
            child = processes.Process(target=wait)
            child.start()
            assert blocked.wait(30)
            assert cache.fill(source, "other.mp4").n_stored == 0
        # The child lives on, with what it inherited; that pins nothing.
        with FrameCache(tmp_path, limit, mode="raw") as other:
            assert other.fill(source, "other.mp4").n_stored == 5
        release.set()
        child.join(30)
        assert child.exitcode == 0


@pytest.mark.usefixtures("mounting")
@pytest.mark.parametrize("pages", [1, 2, 3, 4, 5, 9, 20])
def test_a_full_disk(
    tmp_path: Path, source: VideoSource, pages: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Room for so much and no more: for a count, a header, half a frame."""
    with (
        caplog.at_level(logging.WARNING),
        test_fetch_disk_full.small_root(tmp_path, pages * 4096) as root,
    ):
        with FrameCache(root / "frames", mode="raw") as cache:
            assert use(cache, source, seed=1, rounds=2) == 2 * N_FRAMES
            with pytest.raises(DiskFullError):
                cache.fill(source, KEY)
            assert use(cache, source, seed=2, rounds=1) == N_FRAMES
        assert [record.message for record in caplog.records] == ["frame_cache_stopped"]
        subprocess.run(["mount", "-o", "remount,size=8m", str(root)], check=True, timeout=20)
        with FrameCache(root / "frames", mode="raw") as cache:
            cache.fill(source, KEY)
            assert cache.stored(source, KEY) == list(range(N_FRAMES))
            assert use(cache, source, seed=3, rounds=1) == N_FRAMES
