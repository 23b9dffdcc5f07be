"""Open videos between two calls, so that frames asked for in order are decoded in order."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from nersemble_async.cache.forking import reset_on_fork
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.reader import VideoReader

_MOST_IDLE = 2
"""Each holds some 20 frames in its decoder, 60 MB."""

_READ_ON_FRAMES = 8
"""So far ahead a frame is reached by decoding on."""

_ABANDONED: list[object] = []
"""What a fork copied of a parent's decoders: nobody may touch them, not even to free them."""


class RunningReader:
    """An open video that goes on where it stopped. One thread at a time."""

    def __init__(self, path: Path, index: VideoIndex) -> None:
        self.path = path
        self.index = index
        self._reader = VideoReader(path, index)
        self._running: Generator[DecodedFrame, None, None] | None = None
        self._next = -1

    def fits(self, path: Path, index: VideoIndex) -> bool:
        """Whether it reads that state of that file."""
        return self.path == path and (self.index.source_bytes, self.index.source_mtime_ns) == (
            index.source_bytes,
            index.source_mtime_ns,
        )

    def is_before(self, frame_index: int) -> bool:
        """Whether the frame is reached by decoding on, or comes next after the last one."""
        ahead = frame_index - self._next
        return ahead == 0 or (self._running is not None and 0 < ahead <= _READ_ON_FRAMES)

    def frames_to(self, frame_index: int, beside: Iterable[int]) -> Iterator[DecodedFrame]:
        """Frames in order, the one that is wanted among them.

        Args:
            frame_index: the wanted one.
            beside: it and others, ascending, which are decoded where it is not reached by
                decoding on.

        Raises:
            DecodeError: while iterating.
        """
        if not self.is_before(frame_index):
            self._stop()
            yield from self._reader.decode_frames(beside)
            self._next = frame_index + 1
            return
        if self._running is None:
            rest = range(frame_index, self.index.n_frames)
            self._running = self._reader.decode_frames(rest)
        while self._next <= frame_index:
            frame = next(self._running)
            self._next = frame.frame_index + 1
            yield frame

    def _stop(self) -> None:
        running, self._running, self._next = self._running, None, -1
        if running is not None:
            running.close()

    def close(self) -> None:
        """Close the file."""
        self._stop()
        self._reader.close()


class IdleReaders:
    """A few readers that nobody uses now. Any thread may call any method."""

    def __init__(self) -> None:
        self._readers: list[RunningReader] = []
        self.reset_in_child()
        reset_on_fork(self)

    def reset_in_child(self) -> None:
        """Leave the parent's decoders alone: its threads are no more, its files are shared."""
        self._lock = threading.Lock()
        if self._readers:
            _ABANDONED.append(self._readers)
        self._readers = []

    def take(self, path: Path, index: VideoIndex, frame_index: int) -> RunningReader:
        """The reader that is nearest before the frame, or any of that video, or a new one.

        Raises:
            DecodeError, OSError: it does not open.
        """
        with self._lock:
            fitting = [reader for reader in self._readers if reader.fits(path, index)]
            fitting.sort(key=lambda reader: reader.is_before(frame_index))
            if fitting:
                self._readers.remove(fitting[-1])
                return fitting[-1]
        return RunningReader(path, index)

    def give_back(self, reader: RunningReader) -> None:
        """Keep a reader; the one that was idle longest is closed where there are too many."""
        with self._lock:
            self._readers.append(reader)
            surplus = self._readers.pop(0) if len(self._readers) > _MOST_IDLE else None
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        """Close all that are idle."""
        with self._lock:
            readers, self._readers = self._readers, []
        for reader in readers:
            reader.close()
