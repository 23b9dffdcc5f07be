"""One camera as a stream: every frame in order, to the bit, and no further ahead than asked."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np
import pytest

from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame import alpha_format
from nersemble_async.loaders.frames import FrameStream, open_frames
from tests.support.streams import (
    break_frame,
    encode,
    native_threads,
    open_files,
    read_with,
    settle,
    steps_of,
)
from tests.support.videos import decode_plainly

N = 60
SERIAL = "222200037"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.fixture(scope="module")
def video(folder: Path) -> VideoSource:
    return VideoSource(encode(folder / "image.mp4", N))


@pytest.fixture(scope="module")
def alpha(folder: Path) -> VideoSource:
    return VideoSource(encode(folder / "alpha.mp4", N, shift=500))


FORMATS = [
    FrameFormat(channels=channels, crop=crop, scale=scale, dtype=dtype, layout=layout)  # type: ignore[arg-type]
    for channels, crop, scale, dtype, layout in product(
        ("rgb", "gray", "alpha"),
        (None, (6, 4, 30, 20)),
        (None, 0.5),
        ("uint8", "float32"),
        ("HWC", "CHW"),
    )
]


@pytest.mark.asyncio
@pytest.mark.parametrize("codec_threads", [1, 3])
async def test_all_formats_are_the_readers_to_the_bit(
    video: VideoSource, alpha: VideoSource, codec_threads: int
) -> None:
    frame_indices = [0, 1, 2, 9, 23, 24, 30, 59]
    for frame_format in FORMATS:
        images = await read_with(video, frame_indices, frame_format)
        maps = await read_with(alpha, frame_indices, alpha_format(frame_format))
        async with open_frames(
            video,
            steps_of(frame_indices),
            serial=SERIAL,
            alpha=alpha,
            frame_format=frame_format,
            codec_threads=codec_threads,
        ) as frames:
            given = [frame async for frame in frames]
        assert [frame.frame_index for frame in given] == frame_indices
        for frame, image, alpha_map in zip(given, images, maps, strict=True):
            assert frame.alpha_map is not None
            assert (frame.image.dtype, frame.alpha_map.dtype) == (image.dtype, alpha_map.dtype)
            np.testing.assert_array_equal(frame.image, image)
            np.testing.assert_array_equal(frame.alpha_map, alpha_map)


@pytest.mark.asyncio
@pytest.mark.parametrize("prefetch", [1, 2, 7, None])
@pytest.mark.parametrize("codec_threads", [1, 2])
async def test_every_frame_in_order(
    video: VideoSource, prefetch: int | None, codec_threads: int
) -> None:
    steps = steps_of(range(N))
    expected = [*decode_plainly(video.path)]
    async with open_frames(
        video, steps, serial=SERIAL, prefetch=prefetch, codec_threads=codec_threads
    ) as frames:
        assert len(frames) == N
        seen = []
        async for frame in frames:
            seen.append((frame.timestep, frame.frame_index))
            assert frame.serial == SERIAL
            assert frame.alpha_map is None
            np.testing.assert_array_equal(frame.image, expected[frame.frame_index])
        with pytest.raises(StopAsyncIteration):
            await anext(frames)
    assert seen == steps


@pytest.mark.asyncio
async def test_a_frame_shows_shapes(video: VideoSource) -> None:
    async with open_frames(video, [(7, 3)], serial=SERIAL) as frames:
        assert repr(await anext(frames)) == (
            "Frame(serial='222200037', timestep=7, frame_index=3, image=uint8 (48, 64, 3))"
        )


@pytest.mark.asyncio
async def test_nothing_wanted(video: VideoSource, alpha: VideoSource, folder: Path) -> None:
    async with open_frames(video, [], serial=SERIAL, alpha=alpha) as frames:
        assert [frame async for frame in frames] == []
        assert open_files(folder) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", [[-1, 3], [3, N], [4, 4], [5, 4]])
async def test_frames_that_cannot_be_had(video: VideoSource, wrong: list[int]) -> None:
    with pytest.raises(SelectionError, match=r"there is no frame|have to ascend"):
        async with open_frames(video, steps_of(wrong), serial=SERIAL):
            pass


@pytest.mark.asyncio
async def test_arguments_that_make_no_sense(video: VideoSource, folder: Path) -> None:
    for name in ("prefetch", "codec_threads"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            async with open_frames(video, [], serial=SERIAL, **{name: 0}):  # type: ignore[arg-type]
                pass
    with pytest.raises(ValueError, match="leaves a frame"):
        async with open_frames(
            video, [], serial=SERIAL, frame_format=FrameFormat(crop=(0, 0, 65, 1))
        ):
            pass
    with pytest.raises(FileNotFoundError):
        async with open_frames(VideoSource(folder / "none.mp4"), [], serial=SERIAL):
            pass


@pytest.mark.asyncio
@pytest.mark.parametrize("codec_threads", [1, 2])
@pytest.mark.parametrize("prefetch", [1, 5])
async def test_a_slow_user_stops_decoding(
    video: VideoSource, alpha: VideoSource, prefetch: int, codec_threads: int
) -> None:
    async with open_frames(
        video,
        steps_of(range(N)),
        serial=SERIAL,
        alpha=alpha,
        prefetch=prefetch,
        codec_threads=codec_threads,
    ) as frames:
        for _ in range(3):
            assert await settle(frames._lock_step) == prefetch
            await anext(frames)


@pytest.mark.asyncio
@pytest.mark.parametrize("codec_threads", [1, 2])
@pytest.mark.parametrize("frame_index", [1, 24, 31])
async def test_an_error_comes_in_its_turn(
    video: VideoSource, tmp_path: Path, frame_index: int, codec_threads: int
) -> None:
    broken = await break_frame(video.path, tmp_path / "broken.mp4", frame_index)
    expected = await read_with(broken, range(N))
    assert 0 <= frame_index - len(expected) <= 4  # it is noticed while frames wait to be in order
    given: list[FrameArray] = []
    async with open_frames(
        broken, steps_of(range(N)), serial=SERIAL, prefetch=N, codec_threads=codec_threads
    ) as frames:
        await settle(frames._lock_step)  # all is decoded, and the error waits for its turn
        with pytest.raises(DecodeError) as caught:
            await read_all(frames, given)
        # The decoder is closed although the error, with its traceback, is still held.
        assert open_files(tmp_path) == []
        assert native_threads() == []
    assert (caught.value.path, caught.value.frame) == (str(broken.path), len(expected))
    np.testing.assert_array_equal(given, expected)


async def read_all(frames: FrameStream, images: list[FrameArray]) -> None:
    """Note the images as they come: an error may be the end."""
    async for frame in frames:
        images.append(frame.image)  # noqa: PERF401


@pytest.mark.asyncio
async def test_after_an_error_the_stream_has_ended(video: VideoSource, tmp_path: Path) -> None:
    broken = await break_frame(video.path, tmp_path / "broken.mp4", 24)
    async with open_frames(broken, steps_of([24, 40]), serial=SERIAL) as frames:
        with pytest.raises(DecodeError):
            await anext(frames)
        with pytest.raises(StopAsyncIteration):
            await anext(frames)


@pytest.mark.asyncio
async def test_a_file_that_vanishes(tmp_path: Path) -> None:
    """Indexed when the stream was opened, gone when its frames are wanted."""
    source = VideoSource(encode(tmp_path / "short.mp4", 4), tmp_path / "index")
    await anyio.to_thread.run_sync(source.read_index)
    async with open_frames(source, steps_of([0, 1]), serial=SERIAL) as frames:
        source.path.unlink()  # before a worker's first step
        with pytest.raises(FileNotFoundError):
            await anext(frames)


@pytest.mark.asyncio
@pytest.mark.parametrize("codec_threads", [1, 2])
async def test_closing_before_the_end(video: VideoSource, folder: Path, codec_threads: int) -> None:
    async with open_frames(
        video, steps_of(range(N)), serial=SERIAL, prefetch=3, codec_threads=codec_threads
    ) as frames:
        await anext(frames)
        assert open_files(folder) == [str(video.path)]
        await frames.aclose()
        assert open_files(folder) == []
        with pytest.raises(StopAsyncIteration):
            await anext(frames)
        await frames.aclose()


@pytest.mark.asyncio
async def test_a_cancelled_reader_loses_no_frame(video: VideoSource) -> None:
    seen: list[FrameArray] = []
    async with open_frames(video, steps_of(range(N)), serial=SERIAL, prefetch=1) as frames:
        while len(seen) < N:
            for turns in range(4):
                async with anyio.create_task_group() as group:
                    group.start_soon(read_all, frames, seen)
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                    group.cancel_scope.cancel()
            async for frame in frames:
                seen.append(frame.image)
                break
    np.testing.assert_array_equal(seen, await read_with(video, range(N)))


@pytest.mark.asyncio
async def test_the_users_own_error_comes_out_as_it_is(video: VideoSource) -> None:
    error = KeyError("mine")

    async def use() -> None:
        async with open_frames(video, steps_of(range(N)), serial=SERIAL) as frames:
            await anext(frames)
            raise error

    with pytest.raises(KeyError) as caught:
        await use()
    assert caught.value is error


@pytest.mark.asyncio
@pytest.mark.parametrize("step", [2, 17, 30])
async def test_frames_far_from_each_other(video: VideoSource, step: int) -> None:
    frame_indices = range(5, N, step)
    images: list[FrameArray] = []
    async with open_frames(video, steps_of(frame_indices), serial=SERIAL) as frames:
        await read_all(frames, images)
    np.testing.assert_array_equal(images, await read_with(video, frame_indices))
