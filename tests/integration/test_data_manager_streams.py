"""The managers' streams and loads on the stand-in: awaited, fetched on demand, left at any time."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from nersemble_async import sync
from nersemble_async.data_managers import (
    MonoFlameAvatarDataManager,
    NVSDataManager,
    SVFRDataManager,
)
from nersemble_async.errors import (
    ConfigurationError,
    DecodeError,
    MissingBenchmarkUrlError,
    NotCachedError,
    SelectionError,
)
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.formats.cameras import load_camera_calibration
from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.settings import Settings
from tests.support.fetching import settings_for
from tests.support.gapped_root import SERIALS, TIMESTEPS, make_gapped_root
from tests.support.nginx import run_nginx
from tests.support.stand_in import tiny_stand_in

SERIAL = SERIALS[0]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_gapped_root(tmp_path / "gapped")


Seen = dict[tuple[str, int], tuple[FrameArray, FrameArray]]
"""Image and alpha map by serial and timestep."""


@pytest.fixture
def seen(root: Path) -> Seen:
    """What the sync manager loads."""
    with sync.NVSDataManager(root, 443) as manager:
        return {
            (serial, t): (
                manager.load_image("FREE", serial, t, as_uint8=True),
                manager.load_alpha_map("FREE", serial, t),
            )
            for serial in SERIALS
            for t in TIMESTEPS
        }


def open_videos(root: Path) -> int:
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(descriptor.readlink())
        except FileNotFoundError:
            continue
    return sum(link.suffix == ".mp4" and link.is_relative_to(root) for link in links)


async def timesteps_of(stream: AsyncIterator[Any]) -> list[int]:
    return [item.timestep async for item in stream]


# ---- streams --------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_frames_come_by_timestep(root: Path, seen: Seen) -> None:
    manager = NVSDataManager(root, 443)
    async with manager.open_frames("FREE", SERIAL, with_alpha=True) as frames:
        found = [frame async for frame in frames]
    assert [(f.serial, f.timestep, f.frame_index) for f in found] == [
        (SERIAL, 0, 0),
        (SERIAL, 3, 1),
        (SERIAL, 7, 2),
    ]
    for frame in found:
        image, alpha_map = seen[SERIAL, frame.timestep]
        assert np.array_equal(frame.image, image)
        assert frame.alpha_map is not None
        assert np.array_equal(frame.alpha_map, alpha_map)
    async with manager.open_frames("FREE", SERIAL, start=1, stop=7) as frames:
        assert await timesteps_of(frames) == [3]
    async with manager.open_frames(
        "FREE", SERIAL, step=2, scale=0.5, dtype="float32", layout="CHW"
    ) as frames:
        scaled = [frame async for frame in frames]
    assert [frame.timestep for frame in scaled] == [0, 7]
    assert scaled[0].image.shape == (3, 32, 22)
    assert open_videos(root) == 0


@pytest.mark.asyncio
async def test_all_cameras_come_as_one_sample(root: Path) -> None:
    manager = NVSDataManager(root, 443)
    plan = await manager.plan_multi_view("FREE", with_pointcloud=True)
    async with manager.open_multi_view(
        "FREE", timesteps=[3, 7], with_pointcloud=True, crop=(10, 20, 22, 30), scale=0.5
    ) as samples:
        assert 0 < samples.memory_needed_bytes <= plan.memory_needed_bytes
        found = [sample async for sample in samples]
    assert [sample.timestep for sample in found] == [3, 7]
    calibration = (await manager.load_camera_calibration()).cropped(10, 20).scaled(0.5)
    for sample in found:
        assert sample.serials == SERIALS
        assert sample.stacked_images().shape == (2, 15, 11, 3)
        assert sample.stacked_alpha_maps().shape == (2, 15, 11, 1)
        assert sample.pointcloud is not None
        points, _, _ = await manager.load_pointcloud("FREE", sample.timestep)
        assert np.array_equal(sample.pointcloud.points, points)
        assert sample.calibration is not None
        for serial in SERIALS:
            ours = sample.calibration.intrinsics[serial]
            assert np.allclose(ours, calibration.intrinsics[serial])
    assert open_videos(root) == 0


@pytest.mark.asyncio
async def test_an_avatars_samples_have_their_rows_of_the_tracking() -> None:
    manager = MonoFlameAvatarDataManager(tiny_stand_in(), 393)
    tracking = await manager.load_flame_tracking("EXP-1-head")
    async with manager.open_multi_view("EXP-1-head", with_flame=True) as samples:
        async for sample in samples:
            assert sample.flame is not None
            row = tracking.expression[[sample.frame_index]]
            assert np.array_equal(sample.flame.expression, row)
    with pytest.raises(SelectionError, match="no asset 'pointclouds'"):
        async with manager.open_multi_view("EXP-1-head", with_pointcloud=True):
            pass


@pytest.mark.asyncio
async def test_a_shuffled_epoch_has_every_frame_once(root: Path, seen: Seen) -> None:
    manager = NVSDataManager(root, 443)
    order = []
    async with manager.open_shuffled("FREE", seed=1, with_alpha=True) as frames:
        async for frame in frames:
            order.append((frame.serial, frame.timestep))
            assert np.array_equal(frame.image, seen[order[-1]][0])
            assert frame.alpha_map is not None
            assert np.array_equal(frame.alpha_map, seen[order[-1]][1])
    assert sorted(order) == [(serial, t) for serial in SERIALS for t in TIMESTEPS]
    async with manager.open_shuffled("FREE", [SERIAL], [7, 0], seed=1) as frames:
        assert sorted(await timesteps_of(frames)) == [0, 7]
    assert open_videos(root) == 0


@pytest.mark.asyncio
async def test_pointclouds_come_in_order_and_a_missing_one_says_so(root: Path) -> None:
    manager = NVSDataManager(root, 443)
    async with manager.open_pointclouds("FREE") as clouds:
        assert await timesteps_of(clouds) == list(TIMESTEPS)
    await anyio.Path(manager.get_pointcloud_path("FREE", 7)).unlink()
    async with manager.open_pointclouds("FREE") as clouds:
        assert [(await anext(clouds)).timestep for _ in range(2)] == [0, 3]
        with pytest.raises(NotCachedError, match="--pointcloud-frames 7"):
            await anext(clouds)


@pytest.mark.asyncio
async def test_what_does_not_exist_is_said_on_entering(root: Path) -> None:
    manager = NVSDataManager(root, 443)
    missing = "222200040"
    wrong: list[Callable[[], Any]] = [
        lambda: manager.open_frames("FREE", SERIAL, start=8),
        lambda: manager.open_frames("FREE", "222200037"),
        lambda: manager.open_frames("GLASSES", SERIAL),
        lambda: manager.open_multi_view("FREE", timesteps=[1]),
        lambda: manager.open_shuffled("FREE", ["1"], seed=0),
        lambda: manager.open_pointclouds("FREE", [1]),
    ]
    for attempt in wrong:
        with pytest.raises(SelectionError):
            async with attempt():
                pass
    for attempt in (
        lambda: manager.open_frames("FREE", missing),
        lambda: manager.open_multi_view("FREE", [SERIAL, missing]),
        lambda: manager.open_shuffled("FREE", [missing], seed=0),
    ):
        with pytest.raises(NotCachedError, match=f"--serial {missing} --assets images"):
            async with attempt():
                pass


@pytest.mark.asyncio
@pytest.mark.usefixtures("more_timesteps")
async def test_a_video_that_lacks_frames_is_broken(root: Path) -> None:
    """Not a wrong choice: metadata.json lists the timestep."""
    manager = NVSDataManager(root, 443)
    for stream in (
        manager.open_frames("FREE", SERIAL),
        manager.open_multi_view("FREE"),
        manager.open_shuffled("FREE", seed=0),
    ):
        with pytest.raises(DecodeError, match=r"fewer than metadata\.json lists"):
            async with stream:
                pass
    async with manager.open_multi_view("FREE", timesteps=TIMESTEPS) as samples:
        assert await timesteps_of(samples) == list(TIMESTEPS)
    with pytest.raises(SelectionError, match="ascend"):
        async with manager.open_multi_view("FREE", timesteps=[3, 0]):
            pass


@pytest.fixture
def more_timesteps(root: Path) -> None:
    """One more in metadata.json than the videos have frames."""
    path = root / "nvs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["sequences"]["443"]["timesteps"] = [*TIMESTEPS, 9]
    path.write_text(json.dumps(metadata))


# ---- awaited loads --------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_many_loads_at_once_do_not_meet(root: Path, seen: Seen) -> None:
    found: list[bool] = []

    async def load(manager: NVSDataManager, timestep: int) -> None:
        image = await manager.load_image("FREE", SERIAL, timestep, as_uint8=True)
        found.append(np.array_equal(image, seen[SERIAL, timestep][0]))

    async with NVSDataManager(root, 443) as manager, anyio.create_task_group() as group:
        for turn in range(30):
            group.start_soon(load, manager, TIMESTEPS[turn % 3])
    assert found == [True] * 30
    assert open_videos(root) == 0


def test_a_manager_that_nobody_closes_leaves_nothing(root: Path) -> None:
    before = set(threading.enumerate())

    async def use() -> None:
        manager = NVSDataManager(root, 443)
        await manager.load_image("FREE", SERIAL, 3)
        assert open_videos(root) == 1

    anyio.run(use)
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=30)  # the loop's workers end by themselves, and hold their last job
    gc.collect()
    assert open_videos(root) == 0
    assert set(threading.enumerate()) <= before


def test_a_manager_serves_several_loops(root: Path) -> None:
    manager = NVSDataManager(root, 443)
    first, second = (anyio.run(manager.load_image, "FREE", SERIAL, 7) for _ in range(2))
    assert np.array_equal(first, second)


# ---- on demand ------------------------------------------------------------------------------


def test_what_is_missing_is_fetched_when_it_is_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with run_nginx(tiny_stand_in(), tmp_path / "nginx") as server:
        anyio.run(ask_for_some_of_everything, settings_for(server.url, root))
    for path in fetched(root):
        assert (root / path).read_bytes() == (tiny_stand_in() / path).read_bytes()
    ours, whole = (sync.NVSDataManager(folder, 443) for folder in (root, tiny_stand_in()))
    image = ours.load_image("FREE", SERIAL, 1)
    assert np.array_equal(image, whole.load_image("FREE", SERIAL, 1))


async def ask_for_some_of_everything(settings: Settings) -> None:
    async with Fetcher(settings) as fetcher:
        async with NVSDataManager(None, 443, fetcher=fetcher) as manager:
            assert await manager.list_sequences() == ["FREE"]
            assert await manager.has_video("FREE", SERIAL)
            assert not await manager.has_video("FREE", "222200037")
            with pytest.raises(SelectionError, match="no timestep 9"):
                await manager.load_image("FREE", SERIAL, 9)
            assert fetched(settings.root) == ["nvs/metadata.json"]
            for awaitable in loads(manager):
                await awaitable
            assert len(fetched(settings.root)) == 5
            async with manager.open_multi_view(
                "FREE", ["222200044", "222200040"], with_pointcloud=True
            ) as samples:
                assert await timesteps_of(samples) == [0, 1, 2]
            async with manager.open_shuffled("FREE", [SERIAL], seed=0) as frames:
                assert len(await timesteps_of(frames)) == 3
        async with MonoFlameAvatarDataManager(None, 393, fetcher=fetcher) as mono:
            tracking = await mono.load_flame_tracking("FREE")
            assert len(tracking.frames) == await mono.get_n_timesteps("FREE")
        async with SVFRDataManager(None, 17, fetcher=fetcher) as svfr:
            keys = await svfr.list_image_keys()
            assert (await svfr.load_image(keys[0])).ndim == 3


def loads(manager: NVSDataManager) -> list[Awaitable[object]]:
    return [
        manager.load_image("FREE", SERIAL, 1),
        manager.load_alpha_map("FREE", SERIAL, 1),
        manager.load_pointcloud("FREE", 2),
        manager.load_camera_calibration(),
    ]


def fetched(root: Path) -> list[str]:
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if not path.parts[0].startswith("."))


@pytest.mark.asyncio
async def test_a_fetcher_is_of_use_only_in_its_root_and_its_time(
    tmp_path: Path, root: Path
) -> None:
    settings = Settings(benchmark_folder=root)
    async with Fetcher(settings) as fetcher:
        with pytest.raises(ConfigurationError, match="same folder"):
            NVSDataManager(tmp_path, 443, fetcher=fetcher)
        manager = NVSDataManager(root, 443, fetcher=fetcher)
        with pytest.raises(ConfigurationError, match="async with"):
            await manager.load_image("FREE", SERIAL, 0)
        async with manager:
            await manager.load_image("FREE", SERIAL, 3)  # it is there: no URL is needed
            with pytest.raises(MissingBenchmarkUrlError):
                await manager.load_image("FREE", "222200040", 3)


def test_the_calibration_is_the_files(root: Path) -> None:
    manager = NVSDataManager(root, 443)
    ours = anyio.run(manager.load_camera_calibration)
    file = load_camera_calibration(Path(manager.get_camera_calibration_path()))
    assert ours.world_2_cam.keys() == file.world_2_cam.keys()
