"""What the frame cache knows of the videos that it serves: identity, index, what to store."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Literal

import numpy as np

from nersemble_async.cache.forking import reset_on_fork
from nersemble_async.errors import DecodeError
from nersemble_async.formats.video.decoded_frame import DecodedFrame
from nersemble_async.formats.video.frame_codec import (
    CODEC_VERSION,
    EncodedFrame,
    encode_frame,
    find_chroma_location,
)
from nersemble_async.formats.video.index import VideoIndex
from nersemble_async.formats.video.packet_plan import plan_packets
from nersemble_async.formats.video.source import VideoSource

Neighbours = Literal["none", "decoded", "group"]

_VIDEOS_KNOWN = 64


def identity_of(source: VideoSource) -> bytes:
    """Of a video's content as far as a stat can tell, and of how frames are stored.

    Raises:
        OSError: the video is not there.
    """
    stat = source.path.stat()
    return _identity(stat.st_size, stat.st_mtime_ns)


def _identity(size_bytes: int, mtime_ns: int) -> bytes:
    return f"{size_bytes} {mtime_ns} {CODEC_VERSION}".encode()


class KnownVideo:
    """One state of a video file. Any thread may call any method."""

    def __init__(self, index: VideoIndex) -> None:
        self.index = index
        self._chroma_location: int | None = None
        self._is_probed = False
        self._lock = threading.Lock()
        self._group_locks: dict[int, threading.Lock] = {}

    def lock_of_group(self, frame_index: int) -> threading.Lock:
        """One for all frames that are decoded from the same keyframe."""
        with self._lock:
            start = int(self.index.start_packets[frame_index])
            return self._group_locks.setdefault(start, threading.Lock())

    def encode(self, frame: DecodedFrame, *, is_compressed: bool) -> EncodedFrame | None:
        """A frame of it as bytes; None where such frames cannot be stored exactly."""
        if not self._is_probed:
            self._chroma_location = find_chroma_location(frame)
            self._is_probed = True
        if self._chroma_location is None:
            return None
        return encode_frame(
            frame, is_compressed=is_compressed, chroma_location=self._chroma_location
        )

    def beside(self, frame_index: int, neighbours: Neighbours) -> list[int]:
        """Frames to take from a decoder that goes to a frame from its keyframe, ascending."""
        if neighbours == "none":
            return [frame_index]
        starts = self.index.start_packets
        if neighbours == "group":
            frames = np.flatnonzero(starts == starts[frame_index])
        else:
            (run,) = plan_packets(self.index, np.array([frame_index]))
            frames = np.sort(self.index.packet_frames[run.packets])
            # Those that are shown before their keyframe would need what lies before it.
            frames = frames[(frames >= 0) & (starts[frames] == starts[frame_index])]
        return [int(frame) for frame in frames]


class KnownVideos:
    """Some that were used last; a forked child begins anew. Any thread may call any method."""

    def __init__(self) -> None:
        self.reset_in_child()
        reset_on_fork(self)

    def reset_in_child(self) -> None:
        """Forget all, with locks that nobody holds."""
        self._lock = threading.Lock()
        self._videos: OrderedDict[tuple[Path, bytes], KnownVideo] = OrderedDict()

    def find(self, source: VideoSource, identity: bytes) -> KnownVideo:
        """The video; its index is read where it is new.

        Raises:
            DecodeError: not a video, or it changed in this moment.
            OSError: the file cannot be read.
        """
        name = (source.path, identity)
        with self._lock:
            video = self._videos.get(name)
            if video is not None:
                self._videos.move_to_end(name)
                return video
        index = source.read_index()
        if _identity(index.source_bytes, index.source_mtime_ns) != identity:
            raise DecodeError(str(source.path), "the file changed while it was opened; try again")
        with self._lock:
            video = self._videos.setdefault(name, KnownVideo(index))
            if len(self._videos) > _VIDEOS_KNOWN:
                self._videos.popitem(last=False)
        return video
