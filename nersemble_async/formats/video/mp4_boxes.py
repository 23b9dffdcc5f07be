"""Whether an mp4's boxes tile the file and its sample tables are sane; stdlib only.

A demuxer opens a truncated file whose index comes first, and may allocate what a hostile index
asks for: this looks before it does. Source of the format: ISO/IEC 14496-12 §4.2, §8.7.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nersemble_async.errors import DecodeError

_BOX_HEAD = struct.Struct(">I4s")
_SAMPLE_SIZES = struct.Struct(">III")
_MAX_MOOV_BYTES = 1 << 26
_MAX_BOXES = 10_000
_CONTAINERS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")
_FRAGMENTS = (b"moof", b"traf")
_MOST_SAMPLES = 1 << 20
"""Frames, hours of them. FFmpeg makes room for as many as a few bytes promise."""
_SAMPLE_COUNTS = {b"stsz": 8, b"stz2": 8, b"trun": 4}
"""Boxes that say how many samples there are, and after how many bytes."""
_COUNT_OFFSET, _LEAST_EDIT_BYTES = 4, 12
"""Of an edit list: after how many bytes it says how many edits follow, and how long one is."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies in the file."""

    kind: bytes
    """Four printable ASCII characters."""
    start: int
    """First byte of the body, after type and size."""
    end: int
    """First byte after the box."""


def check_boxes(path: Path) -> None:
    """Check the top-level boxes and the tables of sample sizes.

    Raises:
        DecodeError: truncated, not an mp4, or an index that promises more than the file holds.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        file_bytes = file.seek(0, 2)
        try:
            _walk(file, 0, file_bytes, file_bytes)
            check_promised_samples(file, iterate_boxes(file, 0, file_bytes))
        except ValueError as error:
            raise DecodeError(str(path), f"mp4: {error}") from None


def iterate_boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes that tile the bytes from ``start`` to ``end``, in order, not what is in them.

    Raises:
        ValueError: while iterating, at the first bytes that are no box or leave the span.
    """
    while start < end:
        box = _read_box_head(file, start, end)
        yield box
        start = box.end


def boxes_within(file: BinaryIO, boxes: Iterable[Box]) -> Iterator[Box]:
    """The boxes in containers among these, and in those, without recursion.

    Raises:
        ValueError: while iterating, as `iterate_boxes`.
    """
    known = (*_CONTAINERS, *_FRAGMENTS)
    waiting = [box for box in boxes if box.kind in known]
    while waiting:
        parent = waiting.pop()
        for box in iterate_boxes(file, parent.start, parent.end):
            yield box
            if box.kind in known:
                waiting.append(box)


def check_promised_samples(file: BinaryIO, boxes: Iterable[Box]) -> None:
    """Refuse an index, or fragments, that promise more frames than any video has.

    Each edit of an edit list may show all frames anew. A compressed index (``cmov``) may hold
    anything; no writer of today makes one.

    Raises:
        ValueError: they do, or a box within these is broken.
    """
    n_samples, most_edits = 0, 1
    for box in boxes_within(file, boxes):
        if box.kind in _SAMPLE_COUNTS:
            n_samples += _read_count(file, box.start + _SAMPLE_COUNTS[box.kind])
        elif box.kind == b"elst":
            room = (box.end - box.start) // _LEAST_EDIT_BYTES
            most_edits = max(most_edits, min(room, _read_count(file, box.start + _COUNT_OFFSET)))
        elif box.kind == b"cmov":
            raise ValueError("a compressed index (cmov box)")
    if n_samples * most_edits > _MOST_SAMPLES:
        shown = f", {most_edits:,} times" if most_edits > 1 else ""
        raise ValueError(f"the index promises {n_samples:,} frames{shown}")


def _read_count(file: BinaryIO, position: int) -> int:
    file.seek(position)
    return int.from_bytes(file.read(4), "big")


def _walk(file: BinaryIO, start: int, end: int, file_bytes: int) -> None:
    """Visit the boxes from ``start`` to ``end`` and in their containers, without recursion."""
    spans = [(start, end)]
    n_boxes, has_index = 0, False
    while spans:
        for box in iterate_boxes(file, *spans.pop()):
            n_boxes += 1
            if n_boxes > _MAX_BOXES:
                raise ValueError("more boxes than a video needs")
            if box.kind == b"moov":
                has_index = True
                if box.end - box.start > _MAX_MOOV_BYTES:
                    raise ValueError(f"an index of {box.end - box.start} bytes")
            if box.kind in _CONTAINERS:
                spans.append((box.start, box.end))
            elif box.kind == b"stsz":
                _check_sample_sizes(file, box, file_bytes)
    if not has_index:
        raise ValueError("no index (moov box): truncated, or not an mp4")


def _read_box_head(file: BinaryIO, position: int, end: int) -> Box:
    file.seek(position)
    head = file.read(min(_BOX_HEAD.size, end - position))
    if len(head) < _BOX_HEAD.size:
        raise ValueError("truncated in the middle of a box")
    size_bytes, kind = _BOX_HEAD.unpack(head)
    body = position + _BOX_HEAD.size
    if not kind.isascii() or not kind.decode("ascii").isprintable():
        raise ValueError(f"no box at byte {position}")
    if size_bytes == 0:
        size_bytes = end - position
    elif size_bytes == 1:
        size_bytes = int.from_bytes(file.read(8), "big")
        body += 8
    following = position + size_bytes
    if following < body or following > end:
        raise ValueError(f"truncated: box {kind.decode('ascii')!r} leaves the file")
    return Box(kind, body, following)


def _check_sample_sizes(file: BinaryIO, box: Box, file_bytes: int) -> None:
    file.seek(box.start)
    table = file.read(_SAMPLE_SIZES.size)
    if len(table) < _SAMPLE_SIZES.size or box.start + len(table) > box.end:
        raise ValueError("a broken table of sample sizes")
    _, sample_bytes, n_samples = _SAMPLE_SIZES.unpack(table)
    promised_bytes = n_samples * (sample_bytes or 4)
    room_bytes = file_bytes if sample_bytes else box.end - box.start - len(table)
    if promised_bytes > room_bytes:
        raise ValueError(f"the index promises {n_samples} frames, more than there is room for")
