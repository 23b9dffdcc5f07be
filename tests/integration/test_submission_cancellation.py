"""Submissions whose writers are cancelled at every await: nothing stays open, all can go on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.errors import SubmissionError
from nersemble_async.submission import thread_lifetimes
from nersemble_async.submission.writing import writers
from nersemble_async.submission.writing.archive import Archive
from nersemble_async.submission.writing.writers import (
    MonoFlameAvatarSubmissionDataWriter,
    SVFRSubmissionDataWriter,
)
from nersemble_async.workers import run_blocking
from tests.support.streams import run_alone
from tests.support.submissions import (
    Lengths,
    RgbImage,
    head_mesh,
    mesh_entries,
    picture,
    video_entries,
)

SIZE = BENCHMARKS["mono_flame_avatar"].frame_size
KEYS = [(e.participant_id, e.sequence_name, e.serial) for e in video_entries("mono_flame_avatar")]
FRAMES = [picture(SIZE, 3, index) for index in range(2)]
Scenario = Callable[[Path], Awaitable[None]]


class Strike:
    """Cancels the task at its n-th call into a thread, in one of several ways."""

    def __init__(self, at: int, way: str) -> None:
        self._left = at
        self._way = way
        self.scope = anyio.CancelScope()

    @property
    def struck(self) -> bool:
        return self._left < 0

    async def run_blocking(self, limiter: anyio.CapacityLimiter, function: Any, *args: Any) -> Any:
        self._left -= 1
        if self._left != -1:
            return await run_blocking(limiter, function, *args)
        if self._way == "after":
            try:
                return await run_blocking(limiter, function, *args)
            finally:
                self.scope.cancel()
        if self._way == "before":
            self.scope.cancel()
        else:  # asyncio's own, so many turns of the loop from now
            task, turns = asyncio.current_task(), int(self._way)
            assert task is not None
            later(turns, task.cancel)
        return await run_blocking(limiter, function, *args)


def later(turns: int, call: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(call if turns == 0 else partial(later, turns - 1, call))


async def frames() -> AsyncIterator[RgbImage]:
    for frame in FRAMES:
        yield frame


async def write_videos(folder: Path) -> None:
    async with MonoFlameAvatarSubmissionDataWriter(
        folder / "a.zip", metadata=Lengths(2), resume=True, allow_partial=True, threads=2
    ) as writer:
        assert await writer.add_video(*KEYS[0], FRAMES) is (KEYS[0] not in resumed_keys(writer))
        await writer.add_video(*KEYS[1], frames())
        if resumed_keys(writer).isdisjoint(KEYS[2:4]):
            async with writer.open_video(*KEYS[2]) as left, writer.open_video(*KEYS[3]) as right:
                for frame in FRAMES:
                    await left.write(frame)
                    await right.write(frame)
        else:
            for key in KEYS[2:4]:
                await writer.add_video(*key, FRAMES)
        await writer.close()


def resumed_keys(writer: MonoFlameAvatarSubmissionDataWriter) -> set[tuple[int, str, str]]:
    entries = video_entries("mono_flame_avatar")
    return {key for key, e in zip(KEYS, entries, strict=True) if e.path in writer.resumed}


async def write_meshes(folder: Path) -> None:
    landmarks = np.asarray(head_mesh()["vertices"][:7], np.float64)
    async with SVFRSubmissionDataWriter(
        folder / "a.zip", resume=True, allow_partial=True
    ) as writer:
        for entry in mesh_entries("posed")[:4]:
            assert entry.timestep is not None
            key = (entry.participant_id, entry.sequence_name, entry.timestep, entry.serial)
            mesh = head_mesh()
            await writer.add_posed_mesh(*key, (mesh["vertices"], mesh["faces"]), landmarks)


def strike_everywhere(
    folder: Path, scenario: Scenario, way: str, monkeypatch: pytest.MonkeyPatch, n_entries: int
) -> int:
    """Cancel at the first await, the second, …; at how many, and that nothing was left of each."""
    for at in itertools.count():
        where = folder / f"{at}"
        where.mkdir()
        (where / "a.zip").write_bytes(b"old")
        strikes: list[Strike] = []

        async def struck(at: int = at, where: Path = where, to: list[Strike] = strikes) -> None:
            strike = Strike(at, way)
            to.append(strike)
            for module in (writers, thread_lifetimes):
                monkeypatch.setattr(module, "run_blocking", strike.run_blocking)
            with contextlib.suppress(asyncio.CancelledError), strike.scope:
                await scenario(where)

        run_alone(where, struck)
        monkeypatch.undo()
        left = {path.name for path in where.iterdir()}
        is_finished = (where / "a.zip").read_bytes() != b"old"
        assert left - {"a.zip"} in (set(), {"a.zip.partial", "a.zip.partial.journal"})
        if not is_finished:
            asyncio.run(scenario(where))  # type: ignore[arg-type]
        assert [path.name for path in where.iterdir()] == ["a.zip"]
        with zipfile.ZipFile(where / "a.zip") as file:
            assert file.testzip() is None
            assert len(set(file.namelist())) == len(file.namelist()) == n_entries
        if not strikes[0].struck:
            return at
    raise AssertionError


@pytest.mark.parametrize("way", ["before", "after", "0", "2"])
def test_videos_are_cancelled_at_every_await(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    assert strike_everywhere(tmp_path, write_videos, way, monkeypatch, 4) >= 16


@pytest.mark.parametrize("way", ["before", "after", "0", "2"])
def test_meshes_are_cancelled_at_every_await(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    assert strike_everywhere(tmp_path, write_meshes, way, monkeypatch, 8) >= 6


def test_one_of_twenty_tasks_fails(tmp_path: Path) -> None:
    """Videos that were closed before it stay, the others are dropped."""

    class RenderError(Exception):
        pass

    async def write(writer: MonoFlameAvatarSubmissionDataWriter, number: int) -> None:
        async with writer.open_video(*KEYS[number]) as video:
            for index, frame in enumerate(FRAMES):
                if (number, index) == (19, 1):
                    raise RenderError
                await video.write(frame)

    async def write_all() -> None:
        with pytest.RaisesGroup(RenderError):
            async with MonoFlameAvatarSubmissionDataWriter(
                tmp_path / "a.zip", metadata=Lengths(2)
            ) as writer:
                await write(writer, 0)
                async with anyio.create_task_group() as group:
                    for number in range(1, 20):
                        group.start_soon(write, writer, number)

    run_alone(tmp_path, write_all)
    archive = Archive(
        tmp_path / "a.zip",
        {"task": "mono_flame_avatar", "compensate_reader_bias": False},
        resume=True,
    )
    assert "393/FREE/cam_222200037.mp4" in archive.entries
    assert len(archive.entries) < 20
    archive.keep()
    with pytest.raises(SubmissionError, match="resume=True"):
        asyncio.run(write_videos_anew(tmp_path))


async def write_videos_anew(folder: Path) -> None:
    async with MonoFlameAvatarSubmissionDataWriter(folder / "a.zip", metadata=Lengths(2)):
        pass
