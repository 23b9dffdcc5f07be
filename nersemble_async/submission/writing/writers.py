"""Writers of submission zips for an event loop: the blocking ones, what blocks in threads.

Each is an async context manager, which does nothing until it is entered.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar, TypeVarTuple

import anyio
import numpy as np
import numpy.typing as npt

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.errors import SubmissionError
from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.issues import SubmissionReport
from nersemble_async.submission.thread_lifetimes import Opening, to_the_end
from nersemble_async.submission.writing import mesh_writer, video_writers
from nersemble_async.submission.writing.video_sink import VideoSink
from nersemble_async.submission.writing.video_writers import DEFAULT_MEMORY_BYTES, check_length
from nersemble_async.submission.writing.writer_base import SubmissionDataWriter
from nersemble_async.workers import make_limiter, run_blocking

T = TypeVar("T")
Args = TypeVarTuple("Args")
BlockingWriter = TypeVar("BlockingWriter", bound=SubmissionDataWriter)


class SubmissionVideo:
    """A video that is written frame by frame; an async context manager, which closes it.

    Left with an exception or cancelled, the video is dropped, as if it had not been begun.
    """

    def __init__(self, open_sink: Callable[[], VideoSink], limiter: anyio.CapacityLimiter) -> None:
        self._opening = Opening(open_sink, VideoSink.drop)
        self._limiter = limiter

    @property
    def _sink(self) -> VideoSink:
        if self._opening.opened is None:
            raise SubmissionError("use it within `async with writer.open_video(…) as video`")
        return self._opening.opened

    @property
    def n_frames(self) -> int:
        """How many frames were written."""
        return self._sink.n_frames

    @property
    def n_expected(self) -> int:
        """How many it has to have."""
        return self._sink.n_expected

    async def write(self, frame: object) -> None:
        """Append a frame; see `VideoSink.write`. Returns when it was taken, not when it is encoded.

        A call that is cancelled may have taken the frame: then drop the video, or look at
        ``n_frames``.
        """
        await run_blocking(self._limiter, self._sink.write, frame)

    async def __aenter__(self) -> Self:
        await self._opening.enter(self._limiter)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sink = self._sink
        leave = partial(sink.__exit__, kind, error, traceback)
        with anyio.CancelScope(shield=True):
            await to_the_end(self._limiter, leave, sink.drop)


class _Writer(Generic[BlockingWriter]):
    """Enters, leaves and asks a blocking writer."""

    def __init__(self, make: Callable[[], BlockingWriter]) -> None:
        self._opening = Opening(make, SubmissionDataWriter.keep)
        self._is_entered = False
        self._limiter: anyio.CapacityLimiter | None = None

    @property
    def _blocking(self) -> BlockingWriter:
        if self._opening.opened is None:
            raise SubmissionError(f"use it within `async with {type(self).__name__}(…) as writer`")
        return self._opening.opened

    async def _run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        return await run_blocking(self._threads, function, *args)

    @property
    def _threads(self) -> anyio.CapacityLimiter:
        if self._limiter is None:
            self._limiter = make_limiter()
        return self._limiter

    def missing(self) -> list[ExpectedEntry]:
        """What a complete submission still lacks, in the benchmark's order."""
        return self._blocking.missing()

    @property
    def resumed(self) -> frozenset[str]:
        """The paths inside the zip of what an earlier run had written."""
        return self._blocking.resumed

    @property
    def report(self) -> SubmissionReport | None:
        """What the validator found in the finished zip; None before."""
        return self._blocking.report

    async def close(self) -> None:
        """Finish the zip, as leaving the context does; see `SubmissionDataWriter.close`."""
        await to_the_end(self._threads, self._blocking.close, self._blocking.keep)

    async def keep(self) -> None:
        """Close it unfinished, to be gone on with by ``resume=True``."""
        await to_the_end(self._threads, self._blocking.keep, self._blocking.keep)

    async def __aenter__(self) -> Self:
        if self._is_entered:
            raise SubmissionError("a writer writes one zip; make another one")
        self._is_entered = True
        await self._opening.enter(self._threads)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        blocking = self._blocking
        leave = partial(blocking.__exit__, kind, error, traceback)
        with anyio.CancelScope(shield=True):
            await to_the_end(self._threads, leave, blocking.keep)


