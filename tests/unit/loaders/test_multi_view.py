"""All cameras in lock-step: complete samples, in order, within the budget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np
import pytest

from nersemble_async.errors import (
    ConfigurationError,
    DecodeError,
    NotCachedError,
    SelectionError,
)
from nersemble_async.formats.cameras import CameraCalibration
from nersemble_async.formats.flame.tracking import FlameTracking
from nersemble_async.formats.pointcloud.pcd_file import (
    Pointcloud,
    read_pointcloud,
    write_pointcloud,
)
from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame import alpha_format
from nersemble_async.loaders.multi_view import (
    MultiViewStream,
    open_multi_view,
    plan_multi_view,
)
from nersemble_async.loaders.multi_view_frame import MultiViewFrame
from tests.support.streams import (
    SERIALS,
    break_frame,
    encode,
    native_threads,
    open_files,
    read_with,
    settle,
    steps_of,
)

N = 40
Sources = dict[str, VideoSource]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cameras")


@pytest.fixture(scope="module")
def videos(folder: Path) -> Sources:
    return {
        serial: VideoSource(encode(folder / f"{serial}.mp4", N, shift=100 * place))
        for place, serial in enumerate(SERIALS)
    }


@pytest.fixture(scope="module")
def alphas(folder: Path) -> Sources:
    return {
        serial: VideoSource(encode(folder / f"alpha_{serial}.mp4", N, shift=7 + 100 * place))
        for place, serial in enumerate(SERIALS[:3])
    }


def tracking_of(timesteps: list[int]) -> FlameTracking:
    draw = np.random.default_rng(1)
    n = len(timesteps)
    return FlameTracking(
        shape=draw.random((1, 300)),
        expression=draw.random((n, 100)),
        rotation=draw.random((n, 3)),
        rotation_matrices=draw.random((n, 3, 3)),
        translation=draw.random((n, 3)),
        jaw=draw.random((n, 3)),
        frames=np.array(timesteps),
        scale=draw.random((1, 1)),
        neck=draw.random((n, 3)),
        eyes=draw.random((n, 6)),
    )


async def read_all(samples: MultiViewStream, given: list[MultiViewFrame]) -> None:
    """Note the samples as they come: an error may be the end."""
    async for sample in samples:
        given.append(sample)  # noqa: PERF401


def assert_images(
    samples: list[MultiViewFrame], expected: dict[str, list[FrameArray]], serials: list[str]
) -> None:
    for place, sample in enumerate(samples):
        assert list(sample.images) == serials
        for serial in serials:
            assert sample.images[serial].dtype == expected[serial][place].dtype
            np.testing.assert_array_equal(sample.images[serial], expected[serial][place])


@pytest.mark.asyncio
async def test_all_formats_are_the_readers_to_the_bit(videos: Sources, alphas: Sources) -> None:
    frame_indices = [0, 3, 4, 24, 31, 39]
    for channels, crop, scale, (dtype, layout) in product(
        ("rgb", "gray"),
        (None, (6, 4, 30, 20)),
        (None, 0.5),
        (("uint8", "HWC"), ("float32", "CHW")),
    ):
        form = FrameFormat(channels, crop, scale, dtype, layout)  # type: ignore[arg-type]
        images = {s: await read_with(v, frame_indices, form) for s, v in videos.items()}
        maps = {s: await read_with(v, frame_indices, alpha_format(form)) for s, v in alphas.items()}
        given: list[MultiViewFrame] = []
        async with open_multi_view(
            videos, steps_of(frame_indices), alphas=alphas, frame_format=form
        ) as samples:
            await read_all(samples, given)
        assert [sample.frame_index for sample in given] == frame_indices
        assert_images(given, images, list(videos))
        for place, sample in enumerate(given):
            assert sample.alpha_maps is not None
            assert list(sample.alpha_maps) == list(alphas)
            for serial, alpha_map in sample.alpha_maps.items():
                np.testing.assert_array_equal(alpha_map, maps[serial][place])


@pytest.mark.asyncio
@pytest.mark.parametrize("cores", [1, 2, 16])
@pytest.mark.parametrize("ahead", [1, 3, 100])
async def test_every_sample_in_order(
    videos: Sources, cores: int, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nersemble_async.loaders.multi_view.usable_cores", lambda: cores)
    expected = {serial: await read_with(video, range(N)) for serial, video in videos.items()}
    least = (await plan_multi_view(videos)).least_bytes
    sample_bytes = (await plan_multi_view(videos)).sample_bytes
    given: list[MultiViewFrame] = []
    async with open_multi_view(
        videos, steps_of(range(N)), memory_bytes=least + (ahead - 1) * sample_bytes
    ) as samples:
        assert len(samples) == N
        assert samples.plan.samples_ahead == min(ahead, 6)
        assert samples.memory_needed_bytes == samples.plan.memory_needed_bytes
        assert samples.memory_needed_bytes <= least + (ahead - 1) * sample_bytes
        await read_all(samples, given)
        with pytest.raises(StopAsyncIteration):
            await anext(samples)
    assert [(s.timestep, s.frame_index) for s in given] == steps_of(range(N))
    assert_images(given, expected, list(videos))
    extras = ("alpha_maps", "calibration", "pointcloud", "flame")
    assert all(getattr(sample, name) is None for sample in given for name in extras)


@pytest.mark.asyncio
async def test_no_camera_goes_further_ahead_than_the_budget(videos: Sources) -> None:
    plan = await plan_multi_view(videos)
    async with open_multi_view(
        videos, steps_of(range(N)), memory_bytes=plan.least_bytes + 4 * plan.sample_bytes
    ) as samples:
        for _ in range(4):
            assert await settle(samples._lock_step) == 5
            await anext(samples)


@pytest.mark.asyncio
async def test_a_budget_that_holds_not_one_sample(videos: Sources) -> None:
    plan = await plan_multi_view(videos)
    with pytest.raises(ConfigurationError, match="4 videos in lock-step take"):
        async with open_multi_view(videos, [], memory_bytes=plan.least_bytes - 1):
            pass
    with pytest.raises(ConfigurationError, match="more memory, fewer cameras"):
        await plan_multi_view(videos, memory_bytes=1000)


@pytest.mark.asyncio
async def test_what_cannot_be_had(videos: Sources, alphas: Sources) -> None:
    for arguments, said in (
        (({}, []), "no camera"),
        ((videos, steps_of([N])), f"there is no frame {N}"),
        ((videos, steps_of([2, 1])), "have to ascend"),
    ):
        with pytest.raises(SelectionError, match=said):
            async with open_multi_view(*arguments):
                pass
    with pytest.raises(SelectionError, match=f"alpha maps of {SERIALS[0]}, but images only of"):
        async with open_multi_view(
            {SERIALS[3]: videos[SERIALS[3]]}, [], alphas={SERIALS[0]: alphas[SERIALS[0]]}
        ):
            pass


@pytest.mark.asyncio
async def test_no_timesteps(videos: Sources, folder: Path) -> None:
    async with open_multi_view(videos, []) as samples:
        assert [sample async for sample in samples] == []
        assert open_files(folder) == []


@pytest.mark.asyncio
async def test_one_broken_camera(videos: Sources, tmp_path: Path) -> None:
    whole = videos[SERIALS[2]]
    broken = await break_frame(whole.path, tmp_path / "broken.mp4", 30)
    n_whole = len(await read_with(broken, range(N)))
    assert 26 <= n_whole <= 30
    given: list[MultiViewFrame] = []
    async with open_multi_view({**videos, SERIALS[2]: broken}, steps_of(range(N))) as samples:
        with pytest.raises(DecodeError) as caught:
            await read_all(samples, given)
        with pytest.raises(StopAsyncIteration):
            await anext(samples)
    assert (caught.value.path, caught.value.frame) == (str(broken.path), n_whole)
    expected = {serial: await read_with(video, range(N)) for serial, video in videos.items()}
    assert len(given) == n_whole
    assert_images(given, expected, list(videos))


@pytest.mark.asyncio
async def test_of_two_broken_cameras_the_first_is_told(videos: Sources, tmp_path: Path) -> None:
    whole = videos[SERIALS[0]]
    first = await break_frame(whole.path, tmp_path / "first.mp4", 30)
    second = await break_frame(whole.path, tmp_path / "second.mp4", 30)
    broken = {"a": first, "b": videos[SERIALS[1]], "c": second}
    with pytest.raises(DecodeError, match=r"first\.mp4"):
        async with open_multi_view(broken, steps_of(range(N))) as samples:
            await read_all(samples, [])


@pytest.mark.asyncio
async def test_several_that_are_no_videos_are_one_error(tmp_path: Path) -> None:
    broken = {
        serial: VideoSource(tmp_path / serial, tmp_path / f"{serial}.npz") for serial in "abcd"
    }
    for source in broken.values():
        await anyio.Path(source.path).write_bytes(b"no video" * 1000)
    for _ in range(5):  # whether several fail before the first one is known is left to chance
        with pytest.raises(DecodeError):
            await plan_multi_view(broken)


@pytest.mark.asyncio
async def test_closing_before_the_end(videos: Sources, folder: Path) -> None:
    async with open_multi_view(videos, steps_of(range(N))) as samples:
        await anext(samples)
        await samples.aclose()
        assert open_files(folder) == []
        assert native_threads() == []
        with pytest.raises(StopAsyncIteration):
            await anext(samples)


@pytest.mark.asyncio
async def test_a_sample_is_summarised_and_stacked(videos: Sources, alphas: Sources) -> None:
    calibration = CameraCalibration({}, {})
    async with open_multi_view(videos, [(9, 3)], alphas=alphas, calibration=calibration) as samples:
        sample = await anext(samples)
    assert repr(sample) == (
        "MultiViewFrame(timestep=9, frame_index=3, 4 images of uint8 (48, 64, 3), alpha_maps, "
        "calibration)"
    )
    assert sample.calibration is calibration
    assert sample.serials == SERIALS
    stacked = sample.stacked_images()
    assert stacked.shape == (4, 48, 64, 3)
    for place, serial in enumerate(SERIALS):
        np.testing.assert_array_equal(stacked[place], sample.images[serial])
    assert sample.stacked_alpha_maps().shape == (3, 48, 64, 1)
    with pytest.raises(ValueError, match="at least one"):
        replace(sample, alpha_maps=None).stacked_alpha_maps()


# ---- what goes with the images ------------------------------------------------------------------


@pytest.mark.asyncio
async def test_each_sample_has_its_row_of_the_tracking(videos: Sources) -> None:
    steps = steps_of(range(0, N, 7))
    # A row lies where the frame lies in the video; what the tracking calls it does not matter.
    tracking = tracking_of([1000 - 7 * row for row in range(N)])
    async with open_multi_view(videos, steps, flame=tracking) as samples:
        async for sample in samples:
            assert sample.flame is not None
            row = sample.frame_index
            assert sample.flame.frames.tolist() == [tracking.frames[row]]
            for name in (
                "expression",
                "rotation",
                "rotation_matrices",
                "translation",
                "jaw",
                "neck",
                "eyes",
            ):
                np.testing.assert_array_equal(
                    getattr(sample.flame, name), getattr(tracking, name)[row : row + 1]
                )
            for name in ("shape", "scale"):
                assert getattr(sample.flame, name) is getattr(tracking, name)
    missing = "has no row 7, which would be of timestep .*; it has 7, counted"
    with pytest.raises(SelectionError, match=missing):
        async with open_multi_view(videos, steps, flame=tracking_of(list(range(7)))):
            pass


@pytest.fixture(scope="module")
def pointclouds(folder: Path) -> Path:
    draw = np.random.default_rng(0)
    for timestep, _ in steps_of(range(N)):
        points = draw.standard_normal((200 + timestep, 3), np.float32)
        write_pointcloud(folder / f"{timestep}.pcd", Pointcloud(points, points, points))
    return folder


@pytest.mark.asyncio
async def test_each_sample_has_its_pointcloud(videos: Sources, pointclouds: Path) -> None:
    held = 0

    @asynccontextmanager
    async def locate(timestep: int) -> AsyncIterator[Path]:
        nonlocal held
        held += 1
        try:
            yield pointclouds / f"{timestep}.pcd"
        finally:
            held -= 1

    n_seen = 0
    async with open_multi_view(videos, steps_of(range(N)), pointclouds=locate) as samples:
        assert samples.plan.extra_bytes > 0
        async for sample in samples:
            n_seen += 1
            assert sample.pointcloud is not None
            path = pointclouds / f"{sample.timestep}.pcd"
            expected = await anyio.to_thread.run_sync(read_pointcloud, path)
            np.testing.assert_array_equal(sample.pointcloud.points, expected.points)
    assert n_seen == N
    assert held == 0


@pytest.mark.asyncio
async def test_a_missing_pointcloud_is_told_in_its_turn(videos: Sources, pointclouds: Path) -> None:
    @asynccontextmanager
    async def locate(timestep: int) -> AsyncIterator[Path]:
        if timestep == steps_of([6])[0][0]:
            raise NotCachedError("not there")
        yield pointclouds / f"{timestep}.pcd"

    given: list[MultiViewFrame] = []
    with pytest.raises(NotCachedError, match="not there"):
        async with open_multi_view(videos, steps_of(range(N)), pointclouds=locate) as samples:
            await read_all(samples, given)
    assert len(given) == 6


@pytest.mark.asyncio
async def test_a_reader_that_is_cancelled_at_a_pointcloud_loses_nothing(
    videos: Sources, pointclouds: Path
) -> None:
    gates = {timestep: anyio.Event() for timestep, _ in steps_of(range(4))}

    @asynccontextmanager
    async def locate(timestep: int) -> AsyncIterator[Path]:
        await gates[timestep].wait()
        yield pointclouds / f"{timestep}.pcd"

    given: list[MultiViewFrame] = []
    async with open_multi_view(videos, steps_of(range(4)), pointclouds=locate) as samples:
        for gate in gates.values():
            async with anyio.create_task_group() as group:
                group.start_soon(read_all, samples, given)
                await settle(samples._lock_step)
                group.cancel_scope.cancel()
            gate.set()
            given.append(await anext(samples))
    assert [sample.frame_index for sample in given] == [0, 1, 2, 3]
    for sample in given:
        assert sample.pointcloud is not None
        assert len(sample.pointcloud.points) == 200 + sample.timestep
