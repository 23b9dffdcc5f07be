"""Several cameras' missing videos: on their way at the same time, given up together."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nersemble_async.data_managers import NVSDataManager
from nersemble_async.errors import MissingBenchmarkUrlError, RemoteFileMissingError, SelectionError
from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.settings import Settings
from nersemble_async.workers import enter_together
from tests.support.corpora import state_files, visible_files
from tests.support.faulty_server import Answer, Ending, FaultyServer, Request
from tests.support.fetching import settings_for
from tests.support.gapped_root import SERIALS
from tests.support.stand_in import tiny_stand_in

FOLDER = "nvs/443/sequences/FREE"
VIDEOS = [
    f"{FOLDER}/{asset}/cam_{serial}.mp4" for asset in ("images", "alpha_maps") for serial in SERIALS
]


@pytest.fixture
def server(server: FaultyServer) -> FaultyServer:
    """It has what two cameras need."""
    for path in [*VIDEOS, "nvs/metadata.json", "nvs/443/calibration/camera_params.json"]:
        server.put(path, (tiny_stand_in() / path).read_bytes())
    return server


@pytest.mark.asyncio
async def test_missing_videos_are_fetched_at_the_same_time(
    server: FaultyServer, tmp_path: Path
) -> None:
    # Nobody is answered before all four have asked.
    all_here = threading.Barrier(len(VIDEOS))

    def together(_request: Request, answer: Answer) -> Answer:
        all_here.wait(20)
        return answer

    for path in VIDEOS:
        server.script[path].append(together)
    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        NVSDataManager(None, 443, fetcher=fetcher) as manager,
    ):
        async with manager.open_multi_view("FREE", SERIALS) as samples:
            assert len(state_files(tmp_path, "pins")) == len(VIDEOS)
            assert [sample.serials async for sample in samples] == [SERIALS] * 3
        assert state_files(tmp_path, "pins") == []
    assert not all_here.broken
    gets = server.gets()
    assert {path: gets[path] for path in VIDEOS} == dict.fromkeys(VIDEOS, 1)


@pytest.mark.asyncio
async def test_never_more_at_once_than_connections(server: FaultyServer, tmp_path: Path) -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def begin(_request: Request, answer: Answer) -> Answer:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        return Answer(answer.status, answer.headers, answer.body, afterwards=end)

    def end() -> None:
        nonlocal under_way
        with lock:
            under_way -= 1

    for path in VIDEOS:
        server.always[path] = begin
    settings = settings_for(server.url, tmp_path, connections=2)
    async with (
        Fetcher(settings) as fetcher,
        NVSDataManager(None, 443, fetcher=fetcher) as manager,
        manager.open_shuffled("FREE", SERIALS, seed=0, with_alpha=True) as frames,
    ):
        assert len([frame async for frame in frames]) == 3 * len(SERIALS)
    assert 1 <= most <= 2


@pytest.mark.asyncio
async def test_one_that_cannot_be_had_ends_the_others(server: FaultyServer, tmp_path: Path) -> None:
    del server.files[VIDEOS[-1]]

    def stall(_request: Request, answer: Answer) -> Answer:
        return Answer(answer.status, answer.headers, answer.body, send_bytes=9, ending=Ending.STALL)

    def when_another_stalls(_request: Request, answer: Answer) -> Answer:
        assert server.stalled.wait(20)
        return answer

    server.always = dict.fromkeys(VIDEOS[:-1], stall)
    server.always[VIDEOS[-1]] = when_another_stalls
    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        NVSDataManager(None, 443, fetcher=fetcher) as manager,
    ):
        with pytest.raises(RemoteFileMissingError):
            async with manager.open_multi_view("FREE", SERIALS):
                pass
        assert state_files(tmp_path, "pins") == []
    assert not any(path.endswith(".mp4") for path in visible_files(tmp_path))


@pytest.mark.asyncio
async def test_what_all_of_them_lack_is_told_once(tmp_path: Path, server: FaultyServer) -> None:
    async with (
        Fetcher(settings_for(server.url, tmp_path)) as fetcher,
        NVSDataManager(None, 443, fetcher=fetcher) as manager,
    ):
        await manager.list_timesteps("FREE")
        await manager.load_camera_calibration()
    async with (
        Fetcher(Settings(benchmark_folder=tmp_path)) as fetcher,
        NVSDataManager(None, 443, fetcher=fetcher) as manager,
    ):
        with pytest.raises(MissingBenchmarkUrlError):
            async with manager.open_multi_view("FREE", SERIALS):
                pass


@pytest.fixture
def stand_in() -> Path:
    return tiny_stand_in()


@pytest.mark.asyncio
@pytest.mark.parametrize("scale", [None, 0.5])
async def test_no_camera_at_all(stand_in: Path, scale: float | None) -> None:
    manager = NVSDataManager(stand_in, 443)
    with pytest.raises(SelectionError, match="no camera was asked for"):
        async with manager.open_multi_view("FREE", [], scale=scale):
            pass


# ---- contexts in general --------------------------------------------------------------------


@pytest.mark.asyncio
async def test_those_that_were_entered_are_left_where_another_cannot_be() -> None:
    told: list[Any] = []

    @asynccontextmanager
    async def good() -> AsyncIterator[None]:
        told.append("entered")
        try:
            yield
        finally:
            told.append("left")

    @asynccontextmanager
    async def bad(number: int) -> AsyncIterator[None]:
        raise KeyError(number)
        yield

    with pytest.raises(KeyError, match="1"):
        async with AsyncExitStack() as stack:
            await enter_together(stack, [good(), bad(1), bad(2)])
    assert told == ["entered", "left"]
