"""Segments that a process reads from, kept open with their slots in memory."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self, TypeVar

from nersemble_async.cache.frame_segment import Slot, read_frame, read_slots

_MOST_OPEN = 128
"""8,000 frames are found without opening a file."""

_TOUCH_SECONDS = 60.0
"""Reading marks a segment as used, at most so often."""


class FrameBytes(Protocol):
    """What a frame is read into."""

    @property
    def buffer(self) -> memoryview:
        """Writable, of the length that was asked for."""


F = TypeVar("F", bound=FrameBytes)


class OpenSegment:
    """A segment as it was when it was opened; closed when its last user lets go of it.

    So no thread closes it under another's reading.
    """

    __slots__ = ("_descriptor", "_touched", "identity", "slots")

    def __init__(self, descriptor: int, identity: bytes, slots: list[Slot | None]) -> None:
        self._descriptor = descriptor
        self._touched = float("-inf")
        self.identity = identity
        self.slots = slots

    def __del__(self) -> None:
        os.close(self._descriptor)

    @classmethod
    def open(cls, path: Path, identity: bytes) -> Self | None:
        """The segment; None where there is none of that identity."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            slots = read_slots(descriptor, identity)
        except OSError:
            slots = None
        if slots is None:
            os.close(descriptor)
            return None
        return cls(descriptor, identity, slots)

    def read(self, position: int, allocate: Callable[[bytes, int], F]) -> F | None:
        """A frame; None where there was none, or what is there is not what was written."""
        slot = self.slots[position]
        if slot is None:
            return None
        frame = allocate(slot.tag, slot.size_bytes)
        try:
            if not read_frame(self._descriptor, slot, frame.buffer):
                return None
        except OSError:  # a bad sector, a file handle gone stale: the video is still there
            return None
        self._touch()
        return frame

    def _touch(self) -> None:
        now = time.monotonic()
        if now - self._touched > _TOUCH_SECONDS:
            self._touched = now
            with contextlib.suppress(OSError):  # somebody else's, or a folder that is only read
                os.utime(self._descriptor)


class OpenSegments:
    """Some that were used last. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._segments: OrderedDict[Path, OpenSegment] = OrderedDict()

    def find(self, path: Path, identity: bytes) -> OpenSegment | None:
        """The segment, if it is open, as it was then."""
        with self._lock:
            segment = self._segments.get(path)
            if segment is None or segment.identity != identity:
                return None
            self._segments.move_to_end(path)
            return segment

    def open(self, path: Path, identity: bytes) -> OpenSegment | None:
        """The segment as it is now."""
        segment = OpenSegment.open(path, identity)
        with self._lock:
            if segment is None:
                self._segments.pop(path, None)
            else:
                self._segments[path] = segment
                self._segments.move_to_end(path)
                if len(self._segments) > _MOST_OPEN:
                    self._segments.popitem(last=False)
        return segment

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            self._segments.clear()
