"""Random frames of videos in milliseconds: decoded frames kept on disk, a few in memory. Blocking.

What comes from here converts to the same bits as what the video gives. The cache is optional
everywhere: a full disk, a damaged file or a folder that is only read costs time, never a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.reader import VideoReader
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.idle_readers import IdleReaders
from nersemble_async.loaders.kept_frames import FramePlace, KeptFrames
from nersemble_async.loaders.known_videos import (
    KnownVideo,
    KnownVideos,
    Neighbours,
    identity_of,
)

FrameCacheMode = Literal["compressed", "raw"]


@dataclass(frozen=True, slots=True)
class FillReport:
    """What `FrameCache.fill` did with the frames that were asked for."""

    n_stored: int
    n_present: int
    """Were stored already."""
    n_refused: int
    """Found no room within the limit, or are of a kind that is not stored."""


class FrameCache:
    """Frames by video and frame index; a context manager.

    Any thread may call any method, at once. Crosses a fork, and pickles: each process opens what
    it needs. Processes may share the folder, in any modes.

    Args:
        folder: of its own; made when the first frame is stored.
        limit_bytes: of the disk; the least recently used is evicted, 64 frames at a time. None:
            no limit.
        mode: how frames are stored: ``compressed`` (about 27 % of raw) or ``raw`` (faster).
        ram_bytes: of frames in memory, in each process.
        neighbours: what `get` stores beside the frame that was asked for: ``none``; ``decoded``,
            the frames that had to be decoded on the way to it; ``group``, its whole group of
            pictures, which is best where every frame will be asked for.

    Raises:
        ValueError: a mode or neighbours that do not exist.
    """

    def __init__(
        self,
        folder: Path,
        limit_bytes: int | None = None,
        *,
        mode: FrameCacheMode = "compressed",
        ram_bytes: int = 0,
        neighbours: Neighbours = "decoded",
    ) -> None:
        _require("mode", mode, get_args(FrameCacheMode))
        _require("neighbours", neighbours, get_args(Neighbours))
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.mode: FrameCacheMode = mode
        self.ram_bytes = ram_bytes
        self.neighbours: Neighbours = neighbours
        self._kept = KeptFrames(
            folder, limit_bytes, is_compressed=mode == "compressed", ram_bytes=ram_bytes
        )
        self._videos = KnownVideos()
        self._readers = IdleReaders()

    def __reduce__(self) -> tuple[Any, ...]:
        options = {"mode": self.mode, "ram_bytes": self.ram_bytes, "neighbours": self.neighbours}
        return _make_cache, (self.folder, self.limit_bytes, options)

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
        """Close every file and drop what is in memory; a later call begins anew."""
        self._readers.close()
        self._kept.close()

    # ---- reading ------------------------------------------------------------------------------

    def read(self, source: VideoSource, key: str, frame_index: int) -> DecodedFrame | None:
        """A frame from memory or disk; None where it is not there, or the video is not.

        Args:
            source: its file is looked at (a stat), so that frames of a changed one are not found.
            key: of the video in the folder: its path relative to the root.
            frame_index: position in the video.

        Raises:
            ValueError: the key is no relative path.
        """
        try:
            identity = identity_of(source)
        except OSError:
            return None
        return self._kept.read(FramePlace(key, identity, frame_index))

    def get(
        self,
        source: VideoSource,
        key: str,
        frame_index: int,
        *,
        neighbours: Neighbours | None = None,
    ) -> DecodedFrame:
        """A frame from memory or disk, else decoded and stored.

        Frames asked for in order are decoded in order. Threads that miss in one group of
        pictures wait for the first of them, and mostly find what it stored.

        Args:
            source: as in `read`.
            key: as in `read`.
            frame_index: as in `read`.
            neighbours: instead of the cache's.

        Raises:
            SelectionError: there is no such frame.
            DecodeError: it does not decode.
            OSError: the video cannot be read.
        """
        at = FramePlace(key, identity_of(source), frame_index)
        frame = self._kept.read(at)
        if frame is not None:
            return frame
        video = self._videos.find(source, at.identity)
        if not 0 <= frame_index < video.index.n_frames:
            with source.open() as reader:
                return reader.decode(frame_index)  # says how many there are
        neighbours = neighbours or self.neighbours
        if neighbours == "none":
            return self._decode(source, at, video, neighbours)
        with video.lock_of_group(frame_index):
            frame = self._kept.read(at)
            return self._decode(source, at, video, neighbours) if frame is None else frame

    def _decode(
        self, source: VideoSource, at: FramePlace, video: KnownVideo, neighbours: Neighbours
    ) -> DecodedFrame:
        beside = video.beside(at.frame_index, neighbours)
        reader = self._readers.take(source.path, video.index, at.frame_index)
        wanted = None
        try:
            for frame in reader.frames_to(at.frame_index, beside):
                is_wanted = frame.frame_index == at.frame_index
                if is_wanted or neighbours != "none":
                    place = at._replace(frame_index=frame.frame_index)
                    self._kept.offer(place, video, frame)
                wanted = frame if is_wanted else wanted
        except BaseException:
            reader.close()
            raise
        self._readers.give_back(reader)
        if wanted is None:
            raise DecodeError(str(source.path), "the frame does not decode", frame=at.frame_index)
        self._kept.remember(at, video, wanted)
        return wanted

    # ---- storing ------------------------------------------------------------------------------

    def put(self, source: VideoSource, key: str, frame: DecodedFrame) -> None:
        """Store a frame that somebody else decoded from the video; a full cache is no error.

        Args:
            source: as in `read`.
            key: as in `read`.
            frame: nobody else uses it meanwhile.

        Raises:
            DecodeError, OSError: the video cannot be read.
        """
        at = FramePlace(key, identity_of(source), frame.frame_index)
        self._kept.offer(at, self._videos.find(source, at.identity), frame)

    def fill(
        self,
        source: VideoSource,
        key: str,
        frame_indices: Iterable[int] | None = None,
        *,
        on_progress: Callable[[int, int], None] | None = None,
        threads: int = 1,
    ) -> FillReport:
        """Store frames beforehand, decoded in order; the video is pinned meanwhile.

        Several threads may fill several videos. Stopped at any instant, what is stored stays. It
        ends early where nothing more finds room.

        Args:
            source: as in `read`.
            key: as in `read`.
            frame_indices: None: all.
            on_progress: called with how many of how many missing frames are done; may raise.
            threads: of the decoder.

        Raises:
            SelectionError: there is no such frame.
            DecodeError: a frame does not decode.
            DiskFullError, CacheError: the folder takes no more.
            OSError: the video cannot be read.
        """
        identity = identity_of(source)
        video = self._videos.find(source, identity)
        wanted = range(video.index.n_frames) if frame_indices is None else set(frame_indices)
        present = set(self._kept.stored(key, identity)).intersection(wanted)
        missing = sorted(set(wanted) - present)
        n_stored = 0
        self._kept.look_for_room()
        with self.pin(key), VideoReader(source.path, video.index, threads=threads) as reader:
            for frame in reader.decode_frames(missing):
                if not self._kept.store(FramePlace(key, identity, frame.frame_index), video, frame):
                    break
                n_stored += 1
                if on_progress is not None:
                    on_progress(n_stored, len(missing))
        return FillReport(n_stored, len(present), len(missing) - n_stored)

    def stored(self, source: VideoSource, key: str) -> list[int]:
        """Which frames of the video, as it is now, are on disk; ascending.

        Raises:
            OSError: the video is not there.
        """
        return self._kept.stored(key, identity_of(source))

    def pin(self, key: str) -> AbstractContextManager[None]:
        """Keep a video's frames from being evicted, by any process, while the context lasts."""
        return self._kept.pin(key)

    def used_bytes(self) -> int:
        """Of the disk."""
        return self._kept.used_bytes()


def _make_cache(folder: Path, limit_bytes: int | None, options: dict[str, Any]) -> FrameCache:
    return FrameCache(folder, limit_bytes, **options)


def _require(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it may be {' or '.join(allowed)}")
