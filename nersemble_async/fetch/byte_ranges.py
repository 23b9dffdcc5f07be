"""How a file is cut into requests (pure)."""

from __future__ import annotations

from nersemble_async.cache.block_checksums import BLOCK_BYTES
from nersemble_async.cache.extents import ByteRange

MIB = 1 << 20
_BUSY_SPAN_BYTES = 64 * MIB
_MIN_SPAN_BYTES = 4 * MIB
_MAX_IDLE_SPAN_BYTES = 16 * MIB
_SPANS_PER_CONNECTION = 4


def first_span_bytes(connections: int, waiting: int) -> int:
    """How much the first request for a file of unknown size asks for.

    With enough other requests waiting no connection can idle: then a file comes in one request
    unless it is large. Otherwise a short first answer tells the size soon, and the rest is shared.
    """
    return _BUSY_SPAN_BYTES if waiting >= connections else _MIN_SPAN_BYTES


def cut_ranges(missing: list[ByteRange], connections: int, waiting: int) -> list[ByteRange]:
    """Cut what is missing into requests: disjoint, in order, together exactly ``missing``.

    Cuts lie on block boundaries, so that two requests never share a block.
    """
    total = sum(map(len, missing))
    if waiting >= connections:
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
