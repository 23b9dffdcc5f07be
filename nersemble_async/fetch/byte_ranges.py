"""How a file is cut into requests, and what a Content-Range says (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nersemble_async.cache.block_checksums import BLOCK_BYTES
from nersemble_async.cache.extents import ByteRange

MIB = 1 << 20
_BUSY_SPAN_BYTES = 64 * MIB
_MIN_SPAN_BYTES = 4 * MIB
_MAX_IDLE_SPAN_BYTES = 16 * MIB
_SPANS_PER_CONNECTION = 4

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """A parsed Content-Range header."""

    sent: ByteRange | None
    """The bytes in the body; None for ``bytes */N`` (with status 416)."""
    size_bytes: int | None
    """Of the whole representation; None where the server does not say (``/*``)."""


def parse_content_range(text: str) -> ContentRange:
    """``bytes 0-9/100`` → bytes 0 to 10 of 100 (RFC 9110 §14.4).

    Raises:
        ValueError: not a Content-Range, or one that contradicts itself.
    """
    match = _CONTENT_RANGE.fullmatch(text)
    if match is None:
        raise ValueError("not a Content-Range in bytes")
    first, last, total = match.groups()
    size = None if total == "*" else int(total)
    if first is None:
        return ContentRange(None, size)
    sent = ByteRange(int(first), int(last) + 1)
    if size is not None and sent.stop > size:
        raise ValueError("a range beyond the size it states")
    return ContentRange(sent, size)


def range_header(wanted: ByteRange) -> str:
    """The Range header that asks for it."""
    return f"bytes={wanted.start}-{wanted.stop - 1}"


def first_span_bytes(connections: int, files_waiting: int) -> int:
    """How much the first request for a file of unknown size asks for.

    With enough other files waiting no connection can idle: then a file comes in one request
    unless it is large. Otherwise a short first answer tells the size soon, and the rest is shared.
    """
    return _BUSY_SPAN_BYTES if files_waiting >= connections else _MIN_SPAN_BYTES


def cut_ranges(missing: list[ByteRange], connections: int, files_waiting: int) -> list[ByteRange]:
    """Cut what is missing into requests: disjoint, in order, together exactly ``missing``.

    Cuts lie on block boundaries, so that two requests never share a block.
    """
    total = sum(map(len, missing))
    if files_waiting >= connections:
        span = _BUSY_SPAN_BYTES
    else:
        fair_share = total // (connections * _SPANS_PER_CONNECTION)
        span = min(max(fair_share, _MIN_SPAN_BYTES), _MAX_IDLE_SPAN_BYTES)
    span = max(span // BLOCK_BYTES, 1) * BLOCK_BYTES
    pieces: list[ByteRange] = []
    for gap in missing:
        start = gap.start
        while start < gap.stop:
            stop = min((start + span) // BLOCK_BYTES * BLOCK_BYTES, gap.stop)
            pieces.append(ByteRange(start, stop))
            start = stop
    return pieces
