"""Streams of videos in a loop of their own, after which nothing may be left."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import numpy as np

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.formats.video.encoder import VideoEncoder
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.index import build_video_index
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.lock_step import LockStep
from nersemble_async.loaders.stream_videos import Step
from tests.support.videos import moving_pattern

SERIALS = ("222200036", "222200037", "222200038", "222200040")


def steps_of(frame_indices: Sequence[int]) -> list[Step]:
    """Timesteps that are no frame indices, and ascend as these do."""
    return [(3 * frame_index + 5, frame_index) for frame_index in frame_indices]


def encode(path: Path, n_frames: int, size: tuple[int, int] = (64, 48), *, shift: int = 0) -> Path:
    """A video of `moving_pattern` with B-frames, a keyframe every 24 frames; returns ``path``."""
    with VideoEncoder(path, size, Fraction(243, 10), preset="fast", gop=24) as encoder:
        for index in range(n_frames):
            encoder.write(moving_pattern(*size, index + shift))
    return path


async def break_frame(source: Path, broken: Path, frame_index: int) -> VideoSource:
    """The same video, with the bytes of one frame's packet replaced; written in a thread."""
    await anyio.to_thread.run_sync(_break_frame, source, broken, frame_index)
    return VideoSource(broken)


def _break_frame(source: Path, broken: Path, frame_index: int) -> None:
    index = build_video_index(source)
    packet = index.frame_packets[frame_index]
    data = bytearray(source.read_bytes())
    first = int(index.offsets[packet]) + 5
    last = int(index.offsets[packet] + index.sizes[packet])
    data[first:last] = np.random.default_rng(0).integers(0, 256, last - first, np.uint8).tobytes()
    broken.write_bytes(data)


async def read_with(
    source: VideoSource, frame_indices: Iterable[int], frame_format: FrameFormat | None = None
) -> list[FrameArray]:
    """What a reader gives, in a thread: the frames before the first that does not decode."""

    def read() -> list[FrameArray]:
        arrays: list[FrameArray] = []
        with source.open() as reader, contextlib.suppress(DecodeError):
            arrays.extend(
                frame.to_array(frame_format or FrameFormat())
                for frame in reader.decode_frames(frame_indices)
            )
        return arrays

    return await anyio.to_thread.run_sync(read)


async def settle(lock_step: LockStep) -> int:
    """Let decoding go on until it stands still; how far ahead it is then."""
    seen = -1
    while seen != lock_step.most_ahead or lock_step.n_working:
        seen = lock_step.most_ahead
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
    return seen


def open_files(folder: Path) -> list[str]:
    """Descriptors of this process that point into a folder."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # the listing's own
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


def native_threads() -> list[str]:
    """The native threads of this process that are a decoder's."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name.startswith("av:"):
            names.append(name)
    return names


def run_alone(folder: Path, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run it in a loop of its own: at once after it no file in ``folder`` is open, no decoder's
    thread there, no task left; and after the loop no thread at all.
    """

    async def main() -> None:
        await scenario()
        assert open_files(folder) == []
        assert native_threads() == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    before = set(threading.enumerate())
    asyncio.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive(), f"{thread.name} was left behind"
