"""Encoded frames of many videos on disk, within a limit, shared by processes. Blocking.

``{folder}/{key}/{segment number}.frames``: a folder for each video, a file for 64 frames. Readers
take no locks; writers take turns. What is read is what was written under the same identity of the
source, or it is nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TypeVar

from nersemble_async.cache.disk import disk_error, write_all
from nersemble_async.cache.forking import reset_on_fork
from nersemble_async.cache.frame_segment import (
    DATA_OFFSET,
    MAX_IDENTITY_BYTES,
    SEGMENT_FRAMES,
    TAG_BYTES,
    append_frame,
    clear_slot,
    empty_segment,
    read_slots,
)
from nersemble_async.cache.frame_space import (
    SEGMENT_SUFFIX,
    FrameSpace,
    list_segments,
    open_pin,
    remove_segment,
)
from nersemble_async.cache.open_segments import FrameBytes, OpenSegment, OpenSegments

F = TypeVar("F", bound=FrameBytes)


class FrameStore:
    """The frames in one folder. Any thread may call any method; a fork is no harm.

    Making it creates nothing; the first write does.

    Args:
        folder: of its own.
        limit_bytes: of all segments together; None: no limit.
    """

    def __init__(self, folder: Path, limit_bytes: int | None = None) -> None:
        self.folder = folder
        self._space = FrameSpace(folder, limit_bytes)
        self._pins: dict[str, tuple[int, int]] = {}
        self._segments = OpenSegments()
        self._pins_lock = threading.Lock()
        reset_on_fork(self)

    def reset_in_child(self) -> None:
        """Let go of what a fork copied; pins stay the parent's."""
        self._segments = OpenSegments()
        self._space.reset_in_child()
        self._pins_lock = threading.Lock()
        for descriptor, _ in self._pins.values():
            os.close(descriptor)
        self._pins = {}

    def close(self) -> None:
        """Close every file but those of pins; a later call opens what it needs again."""
        self._segments.close()
        self._space.close()

    # ---- reading ------------------------------------------------------------------------------

    def read(
        self, key: str, identity: bytes, frame_index: int, allocate: Callable[[bytes, int], F]
    ) -> F | None:
        """A frame; None where it is not stored, damaged, or of another source.

        Args:
            key: of the video: its relative path.
            identity: of the source's content and of the codec.
            frame_index: from 0.
            allocate: makes, for a tag and a number of bytes, what the frame is read into.

        Raises:
            ValueError: the key is no relative path.
        """
        number, position = divmod(frame_index, SEGMENT_FRAMES)
        path = self._path(key, number)
        segment = self._segments.find(path, identity)
        frame = None if segment is None else segment.read(position, allocate)
        if frame is not None:
            return frame
        # Not seen yet, or written, evicted, replaced since.
        segment = self._segments.open(path, identity)
        if segment is None:
            return None
        frame = segment.read(position, allocate)
        if frame is None:
            self._discard(path, identity, position, segment)
        return frame

    def stored(self, key: str, identity: bytes) -> list[int]:
        """Which frames of a video are stored, ascending; whether they are whole shows `read`."""
        found = []
        for path in self._video(key).glob(f"*{SEGMENT_SUFFIX}"):
            if path.stem.isdecimal():
                segment = OpenSegment.open(path, identity)
                slots = [] if segment is None else segment.slots
                first = int(path.stem) * SEGMENT_FRAMES
                found += [first + at for at, slot in enumerate(slots) if slot is not None]
        return sorted(found)

    def used_bytes(self) -> int:
        """Of all segments, by a look at each."""
        return sum(segment.size_bytes for segment in list_segments(self.folder))

    def _video(self, key: str) -> Path:
        path = PurePosixPath(key)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{key!r} is no relative path of a video")
        return self.folder / path

    def _path(self, key: str, number: int) -> Path:
        return self._video(key) / f"{number:06d}{SEGMENT_SUFFIX}"

    # ---- writing ------------------------------------------------------------------------------

    def put(
        self, key: str, identity: bytes, frame_index: int, tag: bytes, frame: memoryview
    ) -> bool:
        """Store a frame; one that is there already stays.

        Returns:
            False: the limit leaves no room for it, as everything else is pinned.

        Raises:
            DiskFullError: it was not stored.
            CacheError: the folder cannot be written to, or has no locks.
        """
        if len(tag) != TAG_BYTES or len(identity) > MAX_IDENTITY_BYTES:
            raise ValueError(f"a tag has {TAG_BYTES} bytes, an identity at most 1024")
        number, position = divmod(frame_index, SEGMENT_FRAMES)
        path = self._path(key, number)
        try:
            with self._space.held():
                return self._put(path, identity, position, tag, frame)
        except OSError as error:
            raise disk_error(str(self.folder), error) from error

    def _put(
        self, path: Path, identity: bytes, position: int, tag: bytes, frame: memoryview
    ) -> bool:
        with _writable(path) as descriptor:
            slots = None if descriptor is None else read_slots(descriptor, identity)
            if slots is not None and slots[position] is not None:
                return True
            if descriptor is not None and slots is None:
                self._space.add(-os.fstat(descriptor).st_size)
                remove_segment(path)  # of a source that changed, or damaged
        size_bytes = len(frame) + (DATA_OFFSET if slots is None else 0)
        if not self._space.make_room(size_bytes, keep=path):
            return False
        # Counted first: a kill makes the count too high, never too low.
        self._space.add(size_bytes)
        try:
            with _writable(path, is_new=slots is None) as descriptor:
                if descriptor is None:  # removed by hand a moment ago
                    raise FileNotFoundError(path)
                if slots is None:
                    write_all(descriptor, 0, empty_segment(identity))
                append_frame(descriptor, position, tag, frame)
        except OSError:
            if slots is None:
                remove_segment(path)
            self._space.add(-size_bytes)
            raise
        return True

    def look_for_room(self) -> None:
        """Have the next `put` look for something to evict, however lately another found nothing."""
        self._space.look_for_room()

    def discard(self, key: str, identity: bytes, frame_index: int) -> None:
        """Forget a frame that its codec does not understand; failing is no error."""
        number, position = divmod(frame_index, SEGMENT_FRAMES)
        path = self._path(key, number)
        self._discard(path, identity, position, self._segments.open(path, identity))

    def _discard(
        self, path: Path, identity: bytes, position: int, seen: OpenSegment | None
    ) -> None:
        """Forget a damaged frame, so that it can be stored again."""
        if seen is None or seen.slots[position] is None:
            return
        with contextlib.suppress(OSError), self._space.held(), _writable(path) as descriptor:
            slots = None if descriptor is None else read_slots(descriptor, identity)
            if descriptor is not None and slots and slots[position] == seen.slots[position]:
                clear_slot(descriptor, position)

    @contextmanager
    def pin(self, key: str) -> Iterator[None]:
        """Keep a video's frames from being evicted, by any process, while the context lasts.

        Where the folder cannot be written to, nothing is pinned.
        """
        with self._pins_lock:
            process = os.getpid()
            descriptor, users = self._pins.get(key, (-1, 0))
            if users == 0:
                with contextlib.suppress(OSError):
                    descriptor = open_pin(self._video(key))
            if descriptor >= 0:
                self._pins[key] = descriptor, users + 1
        try:
            yield
        finally:
            if descriptor >= 0 and process == os.getpid():
                self._unpin(key)

    def _unpin(self, key: str) -> None:
        with self._pins_lock:
            descriptor, users = self._pins[key]
            if users > 1:
                self._pins[key] = descriptor, users - 1
            else:
                del self._pins[key]
                os.close(descriptor)


@contextmanager
def _writable(path: Path, *, is_new: bool = False) -> Iterator[int | None]:
    """A descriptor for reading and writing; None where there is no such file."""
    flags = os.O_RDWR | os.O_CLOEXEC
    if is_new:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags |= os.O_CREAT | os.O_TRUNC
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)
