"""What is on disk, per task and asset, and what does not belong there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from nersemble_async.benchmark.spec import FileKind
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.store import LocalState, Store
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.plan import METADATA_ASSET, FetchPlan, PlannedFile
from nersemble_async.fetch.status import AssetStatus, StatusReport
from nersemble_async.settings import Settings
from tests.support.corpora import planned_pointcloud, pointclouds
from tests.support.faulty_server import FaultyServer, run_faulty_server
from tests.support.fetching import fetch, settings_for

CORPUS = pointclouds([2000] * 30)
PATHS = CORPUS.paths
SIZE = len(CORPUS.bodies[PATHS[0]])
METADATA = PlannedFile("nvs/metadata.json", "nvs", METADATA_ASSET, FileKind.JSON)
PLAN = FetchPlan((METADATA, *CORPUS.plan))


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with run_faulty_server() as running:
        for path, body in CORPUS.bodies.items():
            running.put(path, body)
        yield running


async def status(root: Path, plan: FetchPlan) -> StatusReport:
    """Without a URL: looking makes no request."""
    async with Fetcher(Settings(benchmark_folder=root)) as fetcher:
        return await fetcher.status(plan)


@pytest.mark.asyncio
async def test_an_empty_root(tmp_path: Path) -> None:
    root = tmp_path / "not yet"
    plan = FetchPlan((METADATA, *map(planned_pointcloud, range(300))))
    report = await status(root, plan)
    assert report.root == str(root)
    assert report.assets == [
        AssetStatus("nvs", METADATA_ASSET, Counter({LocalState.MISSING: 1})),
        AssetStatus("nvs", "pointclouds", Counter({LocalState.MISSING: 300})),
    ]
    assert report.foreign == []
    assert report.free_bytes > 0
    assert not root.exists()


@pytest.mark.asyncio
async def test_every_state_is_counted(server: FaultyServer, tmp_path: Path) -> None:
    await fetch(server.url, tmp_path, CORPUS.plan)
    missing, partial, touched, replaced = PATHS[10:14]

    def change() -> None:
        store = Store(tmp_path)
        store.target(missing).unlink()
        store.target(partial).unlink()
        with store.open_partial(partial) as part:
            part.begin(RemoteIdentity(SIZE, '"a"'))
            part.write(0, bytes(700))
        os.utime(store.target(touched))
        store.target(replaced).write_bytes(b"x" * 50)

    await anyio.to_thread.run_sync(change)
    metadata, clouds = (await status(tmp_path, PLAN)).assets
    assert metadata.files == {LocalState.MISSING: 1}
    assert clouds.files == {
        LocalState.COMPLETE: 26,
        LocalState.MISSING: 1,
        LocalState.PARTIAL: 1,
        LocalState.UNRECORDED: 2,
    }
    assert clouds.local_bytes == 27 * SIZE + 700 + 50


@pytest.mark.asyncio
async def test_files_on_demand_are_told_apart(server: FaultyServer, tmp_path: Path) -> None:
    await fetch(server.url, tmp_path, FetchPlan(CORPUS.plan.files[:3]))
    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        fetcher.open_on_demand() as on_demand,
    ):
        for file in CORPUS.plan.files[2:7]:
            await on_demand.fetch(file)
    report = await status(tmp_path, PLAN)
    assert (report.transient_files, report.transient_bytes) == (4, 4 * SIZE)
    assert report.foreign == []


@pytest.mark.asyncio
async def test_only_what_is_asked_for_is_told(server: FaultyServer, tmp_path: Path) -> None:
    await fetch(server.url, tmp_path, CORPUS.plan)
    report = await status(tmp_path, FetchPlan(CORPUS.plan.files[1:4]))
    assert report.assets == [
        AssetStatus("nvs", "pointclouds", Counter({LocalState.COMPLETE: 3}), 3 * SIZE)
    ]
    assert report.foreign == [], "the rest is no stranger: the benchmark has it"


@pytest.mark.asyncio
async def test_assets_of_different_tasks_are_kept_apart_in_the_order_of_the_plan(
    tmp_path: Path,
) -> None:
    plan = FetchPlan(
        (
            PlannedFile("nvs/b", "nvs", "calibration", FileKind.JSON),
            PlannedFile("mono_flame_avatar/a", "mono_flame_avatar", "images", FileKind.MP4),
            PlannedFile("nvs/c", "nvs", "images", FileKind.MP4),
            PlannedFile("nvs/d", "nvs", "calibration", FileKind.JSON),
        )
    )
    report = await status(tmp_path, plan)
    assert [(a.task, a.asset, a.files.total()) for a in report.assets] == [
        ("nvs", "calibration", 2),
        ("mono_flame_avatar", "images", 1),
        ("nvs", "images", 1),
    ]


@pytest.mark.asyncio
async def test_strangers_are_named(tmp_path: Path) -> None:
    strangers = ["nvs/388/notes.txt", "nvs/.hidden", "svfr/sub/folder/x.png"]
    known = "nvs/388/calibration/camera_params.json"
    for name in (*strangers, known, "other/x", "x", ".nersemble_async/quarantine/nvs%2Fx"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    report = await status(tmp_path, FetchPlan(()))
    assert sorted(report.foreign) == sorted(strangers)
    assert report.assets == []
