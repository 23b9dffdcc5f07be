"""The demo and the generator's command, with the tiniest stand-in."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
import pytest

from nersemble_async.cli import demo_load_steps, demo_submit_steps
from nersemble_async.cli.demo_load_steps import mean_jump
from nersemble_async.cli.demo_method import enlarged
from nersemble_async.cli.demo_stage import Demo, DemoError, Step, run_steps
from nersemble_async.cli.demo_steps import STEPS
from nersemble_async.cli.output import PlainOutput
from nersemble_async.cli.synthesize import render
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.sync import NVSDataManager, NVSSubmissionDataReader
from nersemble_async.synthetic import dataset
from nersemble_async.synthetic.scale import SCALES, SyntheticScale
from tests.support.corpora import visible_files

SECRET = "https://host.example/a-secret-path-of-some-length"


@pytest.mark.asyncio
async def test_every_step_of_the_demo(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The user's own settings are there, and stay untouched and unused.
    monkeypatch.setenv("NERSEMBLE_BENCHMARK_URL", SECRET)
    monkeypatch.setenv("NERSEMBLE_BENCHMARK_FOLDER", str(tmp_path / "mine"))
    monkeypatch.setenv("NERSEMBLE_FRAME_CACHE_FOLDER", str(tmp_path / "mine/frames"))
    monkeypatch.setenv("NERSEMBLE_FRAME_CACHE_LIMIT", "1")
    out = tmp_path / "demo"
    out.mkdir()
    seen: list[Demo] = []

    async def keep(demo: Demo) -> None:
        seen.append(demo)

    steps = (*STEPS, Step("Keep", keep))
    assert await run_steps(steps, out, PlainOutput(), scale="tiny") is ExitCode.OK
    told = capfd.readouterr().out
    assert "killed with SIGKILL after" in told
    assert "$ nersemble-async verify" in told
    assert "were not sent again" in told
    assert "Done in" in told

    assert "3 samples: 13 images, alpha maps, calibration, pointcloud" in told
    assert "39 images (and alpha maps) of 44 × 64 in " in told
    assert "$ nersemble-async prepare nvs/388/GLASSES" in told
    assert "all of them are the same to the bit" in told
    assert "39 images of 44 × 64, each once" in told
    assert "FLAME heads of 22 sequences" in told

    assert "388/GLASSES: 3 timesteps × 3 cameras" in told
    assert "killed with SIGKILL at 443/FREE 2/3 timesteps" in told
    assert "there is no submission.zip, but submission.zip.partial (" in told
    assert "6 of 15 videos were there and are not written again" in told
    assert "Valid: no problem in" in told
    for rule in ("unreadable-video", "missing-entry"):
        assert f"error {rule}: " in told
    assert "Not valid: 2 errors, " in told

    (demo,) = seen
    summary = dict(demo.summary)
    assert {
        "13 cameras in lock-step",
        "a random image",
        "shuffled",
        "pointclouds",
    } <= summary.keys()
    for name in (
        "nvs_388_GLASSES.png",
        "mono_flame_avatar_393_EXP-5-mouth.png",
        "submission.png",
    ):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    await anyio.to_thread.run_sync(assert_shows_the_nearest_cameras, demo)
    assert (out / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    fetched = visible_files(demo.root)
    served = visible_files(demo.served)
    assert fetched
    assert fetched.items() <= served.items()
    # What is not fetched is what is fetched only when named.
    assert all("flame2023_tracking.npz" in path for path in served.keys() - fetched.keys())
    assert demo.sent.total < 1.2 * demo.total_bytes
    assert not (tmp_path / "mine").exists()


def assert_shows_the_nearest_cameras(demo: Demo) -> None:
    manager = NVSDataManager(demo.root, 388)
    with NVSSubmissionDataReader(demo.submission, benchmark_folder=demo.root) as reader:
        assert reader.validate_submission() == {}
        for serial, nearest in {"222200046": "222200042", "222200039": "222200043"}.items():
            (frame,) = reader.load_video(388, "GLASSES", serial, timestep=2)
            seen = manager.load_image("GLASSES", nearest, 2, as_uint8=True)
            assert np.abs(frame.astype(int) - enlarged(seen).astype(int)).mean() < 3


@pytest.mark.asyncio
async def test_a_method_that_fails_ends_the_demo(tmp_path: Path) -> None:
    steps = [Step("Submit", demo_submit_steps.submit_the_rest)]
    with pytest.raises(DemoError, match="the method ended with exit code 1"):
        await run_steps(steps, tmp_path, PlainOutput())


@pytest.mark.asyncio
@pytest.mark.parametrize("step", [demo_submit_steps.validate, demo_submit_steps.preview])
async def test_a_submission_that_is_none_ends_the_demo(
    tmp_path: Path, step: Callable[[Demo], Awaitable[None]]
) -> None:
    (tmp_path / "submission.zip").write_bytes(b"no zip")
    with pytest.raises(DemoError, match="ended with exit code"):
        await run_steps([Step("Look", step)], tmp_path, PlainOutput())


@pytest.mark.asyncio
async def test_frames_that_differ_end_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: Path
) -> None:
    class Wrong(NVSDataManager):
        def load_image(self, *given: Any, **more: Any) -> Any:
            image = super().load_image(*given, **more)
            return image if self._assets._frame_cache is None else np.roll(image, 1, 0)

    async def copy_videos(demo: Demo) -> None:
        images = "nvs/388/sequences/GLASSES/images"
        await anyio.to_thread.run_sync(shutil.copytree, stand_in / images, demo.root / images)

    monkeypatch.setattr(demo_load_steps, "BlockingNVSDataManager", Wrong)
    steps = [Step("Copy", copy_videos), Step("Compare", demo_load_steps.load_random_frames)]
    with pytest.raises(DemoError, match="40 frames differ between video and frame cache"):
        await run_steps(steps, tmp_path, PlainOutput())


def test_how_far_a_shuffle_mixes() -> None:
    in_order = [(serial, timestep) for serial in ("a", "b") for timestep in range(5)]
    assert mean_jump(in_order) == (1, 11 / 3)
    shuffled = [in_order[position] for position in np.random.default_rng(0).permutation(10)]
    assert mean_jump(shuffled)[0] > 2


@pytest.mark.asyncio
async def test_a_step_that_fails_ends_the_demo(tmp_path: Path) -> None:
    async def fail(demo: Demo) -> None:
        demo.total_bytes = 1
        await demo.run("fetch", "no_such_task")
        raise DemoError("as expected")

    with pytest.raises(DemoError, match="as expected"):
        await run_steps([Step("Fail", fail)], tmp_path, PlainOutput())


@pytest.mark.asyncio
async def test_a_cancelled_rendering_ends_at_the_next_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = dataset.synthesize
    loop = asyncio.get_running_loop()
    steps = 0

    def cancel_at_the_tenth(
        root: Path, scale: SyntheticScale, *, on_progress: dataset.OnProgress, **given: Any
    ) -> None:
        def told(progress: dataset.SynthesisProgress) -> None:
            nonlocal steps
            steps += 1
            if steps == 10:
                loop.call_soon_threadsafe(scope.cancel)
            on_progress(progress)

        real(root, scale, on_progress=told, **given)

    monkeypatch.setattr(dataset, "synthesize", cancel_at_the_tenth)
    with anyio.CancelScope() as scope:
        await render(PlainOutput(), tmp_path / "made", SCALES["small"])
    assert scope.cancelled_caught
    assert 10 <= steps < 1_000
