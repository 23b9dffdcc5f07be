"""Writers of submitted videos, for code without an event loop: the core of the awaited ones too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sized
from pathlib import Path

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import Task
from nersemble_async.errors import (
    ConfigurationError,
    InvalidPredictionError,
    SubmissionError,
)
from nersemble_async.formats.video.encoder import encoder_memory_bytes
from nersemble_async.formats.video.probe import probe_video
from nersemble_async.submission.entries import ExpectedEntry, expected_entries, video_entry
from nersemble_async.submission.issues import Severity
from nersemble_async.submission.metadata_source import MetadataSource, require_metadata
from nersemble_async.submission.writing.encoding_pool import EncodingPool
from nersemble_async.submission.writing.video_sink import Encoding, VideoSink
from nersemble_async.submission.writing.writer_base import SubmissionDataWriter
from nersemble_async.workers import usable_cores

DEFAULT_MEMORY_BYTES = 4 << 30

_MOST_ENCODER_THREADS = 16
"""Of one encoder: each takes memory, and the more there are, the less far x264 looks for motion."""
_MOST_FOR_THREADS = 0.25
"""Of the memory limit, for what encoders of several threads take more than those of one: whoever
opens videos one after another on many cores can open nearly as many as on few."""


class VideoSubmissionDataWriter(SubmissionDataWriter):
    """Videos frame by frame; many can be open at once, and are encoded at the same time.

    Args:
        zip_path: see `SubmissionDataWriter`, as for ``resume`` and ``allow_partial``.
        benchmark_folder: the root whose metadata.json tells how many frames a video has; None: as
            the settings say.
        metadata: that file itself, or its content, where it lies elsewhere.
        compensate_reader_bias: see `VideoEncoder`.
        threads: that encode; None: one for each core.
        memory_limit_bytes: for all encoders that are open at once; 4 GiB admit 10 videos of NVS.

    Raises:
        ConfigurationError: nothing says how many frames a video has; says how to help.
    """

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
        if threads is not None and threads < 1:
            raise ConfigurationError(f"threads is {threads}; it is 1 or more")
        self._source: MetadataSource = require_metadata(self._task, benchmark_folder, metadata)
        super().__init__(
            zip_path,
            resume=resume,
            allow_partial=allow_partial,
            contents={"compensate_reader_bias": compensate_reader_bias},
        )
        rate = self._spec.submission_rate
        if rate is None:
            raise ConfigurationError(f"{self._task} has no videos to submit")
        self._encoding = Encoding(self._spec.frame_size, rate, compensate_reader_bias)
        self._memory_limit_bytes = memory_limit_bytes
        self._pool = EncodingPool(threads or usable_cores())
        self._sinks: dict[str, VideoSink] = {}
        self._sinks_lock = threading.Lock()

    def add_video(
        self,
        participant_id: int,
        sequence_name: str,
        serial: str,
        frames: Iterable[object],
        *,
        from_float: bool = False,
    ) -> bool:
        """Write a whole video: a list, an array (T, H, W, 3) or an iterator of frames.

        Of an iterator only few frames are in memory at a time. In a resumed zip, a video of the
        earlier run is not written again, and its frames are not asked for.

        Returns:
            Whether it was written; False: it was there.

        Raises:
            SelectionError: no such video is submitted.
            InvalidPredictionError: a frame, or how many there are; the video is not in the zip.
        """
        entry = self.entry(participant_id, sequence_name, serial)
        if entry.path in self.resumed:
            return False
        with self.open_video(participant_id, sequence_name, serial, from_float=from_float) as video:
            check_length(frames, entry.path, video.n_expected)
            for frame in frames:
                video.write(frame)
        return True

    def add_file(
        self,
        participant_id: int,
        sequence_name: str,
        serial: str,
        path: str | Path,
        *,
        deep: bool = False,
        on_frame: Callable[[], None] | None = None,
    ) -> bool:
        """Take a finished mp4 into the zip as it is, to the bit; the file stays.

        Args:
            participant_id: such as 388.
            sequence_name: such as GLASSES.
            serial: of the camera.
            path: of the mp4.
            deep: decode every frame of it first.
            on_frame: called with each decoded frame; what it raises ends it.

        Returns:
            Whether it was taken; False: it was there, in a resumed zip.

        Raises:
            SelectionError: no such video is submitted.
            InvalidPredictionError: the validator finds an error in it; `add_video` encodes it anew.
            SubmissionError: it is in the zip already.
            OSError: the file cannot be read.
        """
        from nersemble_async.submission.validation.video_checks import check_video  # noqa: PLC0415 -- 0.1 s

        self._refuse_closed()
        entry, source = self.entry(participant_id, sequence_name, serial), Path(path)
        if entry.path in self.resumed:
            return False
        n_frames = self._source.metadata.n_frames(participant_id, sequence_name)
        found = check_video(source, entry, self._spec, n_frames, deep=deep, on_frame=on_frame)
        errors = [issue for issue in found.issues if issue.severity is Severity.ERROR]
        if errors:
            told = "; ".join(f"{e.rule}: found {e.found}, expected {e.expected}" for e in errors)
            raise InvalidPredictionError(f"{source} cannot be {entry.path} as it is: {told}")
        self._archive.add_file(entry.path, source, keep=True)
        return True

    def open_video(
        self, participant_id: int, sequence_name: str, serial: str, *, from_float: bool = False
    ) -> VideoSink:
        """A video to be written frame by frame; a context manager.

        Args:
            participant_id: such as 388.
            sequence_name: such as GLASSES.
            serial: of the camera.
            from_float: frames are floats in 0…1, arrays or torch tensors.

        Raises:
            SelectionError: no such video is submitted.
            SubmissionError: it is in the zip already or open; or so many are open that they would
                take more memory than they may.
        """
        entry = self.entry(participant_id, sequence_name, serial)
        n_frames = self._source.metadata.n_frames(participant_id, sequence_name)
        if n_frames is None:
            raise SubmissionError(
                f"{self._source.origin} does not say how many frames {participant_id} "
                f"{sequence_name} has; give another metadata="
            )
        with self._sinks_lock:
            self._refuse_closed()
            if entry.path in self._sinks:
                raise SubmissionError(f"{entry.path} is open already")
            if entry.path in self._archive.entries:
                raise SubmissionError(
                    f"{entry.path} was written already; missing() lists what was not"
                )
            self._check_memory()
            sink = VideoSink(
                self._archive,
                self._pool,
                entry,
                n_frames,
                self._encoding,
                from_float=from_float,
                threads=self._threads_of,
                on_end=self._forget,
            )
            self._sinks[entry.path] = sink
        return sink

    def entry(self, participant_id: int, sequence_name: str, serial: str) -> ExpectedEntry:
        """Which entry of the zip the video is.

        Raises:
            SelectionError: no such video is submitted; lists what is.
        """
        return video_entry(self._spec, participant_id, sequence_name, serial)

    def _check_earlier(self, path: str, copied: Callable[[], Path]) -> None:
        """Its length too: the metadata may be another than that of the earlier run."""
        super()._check_earlier(path, copied)
        entry = expected_entries(self._task)[path]
        expected = self._source.metadata.n_frames(entry.participant_id, entry.sequence_name)
        found = probe_video(copied()).n_frames
        if expected not in {None, found}:
            raise SubmissionError(
                f"an earlier run wrote {path} with {found} frames, {self._source.origin} says "
                f"{expected}: go on with the metadata.json of then, or throw away what it left "
                "(resume=False, on the command line --restart)"
            )

    def _forget(self, sink: VideoSink) -> None:
        with self._sinks_lock:
            self._sinks.pop(sink.entry.path, None)

    def _threads_of(self, sink: VideoSink) -> int:
        """Of one video's encoder: its share of the threads, as far as memory allows."""
        with self._sinks_lock:
            share = -(-self._pool.threads // max(1, len(self._sinks)))
            share = min(share, _MOST_ENCODER_THREADS)
            sink.encoder_threads = 1
            needed, limit = self._needed_bytes(), self._memory_limit_bytes
            for_threads = needed - len(self._sinks) * self._encoder_bytes(1)
            room = min(limit - needed, _MOST_FOR_THREADS * limit - for_threads)
            while share > 1 and self._encoder_bytes(share) - self._encoder_bytes(1) > room:
                share -= 1
            sink.encoder_threads = share
            return share

    def _encoder_bytes(self, threads: int) -> int:
        return encoder_memory_bytes(self._encoding.size, threads)

    def _needed_bytes(self) -> int:
        return sum(self._encoder_bytes(each.encoder_threads) for each in self._sinks.values())

    def _check_memory(self) -> None:
        needed = self._needed_bytes() + self._encoder_bytes(1)
        if needed > self._memory_limit_bytes:
            raise SubmissionError(
                f"{len(self._sinks) + 1} videos open at once take {needed:,} bytes, the limit is "
                f"{self._memory_limit_bytes:,}: close one first, or raise memory_limit_bytes"
            )

    def _metadata(self) -> TaskMetadata:
        return self._source.metadata

    def _stop(self) -> None:
        with self._sinks_lock:
            sinks = list(self._sinks.values())
        for sink in sinks:
            sink.drop()
        self._pool.close()

    def reset_in_child(self) -> None:
        """See `SubmissionDataWriter.reset_in_child`."""
        super().reset_in_child()
        self._sinks_lock = threading.Lock()
        self._sinks = {}


def videos_within(limit_bytes: int, size: tuple[int, int]) -> int:
    """So many videos can be open at once in any case, however many threads the first ones took.

    Args:
        limit_bytes: the writer's ``memory_limit_bytes``.
        size: width, height of the videos.
    """
    return int((1 - _MOST_FOR_THREADS) * limit_bytes / encoder_memory_bytes(size))


def check_length(frames: object, path: str, n_expected: int) -> None:
    """Refuse a list of another length before anything of it is encoded.

    Raises:
        InvalidPredictionError: it has more or fewer frames than the video.
    """
    if isinstance(frames, Sized) and len(frames) != n_expected:
        raise InvalidPredictionError(
            f"{path}: {len(frames)} frames are given, but the sequence has {n_expected} timesteps, "
            "and a video is submitted whole"
        )


class NVSSubmissionDataWriter(VideoSubmissionDataWriter):
    """Writes a submission to the dynamic novel view synthesis benchmark: 15 videos."""

    _task: Task = "nvs"


class MonoFlameAvatarSubmissionDataWriter(VideoSubmissionDataWriter):
    """Writes a submission to the monocular FLAME avatar benchmark: 80 videos."""

    _task: Task = "mono_flame_avatar"
