"""One file of the frame store: up to 64 consecutive frames of one video, in any order.

::

    0      header: magic, length and XXH3 of the identity, the identity
    4096   64 slots of 64 bytes: offset, length and XXH3 of a frame, its tag, XXH3 of the slot
    8192   frames, one behind the other in the order of their arrival

A frame is written before its slot. A slot is believed if its own checksum agrees, and a frame if
the slot's checksum of it does: whatever a crash or a power loss leaves is a missing frame, never
a wrong one.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

import xxhash

from nersemble_async.cache.disk import write_all

SEGMENT_FRAMES = 64
"""A whole one has 40 MB compressed, 170 MB raw: some hundred files for a participant."""

TAG_BYTES = 24
"""Of what the codec keeps beside a frame."""

MAX_IDENTITY_BYTES = 1024

_MAGIC = b"nrsfrm01"
_HEADER = struct.Struct("<8sIQ")
_SLOT = struct.Struct("<QQQ24s8x")
_SLOT_CHECKSUM = struct.Struct("<Q")
_SLOT_BYTES = _SLOT.size + _SLOT_CHECKSUM.size
_SLOTS_OFFSET = 4096
DATA_OFFSET = _SLOTS_OFFSET + SEGMENT_FRAMES * _SLOT_BYTES


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a frame lies in its segment."""

    offset: int
    size_bytes: int
    checksum: int
    """XXH3-64 of the frame."""
    tag: bytes
    """The codec's."""


def empty_segment(identity: bytes) -> bytes:
    """The first `DATA_OFFSET` bytes of a segment without frames.

    Args:
        identity: of the source and of the codec; frames are found under the same only.
    """
    header = _HEADER.pack(_MAGIC, len(identity), xxhash.xxh3_64_intdigest(identity))
    return (header + identity).ljust(DATA_OFFSET, b"\0")


def read_slots(descriptor: int, identity: bytes) -> list[Slot | None] | None:
    """Its `SEGMENT_FRAMES` slots, None where there is no frame.

    Returns:
        None: a segment of another identity, or a damaged one.
    """
    head = os.pread(descriptor, DATA_OFFSET, 0)
    if len(head) < DATA_OFFSET:
        return None
    expected = _HEADER.pack(_MAGIC, len(identity), xxhash.xxh3_64_intdigest(identity)) + identity
    if head[: len(expected)] != expected:
        return None
    end = os.fstat(descriptor).st_size
    return [_read_slot(head, position, end) for position in range(SEGMENT_FRAMES)]


def _read_slot(head: bytes, position: int, end: int) -> Slot | None:
    at = _SLOTS_OFFSET + position * _SLOT_BYTES
    fields = head[at : at + _SLOT.size]
    (checksum,) = _SLOT_CHECKSUM.unpack_from(head, at + _SLOT.size)
    # The seed tells a slot's place: one that was written elsewhere is none.
    if checksum != xxhash.xxh3_64_intdigest(fields, seed=position):
        return None
    slot = Slot(*_SLOT.unpack(fields))
    inside = slot.offset >= DATA_OFFSET and slot.offset + slot.size_bytes <= end
    return slot if inside else None


def read_frame(descriptor: int, slot: Slot, buffer: memoryview) -> bool:
    """Fill the buffer with a frame.

    Returns:
        False: what is there is not what was written.
    """
    done = 0
    while done < slot.size_bytes:
        read = os.preadv(descriptor, [buffer[done:]], slot.offset + done)
        if read == 0:
            return False
        done += read
    return bool(xxhash.xxh3_64_intdigest(buffer) == slot.checksum)


def append_frame(descriptor: int, position: int, tag: bytes, frame: memoryview) -> None:
    """Add a frame; whoever calls holds the store's lock.

    Raises:
        OSError: nothing was added, the disk is full.
    """
    end = max(os.fstat(descriptor).st_size, DATA_OFFSET)
    slot = Slot(end, len(frame), xxhash.xxh3_64_intdigest(frame), tag)
    try:
        write_all(descriptor, end, frame)
        _write_slot(descriptor, position, slot)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def _write_slot(descriptor: int, position: int, slot: Slot) -> None:
    fields = _SLOT.pack(slot.offset, slot.size_bytes, slot.checksum, slot.tag)
    checksum = xxhash.xxh3_64_intdigest(fields, seed=position)
    at = _SLOTS_OFFSET + position * _SLOT_BYTES
    write_all(descriptor, at, fields + _SLOT_CHECKSUM.pack(checksum))


def clear_slot(descriptor: int, position: int) -> None:
    """Forget a frame; whoever calls holds the store's lock."""
    write_all(descriptor, _SLOTS_OFFSET + position * _SLOT_BYTES, bytes(_SLOT_BYTES))
