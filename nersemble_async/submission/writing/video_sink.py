"""One video of a submission on its way: checked frames, an encoder, a temporary file, the zip."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Self

from nersemble_async.cache.disk import disk_error
from nersemble_async.cache.forking import reset_on_fork
from nersemble_async.errors import InvalidPredictionError, SubmissionError
from nersemble_async.formats.video.encoder import EncodableFrame, VideoEncoder
from nersemble_async.formats.video.probe import probe_video
from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.writing.archive import Archive
from nersemble_async.submission.writing.encoding_pool import EncodingPool, Lane
from nersemble_async.submission.writing.predictions import rgb_image

CRF = 14
"""The quality that the benchmark prescribes."""
PRESET = "medium"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How all videos of a submission are encoded."""

    size: tuple[int, int]
    """Width, height in pixels."""
    rate: Fraction
    """Frames per second."""
    compensate_reader_bias: bool = False
    """See `VideoEncoder`."""


class VideoSink:
    """Takes a video frame by frame; a context manager, which closes it.

    `write` hands a frame over and returns; threads encode meanwhile, in bounded memory. Left with
    an exception, the video is dropped, as if it had not been begun.

    Attributes:
        entry: which video it is.
        n_frames: how many frames were written.
        n_expected: how many it has to have.
        encoder_threads: of the encoder, which is made for the first frame.
    """

    def __init__(
        self,
        archive: Archive,
        pool: EncodingPool,
        entry: ExpectedEntry,
        n_expected: int,
        encoding: Encoding,
        *,
        from_float: bool,
        threads: Callable[[VideoSink], int],
        on_end: Callable[[VideoSink], None],
    ) -> None:
        self.entry = entry
        self.n_frames = 0
        self.n_expected = n_expected
        self.encoder_threads = 1
        self._archive = archive
        self._encoding = encoding
        self._from_float = from_float
        self._threads = threads
        self._on_end = on_end
        self._path = archive.folder / entry.path.replace("/", "_")
        self._encoder: VideoEncoder | None = None
        self._lane: Lane[EncodableFrame | None] = Lane(pool, self._encode)
        self._lock = threading.Lock()
        self._ended: str | None = None
        reset_on_fork(self)

    def reset_in_child(self) -> None:
        """The parent goes on with it; its threads are not here."""
        self._lock = threading.Lock()
        self._ended = self._ended or "written by the process that opened it"
        if self._encoder is not None:
            self._encoder.reset_in_child()

    def write(self, frame: object) -> None:
        """Append a frame: (H, W, 3) uint8 RGB; with ``from_float``, floats or torch tensors in 0…1.

        The array may be changed as soon as this returns.

        Raises:
            InvalidPredictionError: another shape or dtype, or one frame more than the sequence has
                timesteps; the video goes on without this frame.
            DiskFullError, CacheError: earlier frames could not be written; the video is lost.
            SubmissionError: it is closed.
        """
        with self._lock:
            self._refuse_ended()
            if self.n_frames == self.n_expected:
                raise InvalidPredictionError(
                    f"{self.entry.path} has all of its {self.n_expected} frames, one for each "
                    "timestep that metadata.json lists"
                )
            try:
                image = rgb_image(frame, self._encoding.size, from_float=self._from_float)
            except InvalidPredictionError as error:
                where = f"{self.entry.path}, frame {self.n_frames}"
                raise InvalidPredictionError(f"{where}: {error}") from None
            if self._encoder is None:
                self._encoder = self._make_encoder()
            self._lane.put(self._encoder.convert(image))
            self.n_frames += 1
            if self.n_frames == self.n_expected:
                self._lane.put(None)  # the encoder is emptied while others are written to

    def _make_encoder(self) -> VideoEncoder:
        how = self._encoding
        threads = self._threads(self)
        try:
            self._path.parent.mkdir(exist_ok=True)
            return VideoEncoder(
                self._path,
                how.size,
                how.rate,
                crf=CRF,
                preset=PRESET,
                threads=threads,
                compensate_reader_bias=how.compensate_reader_bias,
            )
        except OSError as error:
            raise disk_error(str(self._path), error) from None

    def _encode(self, frame: EncodableFrame | None) -> None:
        """In one of the pool's threads; None: there are no more."""
        if self._encoder is None:
            return
        try:
            if frame is None:
                self._encoder.finish()
            else:
                self._encoder.encode(frame)
        except OSError as error:
            raise disk_error(str(self._path), error) from None

    def close(self) -> None:
        """Check the video and put it into the zip; once closed, a crash does not lose it.

        Raises:
            InvalidPredictionError: it lacks frames; it is dropped.
            DiskFullError, CacheError: it could not be written; it is dropped.
            SubmissionError: it is not what was to be written; it is dropped.
        """
        with self._lock:
            if self._ended is not None:
                return
            try:
                self._close()
            except BaseException:
                self._drop()
                raise
            self._end("closed")

    def _close(self) -> None:
        self._lane.join()  # first: a full disk is why frames are lacking
        if self.n_frames != self.n_expected:
            raise InvalidPredictionError(
                f"{self.entry.path} has {self.n_frames} frames, but the sequence has "
                f"{self.n_expected} timesteps, and a video is submitted whole"
            )
        info = probe_video(self._path)
        found = (info.n_frames, (info.width, info.height), info.codec, info.pixel_format)
        wanted = (self.n_expected, self._encoding.size, "h264", "yuv420p")
        if found != wanted:
            raise SubmissionError(f"{self.entry.path} was written as {found}, not as {wanted}")
        self._archive.add_file(self.entry.path, self._path)

    def drop(self) -> None:
        """Leave it out of the zip, as if it had not been begun."""
        with self._lock:
            if self._ended is None:
                self._drop()

    def _drop(self) -> None:
        self._lane.drop()
        if self._encoder is not None:
            self._encoder.abort()
        self._path.unlink(missing_ok=True)  # also where it was finished: it takes room
        self._end("dropped")

    def _end(self, how: str) -> None:
        self._ended = how
        self._encoder = None
        self._on_end(self)

    def _refuse_ended(self) -> None:
        if self._ended is not None:
            raise SubmissionError(f"{self.entry.path} is {self._ended}; open it anew to write it")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.drop()
