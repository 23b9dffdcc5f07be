"""Every frame once an epoch in a thoroughly mixed order, at close to sequential speed; async."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import anyio

from nersemble_async.errors import SelectionError
from nersemble_async.formats.video.frame_format import FrameFormat
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame import Frame
from nersemble_async.loaders.shuffle_memory import ShuffleMemory
from nersemble_async.loaders.shuffle_plan import Shard
from nersemble_async.loaders.shuffle_state import ShuffleState
from nersemble_async.loaders.shuffled_epochs import (
    DEFAULT_MEMORY_BYTES,
    ShuffledEpochs,
    ShuffleRequest,
    Steps,
)
from nersemble_async.loaders.shuffled_reader import ShuffledReader
from nersemble_async.workers import make_limiter, run_blocking

_WAIT_SECONDS = 0.1
"""A thread that waits for a frame comes back so often, so that a cancellation is not kept up."""

_PLAIN = FrameFormat()


class ShuffledStream:
    """Frames of one part of one epoch; an async iterator that one task at a time uses.

    It knows where it stands: `state_dict` between any two frames, `load_state_dict` before the
    first. A frame counts as given out when ``async for`` has it: a cancellation loses none.
    """

    def __init__(self, epochs: ShuffledEpochs, state: ShuffleState) -> None:
        self._epochs, self._state = epochs, state
        self._reader: ShuffledReader | None = None
        self._limiter = make_limiter(1)
        self._is_closed = False

    def __len__(self) -> int:
        """Frames of this rank's and worker's part of the epoch, those given out counted."""
        return self._state.shard.count(len(self._epochs.layout))

    @property
    def epoch(self) -> int:
        """Which epoch this is."""
        return self._state.epoch

    @property
    def memory(self) -> ShuffleMemory:
        """What buffers and decoders take at worst."""
        return self._epochs.memory(self._state.shard)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        """The next frame.

        Raises:
            DecodeError, OSError: this frame cannot be decoded.
            ValueError: the stream's context was left.
        """
        if self._is_closed:
            raise ValueError("the stream's context was left")
        position = self._state.position
        if position >= len(self):
            raise StopAsyncIteration
        if self._reader is None:
            # It has neither threads nor files yet: a cancellation may drop it.
            self._reader = await run_blocking(self._limiter, self._epochs.open, self._state)
        frame = None
        while frame is None:
            frame = await run_blocking(
                self._limiter, self._reader.wait_for, position, _WAIT_SECONDS
            )
        self._state = self._state.moved(position + 1)
        return frame

    def state_dict(self) -> dict[str, int | str]:
        """Where the stream stands; for JSON, torch.save, or ``open_shuffled(state=…)``."""
        return self._state.to_dict(self._epochs.layout)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where that stream stood: the same frames in the same order as it would have given.

        Args:
            state: of `state_dict` of a stream of the same frames, rank and worker.

        Raises:
            SelectionError: the state is of another stream, or this one has begun.
        """
        if self._reader is not None:
            raise SelectionError("the stream has begun; load its state before the first frame")
        self._state = self._state.restored(state, self._epochs.layout)

    async def aclose(self) -> None:
        """End all threads, close all files; `open_shuffled` does so on leaving."""
        self._is_closed = True
        if self._reader is not None:
            with anyio.CancelScope(shield=True):
                await run_blocking(self._limiter, self._reader.close)


@asynccontextmanager
async def open_shuffled(
    videos: Mapping[str, VideoSource],
    steps: Steps,
    *,
    seed: int,
    epoch: int = 0,
    rank: int = 0,
    world_size: int = 1,
    worker: int = 0,
    n_workers: int = 1,
    alphas: Mapping[str, VideoSource] | None = None,
    frame_format: FrameFormat = _PLAIN,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    threads: int | None = None,
    state: Mapping[str, Any] | None = None,
) -> AsyncIterator[ShuffledStream]:
    """A stream of frames in an order that depends on nothing but these arguments.

    All cores decode ahead within ``memory_bytes``; leaving closes everything. The first frame
    comes when the decoders have reached where their parts begin: up to half of a group of
    pictures each.

    Args:
        videos: by serial.
        steps: ``(timestep, frame_index)`` of the wanted frames, of every camera or by serial.
        seed: not negative; the same for every rank and worker.
        epoch: not negative; each has an order of its own.
        rank: whose part of the epoch, of ``world_size``; parts differ by one frame at most.
        world_size: how many ranks there are.
        worker: whose part of the rank's, of ``n_workers``.
        n_workers: how many workers each rank has.
        alphas: alpha videos of the same serials, decoded in step; None: no alpha maps.
        frame_format: channels, crop, scale, dtype and layout of images and alpha maps.
        memory_bytes: for everything that is held; more of it mixes better.
        threads: that decode and convert; None: as many as there are cores.
        state: of `ShuffledStream.state_dict`, to go on there.

    Raises:
        SelectionError: no frames, frames or serials that do not exist, or a state of another
            stream.
        ConfigurationError: the budget is too small; says what is needed.
        DecodeError, OSError: a video cannot be read.
    """
    request = ShuffleRequest(dict(videos), steps, alphas, frame_format, memory_bytes, threads)
    limiter = make_limiter(1)
    indexes = [
        await run_blocking(limiter, source.read_index)
        # One after another: building one reads its whole file, and the disk is the limit.
        for source in request.sources()
    ]
    epochs = ShuffledEpochs(request, indexes)
    beginning = epochs.begin(seed, epoch, Shard(rank, world_size, worker, n_workers))
    if state is not None:
        beginning = beginning.restored(state, epochs.layout)
    stream = ShuffledStream(epochs, beginning)
    try:
        yield stream
    finally:
        await stream.aclose()
