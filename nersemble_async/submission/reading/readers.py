"""The official readers of submission zips, their loads awaited; `blocking_readers` at work."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar

import anyio
import anyio.from_thread
import numpy.typing as npt

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.submission.reading import mesh_reader, video_readers
from nersemble_async.submission.reading.entry_video import RgbImage
from nersemble_async.submission.reading.official_methods import OfBenchmark, VideoSubmissionPaths
from nersemble_async.submission.reading.reader_base import SubmissionDataReader
from nersemble_async.submission.reading.video_frames import VideoFrames, stream_video
from nersemble_async.submission.thread_lifetimes import to_the_end
from nersemble_async.workers import make_limiter, run_blocking

if TYPE_CHECKING:
    import trimesh

BlockingReader = TypeVar("BlockingReader", bound=SubmissionDataReader)
P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_PREFETCH = 4
"""Frames; 21 MB at 1100×1604."""


class _Reader(OfBenchmark, Generic[BlockingReader]):
    """A submission, opened by the first call that needs it; an async context manager.

    Several tasks may use it at once. Broken zips and entries raise `SubmissionError`, broken
    contents `DecodeError`, what does not stand in the zip `SelectionError`.

    Args:
        zip_path: the zip.
        benchmark_folder: the root, where metadata.json is looked for; None: as the environment
            and the .env file say.
        metadata: the metadata.json itself, or what it says; comes before ``benchmark_folder``.
    """

    _blocking_class: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        zip_path: str | Path,
        *,
        benchmark_folder: str | Path | None = None,
        metadata: str | Path | TaskMetadata | None = None,
    ) -> None:
        self._zip_path = zip_path
        self._make: Callable[[], BlockingReader] = partial(
            self._blocking_class, zip_path, benchmark_folder=benchmark_folder, metadata=metadata
        )
        self._made: BlockingReader | None = None
        self._is_closed = False
        self._opening = threading.Lock()
        self._limiter: anyio.CapacityLimiter | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._zip_path)!r})"

    async def __aenter__(self) -> Self:
        try:
            await run_blocking(self._threads, self._blocking)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()

    async def close(self) -> None:
        """Close the zip; again is no error. Videos that are open stay so."""
        await to_the_end(self._threads, self._close, self._close)

    async def validate_submission(self) -> dict[str, list[Any]]:
        """What the official validator would list; see `SubmissionDataReader.validate_submission`.

        A cancellation ends the validation between two entries.
        """

        def beat(_done: int, _total: int) -> None:
            anyio.from_thread.check_cancelled()

        return await self._run(SubmissionDataReader.validate_submission, on_progress=beat)

    # ---- within -------------------------------------------------------------------------------

    def _blocking(self) -> BlockingReader:
        """The reader, opened if it is not yet; in a worker thread."""
        with self._opening:
            if self._is_closed:
                raise ValueError(f"the reader of {self._zip_path} was closed")
            if self._made is None:
                self._made = self._make()
            return self._made

    def _close(self) -> None:
        with self._opening:
            self._is_closed = True
            if self._made is not None:
                self._made.close()

    @property
    def _threads(self) -> anyio.CapacityLimiter:
        if self._limiter is None:
            self._limiter = make_limiter()
        return self._limiter

    async def _run(
        self,
        method: Callable[Concatenate[BlockingReader, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        return await run_blocking(self._threads, lambda: method(self._blocking(), *args, **kwargs))


class _VideoReader(VideoSubmissionPaths, _Reader[video_readers.VideoSubmissionDataReader]):
    """A submission of videos; its methods are those of `VideoSubmissionDataReader`."""

    async def get_file_overview(self) -> dict[int, dict[str, list[str]]]:
        """Serials by participant_id and sequence_name, in the order of the zip."""
        return await self._run(video_readers.VideoSubmissionDataReader.get_file_overview)

    async def load_video(  # noqa: PLR0917 -- the official signature
        self,
        participant_id: int,
        sequence_name: str,
        serial: str,
        every_nth_frame: int | None = None,
        timestep: int | None = None,
        scale: float | None = None,
    ) -> list[RgbImage]:
        """Frames, each (H, W, 3) uint8 RGB; `open_video` takes less memory.

        See `VideoSubmissionDataReader.load_video`. All are decoded in one unit of work, which a
        cancellation waits for; `open_video` ends after a frame.
        """
        return await self._run(
            video_readers.VideoSubmissionDataReader.load_video,
            participant_id,
            sequence_name,
            serial,
            every_nth_frame,
            timestep,
            scale,
        )

    @asynccontextmanager
    async def open_video(
        self,
        participant_id: int,
        sequence_name: str,
        serial: str,
        *,
        every_nth_frame: int | None = None,
        scale: float | None = None,
        prefetch: int = DEFAULT_PREFETCH,
    ) -> AsyncIterator[VideoFrames]:
        """Stream the frames of `load_video`: memory does not depend on the length.

        ::

            async with reader.open_video(388, "GLASSES", "222200046") as frames:
                async for frame in frames:
                    frame.shape

        Args:
            participant_id: whose.
            sequence_name: of the participant.
            serial: of the camera.
            every_nth_frame: only frames 0, n, 2n, …
            scale: factor of both sides, filtered as the official toolkit does.
            prefetch: how many frames may be ready at most.

        Raises:
            ValueError: ``prefetch`` is less than 1, or ``scale`` not from 1/64 to 8.
            SelectionError, EntryError, DecodeError, DiskFullError: as in
                `VideoSubmissionDataReader.load_video`.
        """
        path = self.get_video_path(participant_id, sequence_name, serial)
        async with stream_video(
            lambda: self._blocking().open_entry_video(path),
            1 if every_nth_frame is None else every_nth_frame,
            scale,
            prefetch=prefetch,
            limiter=self._threads,
        ) as frames:
            yield frames

    async def list_expected_video_lengths(self) -> dict[str, int]:
        """Frames of each video of a complete submission, by its path inside the zip.

        Raises:
            ConfigurationError: there is no metadata.json, or it lacks a sequence; says what to do.
            MetadataError: metadata.json breaks its schema.
        """
        return await self._run(video_readers.VideoSubmissionDataReader.list_expected_video_lengths)


class NVSSubmissionDataReader(_VideoReader):
    """A submission to the dynamic novel view synthesis benchmark."""

    task = "nvs"
    _blocking_class = video_readers.NVSSubmissionDataReader

    async def is_complete(self, participant_id: int, sequence_name: str) -> bool:
        """Whether the zip has a video of each hold-out camera."""
        return await self._run(
            video_readers.VideoSubmissionDataReader.has_all, participant_id, sequence_name
        )


class MonoFlameAvatarSubmissionDataReader(_VideoReader):
    """A submission to the monocular FLAME avatar benchmark."""

    task = "mono_flame_avatar"
    _blocking_class = video_readers.MonoFlameAvatarSubmissionDataReader

    async def is_complete(self, participant_id: int | None = None) -> bool:
        """Whether the zip has all videos of a participant; None: of each participant."""
        return await self._run(
            video_readers.VideoSubmissionDataReader.has_all_videos, participant_id
        )


class SVFRSubmissionDataReader(_Reader[mesh_reader.SVFRSubmissionDataReader]):
    """A submission to the single-view face reconstruction benchmark.

    Meshes are given with every vertex where the file has it (trimesh's ``process=False``): the
    official reader merges equal ones. Errors as of `mesh_reader.SVFRSubmissionDataReader`.
    """

    task = "svfr"
    _blocking_class = mesh_reader.SVFRSubmissionDataReader

    async def load_posed_mesh(
        self, participant_id: int, sequence_name: str, timestep: int, serial: str
    ) -> trimesh.Trimesh:
        """The mesh with the image's expression; float64 (V, 3) vertices, int64 (F, 3) faces."""
        method = mesh_reader.SVFRSubmissionDataReader.load_posed_mesh
        return await self._run(method, participant_id, sequence_name, timestep, serial)

    async def load_neutral_mesh(
        self, participant_id: int, sequence_name: str, timestep: int, serial: str
    ) -> trimesh.Trimesh:
        """The mesh with a neutral expression."""
        method = mesh_reader.SVFRSubmissionDataReader.load_neutral_mesh
        return await self._run(method, participant_id, sequence_name, timestep, serial)

    async def load_posed_landmarks(
        self, participant_id: int, sequence_name: str, timestep: int, serial: str
    ) -> npt.NDArray[Any]:
        """The landmarks of the posed mesh as they stand in the file; should be (7, 3) floats."""
        method = mesh_reader.SVFRSubmissionDataReader.load_posed_landmarks
        return await self._run(method, participant_id, sequence_name, timestep, serial)

    async def load_neutral_landmarks(
        self, participant_id: int, sequence_name: str, timestep: int, serial: str
    ) -> npt.NDArray[Any]:
        """The landmarks of the neutral mesh."""
        method = mesh_reader.SVFRSubmissionDataReader.load_neutral_landmarks
        return await self._run(method, participant_id, sequence_name, timestep, serial)

    async def has_posed_reconstructions(self) -> bool:
        """Whether there is at least one posed mesh."""
        return await self._run(mesh_reader.SVFRSubmissionDataReader.has_posed_reconstructions)

    async def has_neutral_reconstructions(self) -> bool:
        """Whether there is at least one neutral mesh."""
        return await self._run(mesh_reader.SVFRSubmissionDataReader.has_neutral_reconstructions)
