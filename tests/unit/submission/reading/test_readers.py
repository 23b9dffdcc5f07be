"""The awaited readers: what the blocking ones give; streams end cleanly, however they are left."""

from __future__ import annotations

import asyncio
import gc
import random
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import numpy as np
import pytest

from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.errors import ConfigurationError, DecodeError, SelectionError, SubmissionError
from nersemble_async.submission.reading import blocking_readers
from nersemble_async.submission.reading.readers import (
    MonoFlameAvatarSubmissionDataReader,
    NVSSubmissionDataReader,
    SVFRSubmissionDataReader,
)
from nersemble_async.submission.reading.video_frames import VideoFrames
from tests.support.streams import _break_frame, run_alone
from tests.support.submissions import (
    FACES,
    IMAGE,
    LANDMARKS,
    VERTICES,
    VIDEO,
    VIDEO_PATH,
    mesh_bytes,
    npy_bytes,
    write_submission,
)
from tests.support.videos import RgbImage, decode_all, write_video
from tests.support.zips import make_zip, stored

N_FRAMES = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("submissions")
    video = write_video(folder / "video.mp4", N_FRAMES, gop=3)
    _break_frame(video, folder / "broken.mp4", 20)
    write_submission(folder / "nvs.zip", "nvs", ".mp4", video.read_bytes())
    broken = (folder / "broken.mp4").read_bytes()
    write_submission(folder / "broken.zip", "nvs", ".mp4", broken)
    mesh, landmarks = mesh_bytes(folder), npy_bytes(LANDMARKS)
    files = [
        (f"017/{IMAGE[1]}_078_{IMAGE[3]}/{name}_{subtask}", data)
        for subtask in ("posed", "neutral")
        for name, data in (("mesh", mesh), ("landmarks", landmarks))
    ]
    suffix = {"mesh": ".ply", "landmarks": ".npy"}
    named = [(name + suffix[name.split("/")[2].split("_")[0]], data) for name, data in files]
    stored(folder / "svfr.zip", make_zip(named))
    return folder


@pytest.fixture(scope="module")
def frames(folder: Path) -> list[RgbImage]:
    return decode_all(folder / "video.mp4")


def same(frames: list[RgbImage], expected: list[RgbImage]) -> bool:
    return len(frames) == len(expected) and all(map(np.array_equal, frames, expected))


@pytest.mark.asyncio
async def test_videos_are_loaded_and_streamed(folder: Path, frames: list[RgbImage]) -> None:
    async with NVSSubmissionDataReader(folder / "nvs.zip") as reader:
        assert same(await reader.load_video(*VIDEO), frames)
        assert same(await reader.load_video(*VIDEO, every_nth_frame=7), frames[::7])
        assert same(await reader.load_video(*VIDEO, timestep=4), frames[4:5])
        for prefetch in (1, 4, 100):
            async with reader.open_video(*VIDEO, every_nth_frame=2, prefetch=prefetch) as stream:
                assert stream.info.n_frames == N_FRAMES
                assert same([frame async for frame in stream], frames[::2])
                assert [frame async for frame in stream] == []


@pytest.mark.asyncio
async def test_what_a_zip_holds(folder: Path, tmp_path: Path) -> None:
    path = folder / "nvs.zip"
    async with NVSSubmissionDataReader(path, benchmark_folder=tmp_path) as reader:
        assert await reader.is_complete(388, "GLASSES")
        assert not await reader.is_complete(388, "FREE")
        overview = await reader.get_file_overview()
        assert list(overview) == list(BENCHMARKS["nvs"].participants)
        lengths = await reader.list_expected_video_lengths()
        assert list(lengths) == reader.list_expected_files()
        assert reader.get_video_path(*VIDEO) == VIDEO_PATH
        issues = await reader.validate_submission()
        assert [found[1] for found in issues["wrong_frame_counts"]] == [N_FRAMES] * 15
        assert repr(reader) == f"NVSSubmissionDataReader({str(path)!r})"
    mono = MonoFlameAvatarSubmissionDataReader(path, benchmark_folder=tmp_path)
    assert not await mono.is_complete()
    assert not await mono.is_complete(393)
    with pytest.raises(ConfigurationError, match="metadata="):
        await mono.validate_submission()
    await mono.close()


@pytest.mark.asyncio
async def test_meshes_are_loaded(folder: Path) -> None:
    async with SVFRSubmissionDataReader(folder / "svfr.zip") as reader:
        for load in (reader.load_posed_mesh, reader.load_neutral_mesh):
            mesh = await load(*IMAGE)
            assert np.array_equal(mesh.vertices, VERTICES)
            assert np.array_equal(mesh.faces, FACES)
        for load_landmarks in (reader.load_posed_landmarks, reader.load_neutral_landmarks):
            assert np.array_equal(await load_landmarks(*IMAGE), LANDMARKS)
        assert await reader.has_posed_reconstructions()
        assert await reader.has_neutral_reconstructions()


@pytest.mark.asyncio
async def test_a_reader_opens_when_it_is_first_used(folder: Path) -> None:
    missing = NVSSubmissionDataReader(folder / "none.zip")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            await missing.get_file_overview()
    await missing.close()
    with pytest.raises(SubmissionError, match="not a readable zip"):
        async with NVSSubmissionDataReader(folder / "video.mp4"):
            pass
    reader = NVSSubmissionDataReader(folder / "nvs.zip")
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(reader.is_complete, 388, "GLASSES")
    await reader.close()
    await reader.close()
    with pytest.raises(ValueError, match="was closed"):
        await reader.load_video(*VIDEO)


