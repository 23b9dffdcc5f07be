"""One video of a submission zip, open: its frames one at a time, in the official bits. Blocking."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.image.official_image import official_image
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.probe import VideoInfo
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.submission.zips.zip_entries import SubmissionZip, ZipEntry
from nersemble_async.workers import usable_cores

RgbImage = npt.NDArray[np.uint8]
"""(H, W, 3) uint8."""

Frames = Generator[RgbImage, None, None]

MOST_PIXELS = 1 << 25
"""Of a frame, 8K video has as many; a submission's have 1.8 million at most."""


class EntryVideo:
    """A video of a zip; a context manager. One thread at a time may use it.

    It is extracted into a private temporary file, which is deleted as soon as it is open: its
    room on disk is free when the video is closed, or the process ends.

    Args:
        archive: which may be closed before the video.
        entry: of the archive.
        threads: of the decoder; None: one for each core.

    Raises:
        EntryError: the entry cannot be read.
        DecodeError: it is no video, or one of unreasonably large frames.
        DiskFullError: there is no room for it in the temporary folder (TMPDIR).
        OSError: a file cannot be read or written.
    """

    def __init__(
        self, archive: SubmissionZip, entry: ZipEntry, *, threads: int | None = None
    ) -> None:
        self.name = f"{archive.path}/{entry.name}"
        """For messages: the zip, and the path inside it."""
        with archive.extracted(entry) as path, self._errors_named():
            self._reader = VideoReader(path, threads=usable_cores() if threads is None else threads)
        # Of an iterator that is dropped before its first frame nothing would be closed.
        weakref.finalize(self, self._reader.close)
        try:
            self._check_size(self.info.width, self.info.height)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the decoder and the file; again is no error."""
        self._reader.close()

    @property
    def info(self) -> VideoInfo:
        """Size, rate, number of frames."""
        return self._reader.info

    def frame(self, frame_index: int, scale: float | None = None) -> RgbImage:
        """One frame.

        Raises:
            SelectionError: there is none of that index; says how many there are.
            DecodeError: it does not decode.
        """
        n_frames = self.info.n_frames
        if not 0 <= frame_index < n_frames:
            raise SelectionError(
                f"{self.name} has no frame {frame_index}; it has {n_frames}, 0 to {n_frames - 1}"
            )
        with self._errors_named():
            return self._image(self._reader.decode(frame_index), scale)

    def frames(self, every_nth_frame: int = 1, scale: float | None = None) -> Frames:
        """Frames 0, n, 2n, … in order; while it is suspended the decoder's threads stay.

        Raises:
            SelectionError: ``every_nth_frame`` is less than 1.
            DecodeError: while iterating, with the frame that does not decode.
        """
        if every_nth_frame < 1:
            raise SelectionError(f"every_nth_frame is {every_nth_frame}; it is at least 1")
        return self._frames(every_nth_frame, scale)

    # ---- within -------------------------------------------------------------------------------

    def _frames(self, step: int, scale: float | None) -> Frames:
        with self._errors_named():
            for frame in self._reader.decode_range(step=step):
                yield self._image(frame, scale)

    def _image(self, frame: DecodedFrame, scale: float | None) -> RgbImage:
        self._check_size(frame.width, frame.height)
        image = official_image(frame.to_rgb(), as_uint8=True, scale=scale)
        return np.asarray(image, np.uint8)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > MOST_PIXELS:
            raise DecodeError(self.name, f"its frames have {width} x {height} pixels")

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        """Errors name the entry, not the file that it was extracted to."""
        try:
            yield
        except DecodeError as error:
            raise DecodeError(self.name, error.reason, error.frame) from None
