"""The room that stored frames take: counted, limited, made by evicting what was used least lately.

One lock file for the whole store; who writes or removes anything holds it. It also contains the
bytes that all segments have, as far as they were counted: a kill can make it too high, by a frame,
and each eviction counts anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import xxhash

from nersemble_async.cache.disk import write_all
from nersemble_async.cache.locking import append_lock

SEGMENT_SUFFIX = ".frames"
PINS = "pins"
_LOCK = "usage"
_COUNT = struct.Struct("<QQ")
_TRIES_PASSED_OVER = 32
"""After one that found nothing to evict, so many others do not look."""


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A segment as the folder shows it."""

    path: Path
    size_bytes: int
    used_ns: int
    """When it was last read or written, to the minute: its modification time."""


def list_segments(folder: Path) -> list[SegmentFile]:
    """Every segment below a folder, the least recently used first."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if name.endswith(SEGMENT_SUFFIX):
                with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
                    stat = path.stat()
                    found.append(SegmentFile(path, stat.st_size, stat.st_mtime_ns))
    return sorted(found, key=lambda segment: segment.used_ns)


def remove_segment(path: Path) -> None:
    """Remove a segment and give its room back, also where readers have it open.

    They see a file that is too short, and look for another.
    """
    with contextlib.suppress(FileNotFoundError):
        os.truncate(path, 0)
        path.unlink()


class FrameSpace:
    """The room of one store. Any thread may use it, one at a time is inside `held`."""

    def __init__(self, folder: Path, limit_bytes: int | None) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._descriptor: int | None = None
        self.reset_in_child()

    def reset_in_child(self) -> None:
        """Let go of what a fork copied."""
        self._lock = threading.Lock()
        self._pass_over = 0
        self._close()

    def close(self) -> None:
        """Close the lock file; the next `held` opens it again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the store's lock against all threads and processes.

        Raises:
            OSError: the folder cannot be written to, or has no locks.
        """
        with self._lock:
            if self._descriptor is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._descriptor = os.open(self.folder / _LOCK, flags, 0o666)
            with append_lock(self._descriptor):
                yield

    def look_for_room(self) -> None:
        """Have the next `make_room` look, also where the last one found nothing to evict."""
        self._pass_over = 0

    # ---- while it is held ---------------------------------------------------------------------

    def used_bytes(self) -> int:
        """All segments, counted anew where the count is lost."""
        data = os.pread(self._held_descriptor(), _COUNT.size, 0)
        if len(data) == _COUNT.size:
            total, checksum = _COUNT.unpack(data)
            if checksum == xxhash.xxh3_64_intdigest(data[:8]):
                return int(total)
        return self._count(list_segments(self.folder))

    def add(self, size_bytes: int) -> None:
        """Count what is about to be written, or with a minus what was not or is no more."""
        self._write_count(max(0, self.used_bytes() + size_bytes))

    def make_room(self, size_bytes: int, keep: Path) -> bool:
        """Evict until so many bytes more are within the limit.

        Pinned videos are passed over, and so is the segment to be written to.

        Returns:
            False: there is nothing left to evict.
        """
        if self.limit_bytes is None or self.used_bytes() + size_bytes <= self.limit_bytes:
            return True
        if self._pass_over > 0:
            self._pass_over -= 1
            return False
        segments = list_segments(self.folder)
        total = self._count(segments)
        pinned: dict[Path, bool] = {}
        for segment in segments:
            if total + size_bytes <= self.limit_bytes:
                break
            if segment.path == keep:
                continue
            video = segment.path.parent
            if video not in pinned:
                pinned[video] = is_pinned(video)
            if not pinned[video]:
                remove_segment(segment.path)
                total -= segment.size_bytes
        self._write_count(total)
        fits = total + size_bytes <= self.limit_bytes
        self._pass_over = 0 if fits else _TRIES_PASSED_OVER
        return fits

    def _held_descriptor(self) -> int:
        if self._descriptor is None:
            raise ValueError("the store's lock is not held")
        return self._descriptor

    def _count(self, segments: list[SegmentFile]) -> int:
        total = sum(segment.size_bytes for segment in segments)
        self._write_count(total)
        return total

    def _write_count(self, total: int) -> None:
        data = total.to_bytes(8, "little")
        checksum = xxhash.xxh3_64_intdigest(data)
        write_all(self._held_descriptor(), 0, data + checksum.to_bytes(8, "little"))


def open_pin(video: Path) -> int:
    """Keep a video's segments from being evicted until the returned descriptor is closed.

    Raises:
        OSError: the folder cannot be written to, or has no locks.
    """
    video.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(video / PINS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_pinned(video: Path) -> bool:
    """Whether anybody has pinned it now."""
    try:
        descriptor = os.open(video / PINS, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
