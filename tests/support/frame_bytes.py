"""Frames of the store as plain bytes, for tests that need no pictures."""

from __future__ import annotations

from nersemble_async.cache.frame_segment import TAG_BYTES
from nersemble_async.cache.frame_store import FrameStore

TAG = bytes(range(TAG_BYTES))
SOURCE = b"1000 bytes of yesterday"
VIDEO = "nvs/017/EXP-1/cam_1.mp4"


class PlainFrame:
    """Read into a bytearray."""

    def __init__(self, tag: bytes, size_bytes: int) -> None:
        self.tag = tag
        self.data = bytearray(size_bytes)

    @property
    def buffer(self) -> memoryview:
        return memoryview(self.data)


def put(
    store: FrameStore,
    frame_index: int,
    data: bytes,
    *,
    key: str = VIDEO,
    identity: bytes = SOURCE,
) -> bool:
    return store.put(key, identity, frame_index, TAG, memoryview(data))


def read(
    store: FrameStore, frame_index: int, *, key: str = VIDEO, identity: bytes = SOURCE
) -> bytes | None:
    frame = store.read(key, identity, frame_index, PlainFrame)
    if frame is None:
        return None
    assert frame.tag == TAG
    return bytes(frame.data)
