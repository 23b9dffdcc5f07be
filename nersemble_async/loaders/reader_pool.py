"""Open videos kept for the next frame: single frames in order cost one decoding pass. Blocking."""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.formats.video.source import VideoSource

DEFAULT_POOL_BYTES = 700_000_000
"""Image and alpha videos of all 13 train cameras, each read on from timestep to timestep."""
_FRAMES_HELD, _FRAMES_HELD_BY_THREAD = 5, 3
"""What an open decoder holds; measured at 1100 x 1604: 20 MB with one thread, 26 MB with two."""


@dataclass(slots=True)
class _OpenVideo:
    reader: VideoReader
    threads: int
    frame_index: int = -1
    """The frame that it decoded last."""

    @property
    def held_bytes(self) -> int:
        info = self.reader.info
        frames_held = _FRAMES_HELD + self.threads * _FRAMES_HELD_BY_THREAD
        return frames_held * info.width * info.height * 3 // 2  # yuv420p


class ReaderPool:
    """Decodes single frames with open videos, each used by one thread at a time.

    Threads that want frames of one video at once each get a reader of their own. The least
    recently used are closed where those kept hold more than the budget. Before a fork everything
    kept is closed, so that no decoder crosses it; with the pool's last reference, too. Pickled, it
    is an empty one.

    Args:
        most_bytes: what the videos kept open may hold, as estimated from their frames' size.
        threads: of each decoder; see `VideoReader`.
    """

    def __init__(self, most_bytes: int = DEFAULT_POOL_BYTES, *, threads: int = 1) -> None:
        self._most_bytes = most_bytes
        self._threads = threads
        self._lock = threading.Lock()
        self._kept: list[_OpenVideo] = []
        """Not in use; least recently used first."""
        self._indices: dict[Path, VideoIndex] = {}
        weakref.finalize(self, _close_all, self._kept)
        _POOLS.add(self)

    def __reduce__(self) -> tuple[partial[ReaderPool], tuple[int]]:
        return partial(ReaderPool, threads=self._threads), (self._most_bytes,)

    def read_index(self, source: VideoSource) -> VideoIndex:
        """The video's index, from memory where the file is the same as then.

        Raises:
            DecodeError: not a video.
            OSError: the file cannot be read.
        """
        stat = source.path.stat()
        known = self._indices.get(source.path)
        if known is not None and known.fits(stat):
            return known
        index = source.read_index()
        with self._lock:
            # Another thread may have been first: all readers of a file have the same index.
            known = self._indices.get(source.path)
            if known is None or _state(known) != _state(index):
                known = self._indices[source.path] = index
            return known

    def decode(self, source: VideoSource, frame_index: int) -> DecodedFrame:
        """One frame; best asked for in ascending order.

        Raises:
            SelectionError: there is no such frame.
            DecodeError: not a video, or the frame does not decode.
            OSError: the file cannot be read.
        """
        index = self.read_index(source)
        video = self._take(source, index, frame_index)
        if video is None:
            reader = VideoReader(source.path, index, threads=self._threads)
            video = _OpenVideo(reader, self._threads)
        try:
            frame = video.reader.decode(frame_index)
        except BaseException:
            video.reader.close()
            raise
        video.frame_index = frame_index
        self._keep(video)
        return frame

    def close(self) -> None:
        """Close all that is kept; decoding again opens anew."""
        with self._lock:
            _close_all(self._kept)
            self._indices.clear()

    @property
    def n_kept(self) -> int:
        """How many videos are kept open."""
        return len(self._kept)

    # ---- within -------------------------------------------------------------------------------

    def _take(self, source: VideoSource, index: VideoIndex, frame_index: int) -> _OpenVideo | None:
        """A kept reader of the video: the one nearest before the frame, if there is one."""
        with self._lock:
            candidates = [video for video in self._kept if video.reader.path == source.path]
            for video in candidates:
                if video.reader.index is not index:  # the file was replaced
                    self._kept.remove(video)
                    video.reader.close()
            usable = [video for video in candidates if video.reader.index is index]
            if not usable:
                return None
            ahead = [video for video in usable if video.frame_index < frame_index]
            best = max(ahead or usable, key=lambda video: video.frame_index)
            self._kept.remove(best)
            return best

    def _keep(self, video: _OpenVideo) -> None:
        with self._lock:
            self._kept.append(video)
            held_bytes = sum(kept.held_bytes for kept in self._kept)
            while len(self._kept) > 1 and held_bytes > self._most_bytes:
                oldest = self._kept.pop(0)
                held_bytes -= oldest.held_bytes
                oldest.reader.close()

    def _before_fork(self) -> None:
        self._lock.acquire()
        _close_all(self._kept)

    def _after_fork(self) -> None:
        self._lock.release()


def _state(index: VideoIndex) -> tuple[int, int]:
    """Of the file that was indexed."""
    return index.source_bytes, index.source_mtime_ns


def _close_all(kept: list[_OpenVideo]) -> None:
    while kept:
        kept.pop().reader.close()


_POOLS: weakref.WeakSet[ReaderPool] = weakref.WeakSet()
_AT_FORK: list[ReaderPool] = []
"""Those locked for the fork that is under way."""


def _before_fork() -> None:
    for pool in list(_POOLS):
        pool._before_fork()  # noqa: SLF001 -- its own class
        _AT_FORK.append(pool)


def _after_fork() -> None:
    while _AT_FORK:
        _AT_FORK.pop()._after_fork()  # noqa: SLF001 -- its own class


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