class _VideoWriter(_Writer[video_writers.VideoSubmissionDataWriter]):
    """Videos frame by frame; many can be open at once, and are encoded at the same time.

    The arguments are those of `video_writers.VideoSubmissionDataWriter`.
    """

    _kind: type[video_writers.VideoSubmissionDataWriter]

    def __init__(
        self,
        zip_path: str | Path,
        *,
        benchmark_folder: str | Path | None = None,
        metadata: str | Path | TaskMetadata | None = None,
        resume: bool | None = None,
        allow_partial: bool = False,
        compensate_reader_bias: bool = False,
        threads: int | None = None,
        memory_limit_bytes: int = DEFAULT_MEMORY_BYTES,
    ) -> None:
        super().__init__(
            partial(
                self._kind,
                zip_path,
                benchmark_folder=benchmark_folder,
                metadata=metadata,
                resume=resume,
                allow_partial=allow_partial,
                compensate_reader_bias=compensate_reader_bias,
                threads=threads,
                memory_limit_bytes=memory_limit_bytes,
            )
        )

    async def add_video(
        self,
        participant_id: int,
        sequence_name: str,
        serial: str,
        frames: Iterable[object] | AsyncIterable[object],
        *,
        from_float: bool = False,
    ) -> bool:
        """Write a whole video: a list, an array (T, H, W, 3), an iterator or an async iterator.

        As `video_writers.VideoSubmissionDataWriter.add_video`. A plain iterator is asked for its
        frames in the event loop's thread, where its own thread-local state (such as torch's
        ``no_grad``) holds; an async one lets the loop go on while a frame is rendered.
        """
        entry = self._blocking.entry(participant_id, sequence_name, serial)
        if entry.path in self.resumed:
            return False
        async with self.open_video(
            participant_id, sequence_name, serial, from_float=from_float
        ) as video:
            check_length(frames, entry.path, video.n_expected)
            if isinstance(frames, AsyncIterable):
                async for frame in frames:
                    await video.write(frame)
            else:
                for frame in frames:
                    await video.write(frame)
        return True

    def open_video(
        self, participant_id: int, sequence_name: str, serial: str, *, from_float: bool = False
    ) -> SubmissionVideo:
        """A video to be written frame by frame, an async context manager.

        As `video_writers.VideoSubmissionDataWriter.open_video`, whose errors entering it raises.
        """
        open_sink = partial(
            self._blocking.open_video,
            participant_id,
            sequence_name,
            serial,
            from_float=from_float,
        )
        return SubmissionVideo(open_sink, self._threads)


class NVSSubmissionDataWriter(_VideoWriter):
    """Writes a submission to the dynamic novel view synthesis benchmark: 15 videos."""

    _kind = video_writers.NVSSubmissionDataWriter


class MonoFlameAvatarSubmissionDataWriter(_VideoWriter):
    """Writes a submission to the monocular FLAME avatar benchmark: 80 videos."""

    _kind = video_writers.MonoFlameAvatarSubmissionDataWriter


class SVFRSubmissionDataWriter(_Writer[mesh_writer.SVFRSubmissionDataWriter]):
    """Writes a submission to the single-view face reconstruction benchmark.

    The arguments are those of `mesh_writer.SVFRSubmissionDataWriter`.
    """

    def __init__(
        self, zip_path: str | Path, *, resume: bool | None = None, allow_partial: bool = False
    ) -> None:
        super().__init__(
            partial(
                mesh_writer.SVFRSubmissionDataWriter,
                zip_path,
                resume=resume,
                allow_partial=allow_partial,
            )
        )

    async def add_posed_mesh(  # noqa: PLR0917 -- the official signature
        self,
        participant_id: int,
        sequence_name: str,
        timestep: int,
        serial: str,
        mesh: object,
        now_landmarks: npt.NDArray[np.floating] | None = None,
    ) -> bool:
        """As `mesh_writer.SVFRSubmissionDataWriter.add_posed_mesh`."""
        where = (participant_id, sequence_name, timestep, serial)
        return await self._run(self._blocking.add_posed_mesh, *where, mesh, now_landmarks)

    async def add_neutral_mesh(  # noqa: PLR0917 -- the official signature
        self,
        participant_id: int,
        sequence_name: str,
        timestep: int,
        serial: str,
        mesh: object,
        now_landmarks: npt.NDArray[np.floating] | None = None,
    ) -> bool:
        """As `mesh_writer.SVFRSubmissionDataWriter.add_neutral_mesh`."""
        where = (participant_id, sequence_name, timestep, serial)
        return await self._run(self._blocking.add_neutral_mesh, *where, mesh, now_landmarks)