@pytest.mark.asyncio
async def test_an_error_is_raised_in_its_turn(folder: Path, frames: list[RgbImage]) -> None:
    seen: list[RgbImage] = []

    async def watch(reader: NVSSubmissionDataReader) -> None:
        async with reader.open_video(*VIDEO, prefetch=8) as stream:
            async for frame in stream:
                seen.append(frame)  # noqa: PERF401 -- what comes before the error is kept

    async with NVSSubmissionDataReader(folder / "broken.zip") as reader:
        with pytest.raises(DecodeError) as caught:
            await watch(reader)
        assert caught.value.frame is not None
        assert caught.value.path.endswith(VIDEO_PATH)
        assert 0 < len(seen) <= 20
        assert same(seen, frames[: len(seen)])
        with pytest.raises(SelectionError, match="every_nth_frame"):
            async with reader.open_video(*VIDEO, every_nth_frame=0):
                pass
        with pytest.raises(ValueError, match="prefetch is 0"):
            async with reader.open_video(*VIDEO, prefetch=0):
                pass
        with pytest.raises(SelectionError, match="has no entry"):
            async with reader.open_video(1, "A", "2"):
                pass


async def settle(stream: VideoFrames) -> int:
    """Let decoding go on until it stands still; how many frames are ready then."""
    seen = -1
    while seen != len(stream._ready) or seen < stream._prefetch:
        seen = len(stream._ready)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
    return seen


@pytest.mark.asyncio
async def test_no_more_is_decoded_ahead_than_was_said(folder: Path) -> None:
    async with (
        NVSSubmissionDataReader(folder / "nvs.zip") as reader,
        reader.open_video(*VIDEO, prefetch=3) as stream,
    ):
        assert await settle(stream) == 3
        await anext(stream)
        assert await settle(stream) == 3


@pytest.mark.asyncio
async def test_a_cancelled_caller_loses_no_frame(folder: Path, frames: list[RgbImage]) -> None:
    seen: list[RgbImage] = []
    async with (
        NVSSubmissionDataReader(folder / "nvs.zip") as reader,
        reader.open_video(*VIDEO, prefetch=1) as stream,
    ):
        while len(seen) < N_FRAMES:
            with anyio.CancelScope() as scope:
                scope.cancel()
                seen.append(await anext(stream))
            with anyio.move_on_after(1e-4):
                seen.append(await anext(stream))
    assert same(seen, frames)


ENDINGS = ("cancelled", "asyncio", "break", "raised")


class Mine(Exception):  # noqa: N818 - no error, but a way out
    """What a user raises."""


async def leave(path: Path, draw: random.Random) -> str:
    """Open a stream and leave it at a drawn instant in a drawn way; how it ended."""
    way = draw.choice(["cancel", "cancel", "asyncio", "asyncio", "break", "raise"])
    prefetch, task = draw.choice([1, 4]), asyncio.current_task()
    assert task is not None
    n_items, turns, n_seen = draw.randrange(1, 20), draw.randrange(60), 0
    is_opening = way in {"cancel", "asyncio"} and n_items < 5

    async def strike() -> None:
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        if way == "asyncio":
            task.cancel()
        else:
            scope.cancel()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            if is_opening:
                group.start_soon(strike)
            async with (
                NVSSubmissionDataReader(path) as reader,
                reader.open_video(*VIDEO, prefetch=prefetch) as stream,
            ):
                async for _ in stream:
                    n_seen += 1
                    if n_seen == n_items and way in {"cancel", "asyncio"}:
                        group.start_soon(strike)
                    elif n_seen == n_items:
                        break
                if way == "raise":
                    raise Mine
    return "cancelled" if scope.cancelled_caught else way


def test_a_stream_is_left_at_many_instants_and_nothing_stays(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gc.collect()  # the tracebacks of other tests' errors hold decoders
    draw = random.Random(0)
    endings: list[str] = []

    async def scenario() -> None:
        ending = "asyncio"
        try:
            with suppress(asyncio.CancelledError):
                ending = await leave(folder / "nvs.zip", draw)
        except* Mine:
            ending = "raised"
        endings.append(ending)

    for _ in range(80):
        run_alone(folder, scenario)
        assert list(tmp_path.iterdir()) == []
    assert min(endings.count(ending) for ending in ENDINGS) >= 5


@pytest.mark.asyncio
async def test_a_cancelled_validation_ends_soon(folder: Path, tmp_path: Path) -> None:
    reader = NVSSubmissionDataReader(folder / "nvs.zip", benchmark_folder=tmp_path)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(reader.validate_submission)
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert scope.cancelled_caught
    await reader.close()


def test_both_faces_have_the_official_methods() -> None:
    for name in blocking_readers.__all__:
        blocking, awaited = getattr(blocking_readers, name), globals()[name]
        extra = {"iterate_video", "open_entry_video", "has_all", "has_all_videos"}
        of_blocking = {m for m in dir(blocking) if not m.startswith("_")} - extra
        assert of_blocking - {m for m in dir(awaited) if not m.startswith("_")} == set()
