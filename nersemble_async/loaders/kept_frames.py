"""Decoded frames as the frame cache keeps them: encoded, on disk, a few in memory. Blocking."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from nersemble_async.cache.frame_store import FrameStore
from nersemble_async.cache.ram_cache import RamCache
from nersemble_async.errors import CacheError
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.frame_codec import EncodedFrame
from nersemble_async.loaders.known_videos import KnownVideo
from nersemble_async.log import get_logger

_LOG = get_logger(__name__)


class FramePlace(NamedTuple):
    """Where a frame is kept, on disk and in memory."""

    key: str
    """Of the video in the folder."""
    identity: bytes
    """Of the video's content, from `identity_of`."""
    frame_index: int


class KeptFrames:
    """Frames by place. Any thread may call any method; a fork is no harm.

    Args:
        folder: of its own; made when the first frame is stored.
        limit_bytes: of the disk; None: no limit.
        is_compressed: whether frames are stored so; on disk there may be others.
        ram_bytes: of frames in memory.
    """

    def __init__(
        self, folder: Path, limit_bytes: int | None, *, is_compressed: bool, ram_bytes: int
    ) -> None:
        self._store = FrameStore(folder, limit_bytes)
        self._ram: RamCache[EncodedFrame] = RamCache(ram_bytes)
        self._is_compressed = is_compressed
        self._complained: set[str] = set()
        self._has_stopped = False

    def close(self) -> None:
        """Close every file but those of pins and drop what is in memory; a later call reopens."""
        self._store.close()
        self._ram.clear()

    def read(self, at: FramePlace) -> DecodedFrame | None:
        """A frame from memory or disk, from now on in memory; None where it is not there.

        Raises:
            ValueError: the key is no relative path.
        """
        if at.frame_index < 0:
            return None
        encoded = self._ram.get(at)
        if encoded is not None:
            return encoded.decode(at.frame_index)
        encoded = self._store.read(*at, EncodedFrame.allocate)
        if encoded is None:
            return None
        try:
            frame = encoded.decode(at.frame_index)
        except ValueError:
            self._store.discard(*at)
            return None
        if self._ram.limit_bytes > 0:
            self._remember(at, encoded.packed(frame))
        return frame

    def remember(self, at: FramePlace, video: KnownVideo, frame: DecodedFrame) -> None:
        """Keep a frame in memory, where that is wanted."""
        if self._ram.limit_bytes > 0:
            self._remember(at, video.encode(frame, is_compressed=False))

    def _remember(self, at: FramePlace, packed: EncodedFrame | None) -> None:
        if packed is not None:
            self._ram.put(at, packed, packed.nbytes)

    def store(self, at: FramePlace, video: KnownVideo, frame: DecodedFrame) -> bool:
        """Keep a frame on disk; one that is there already stays.

        Returns:
            False: there is no room for it, or it is of a kind that is not stored.

        Raises:
            DiskFullError, CacheError: the folder takes no more.
        """
        return self._store_if_possible(at, video, frame) is True

    def offer(self, at: FramePlace, video: KnownVideo, frame: DecodedFrame) -> None:
        """`store`, where nothing is lost if it fails: that is logged once, and errors end it."""
        if self._has_stopped:
            return
        try:
            if self._store_if_possible(at, video, frame) is False:
                self._complain("frame_cache_full", "nothing within the limit can be evicted")
        except CacheError as error:
            self._has_stopped = True
            self._complain("frame_cache_stopped", str(error))

    def _store_if_possible(
        self, at: FramePlace, video: KnownVideo, frame: DecodedFrame
    ) -> bool | None:
        """Whether there was room for it; None: it is of a kind that is not stored."""
        encoded = video.encode(frame, is_compressed=self._is_compressed)
        if encoded is None:
            return None
        return self._store.put(*at, encoded.tag, encoded.buffer)

    def _complain(self, event: str, reason: str) -> None:
        if event not in self._complained:
            self._complained.add(event)
            _LOG.warning(event, folder=str(self._store.folder), reason=reason)

    def stored(self, key: str, identity: bytes) -> list[int]:
        """Which frames of a video are on disk, ascending."""
        return self._store.stored(key, identity)

    def pin(self, key: str) -> AbstractContextManager[None]:
        """Keep a video's frames from being evicted, by any process, while the context lasts."""
        return self._store.pin(key)

    def look_for_room(self) -> None:
        """Have the next frame that is stored look for room, whatever earlier ones found."""
        self._store.look_for_room()

    def used_bytes(self) -> int:
        """Of the disk."""
        return self._store.used_bytes()
