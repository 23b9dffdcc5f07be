"""The awaited writers: what they add to the blocking ones, without blocking the loop."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from nersemble_async.benchmark.svfr import load_image_keys
from nersemble_async.errors import (
    IncompleteSubmissionError,
    InvalidPredictionError,
    SubmissionError,
)
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.writing.writers import (
    MonoFlameAvatarSubmissionDataWriter,
    SVFRSubmissionDataWriter,
)
from tests.support.submissions import (
    Lengths,
    RgbImage,
    head_mesh,
    mesh_entries,
    picture,
    video_entries,
)

ENTRIES = video_entries("mono_flame_avatar")
KEYS = [(e.participant_id, e.sequence_name, e.serial) for e in ENTRIES]
FRAMES = [picture((512, 512), 3, index) for index in range(2)]


def writer_of(
    folder: Path, *, resume: bool | None = None, allow_partial: bool = True
) -> MonoFlameAvatarSubmissionDataWriter:
    return MonoFlameAvatarSubmissionDataWriter(
        folder / "a.zip", metadata=Lengths(2), resume=resume, allow_partial=allow_partial
    )


async def rendered(n: int = 2) -> AsyncIterator[RgbImage]:
    for index in range(n):
        await anyio.lowlevel.checkpoint()
        yield FRAMES[index % 2]


@pytest.mark.asyncio
async def test_frames_come_from_anything_that_is_iterated_over(tmp_path: Path) -> None:
    async with writer_of(tmp_path) as writer:
        assert await writer.add_video(*KEYS[0], FRAMES)
        assert await writer.add_video(*KEYS[1], iter(FRAMES))
        assert await writer.add_video(*KEYS[2], rendered())
        assert len(writer.missing()) == 77
        assert writer.report is None
    assert writer.report is not None
    assert {issue.rule for issue in writer.report.errors} == {"missing-entry"}
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.namelist() == [entry.path for entry in ENTRIES[:3]]


@pytest.mark.asyncio
async def test_twenty_tasks_write_a_video_each(tmp_path: Path) -> None:
    async def write(number: int) -> None:
        async with writer.open_video(*KEYS[number]) as video:
            assert video.n_expected == 2
            async for frame in rendered():
                await video.write(frame)
            assert video.n_frames == 2

    async with writer_of(tmp_path) as writer, anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(write, number)
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert sorted(file.namelist()) == sorted(entry.path for entry in ENTRIES[:20])


@pytest.mark.asyncio
async def test_what_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    async def never() -> AsyncIterator[RgbImage]:
        pytest.fail("a frame was asked for")
        yield

    with pytest.raises(IncompleteSubmissionError):
        async with writer_of(tmp_path, allow_partial=False) as writer:
            await writer.add_video(*KEYS[0], FRAMES)
    with pytest.raises(SubmissionError, match="resume=True"):
        await writer_of(tmp_path).__aenter__()
    async with writer_of(tmp_path, resume=True) as writer:
        assert writer.resumed == {ENTRIES[0].path}
        assert not await writer.add_video(*KEYS[0], never())
        await writer.keep()
        with pytest.raises(SubmissionError, match="is closed"):
            await writer.add_video(*KEYS[1], FRAMES)


@pytest.mark.asyncio
async def test_wrong_frames_cost_their_video_only(tmp_path: Path) -> None:
    async with writer_of(tmp_path) as writer:
        for frames in (FRAMES[:1], rendered(1), rendered(3), [FRAMES[0], FRAMES[0][1:]]):
            with pytest.raises(InvalidPredictionError, match=r"cam_222200037\.mp4"):
                await writer.add_video(*KEYS[0], frames)
        assert await writer.add_video(*KEYS[0], FRAMES)
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.namelist() == [ENTRIES[0].path]


@pytest.mark.asyncio
async def test_a_writer_is_used_in_its_context_and_once(tmp_path: Path) -> None:
    writer = writer_of(tmp_path)
    with pytest.raises(SubmissionError, match="async with MonoFlameAvatarSubmissionDataWriter"):
        await writer.add_video(*KEYS[0], FRAMES)
    async with writer:
        video = writer.open_video(*KEYS[0])
        with pytest.raises(SubmissionError, match=r"async with writer\.open_video"):
            await video.write(FRAMES[0])
        await writer.keep()
    with pytest.raises(SubmissionError, match="make another one"):
        await writer.__aenter__()


MESHES = mesh_entries("posed")


@pytest.mark.asyncio
async def test_what_is_missing_is_told_without_reading_a_file_in_the_loop(tmp_path: Path) -> None:
    for cached in (expected_entries, load_image_keys):
        cached.cache_clear()
    async with SVFRSubmissionDataWriter(tmp_path / "a.zip") as writer:
        assert len(writer.missing()) == 2 * 391
        await writer.keep()


@pytest.mark.asyncio
async def test_meshes_from_many_tasks(tmp_path: Path) -> None:
    mesh = head_mesh()

    async def write(number: int) -> None:
        entry = MESHES[number]
        assert entry.timestep is not None
        where = (entry.participant_id, entry.sequence_name, entry.timestep, entry.serial)
        await writer.add_posed_mesh(*where, (mesh["vertices"], mesh["faces"]))
        await writer.add_neutral_mesh(*where, (mesh["vertices"], mesh["faces"]))
        writer.missing()  # while others add

    path = tmp_path / "a.zip"
    async with SVFRSubmissionDataWriter(path, allow_partial=True) as writer:
        async with anyio.create_task_group() as group:
            for number in range(30):
                group.start_soon(write, number)
        assert len(writer.missing()) == 2 * (391 - 30)
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert len(file.namelist()) == 60
