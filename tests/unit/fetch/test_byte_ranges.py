"""How a file is cut into requests."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nersemble_async.cache.block_checksums import BLOCK_BYTES
from nersemble_async.cache.extents import ByteRange, ExtentSet
from nersemble_async.fetch.byte_ranges import MIB, cut_ranges, first_span_bytes

SIZES = st.integers(1, 5000 * MIB)
CONNECTIONS = st.integers(1, 64)
WAITING = st.integers(0, 5000)


@st.composite
def missing_parts(draw: st.DrawFn) -> list[ByteRange]:
    """What may lack of a file: gaps between extents that came earlier."""
    size = draw(SIZES)
    present = ExtentSet()
    for start in draw(st.lists(st.integers(0, size - 1), max_size=8)):
        present.add(start, min(start + draw(st.integers(1, 20 * MIB)), size))
    return present.missing(size)


TORN = [ByteRange(5, 100 * MIB + 7), ByteRange(150 * MIB - 3, 400 * MIB + 1)]
"""Gaps longer than any request, which begin and end inside of blocks."""


@example(TORN, 2, 0)
@example(TORN, 2, 2)
@given(missing_parts(), CONNECTIONS, WAITING)
def test_the_pieces_are_exactly_what_is_missing(
    missing: list[ByteRange], connections: int, waiting: int
) -> None:
    pieces = cut_ranges(missing, connections, waiting)
    assert all(one.stop <= two.start for one, two in pairwise(pieces)), "ordered and disjoint"
    union = ExtentSet()
    for piece in pieces:
        union.add(piece.start, piece.stop)
    assert list(union) == missing
    assert sum(map(len, pieces)) == sum(map(len, missing))


@example(TORN, 2, 0)
@example(TORN, 2, 2)
@given(missing_parts(), CONNECTIONS, WAITING)
def test_cuts_lie_between_blocks(missing: list[ByteRange], connections: int, waiting: int) -> None:
    """Two requests never share a block, but where a gap begins or ends inside of one."""
    edges = {gap.start for gap in missing} | {gap.stop for gap in missing}
    for piece in cut_ranges(missing, connections, waiting):
        for edge in (piece.start, piece.stop):
            assert edge % BLOCK_BYTES == 0 or edge in edges


@example(TORN, 2, 0)
@example(TORN, 2, 2)
@given(missing_parts(), CONNECTIONS, WAITING)
def test_pieces_are_neither_tiny_nor_huge(
    missing: list[ByteRange], connections: int, waiting: int
) -> None:
    """A request costs a round trip; a piece that is too long leaves other connections idle."""
    most_bytes = 64 * MIB if waiting >= connections else 16 * MIB
    gap_ends = {gap.stop for gap in missing}
    for piece in cut_ranges(missing, connections, waiting):
        assert len(piece) <= most_bytes
        assert len(piece) > 3 * MIB or piece.stop in gap_ends


def test_nothing_missing_nothing_asked() -> None:
    assert cut_ranges([], 8, 0) == []


@pytest.mark.parametrize(
    ("size", "connections", "waiting", "sizes"),
    [
        # Alone it is shared among the connections, in pieces of 4 to 16 MiB.
        (32 * MIB, 8, 0, [4 * MIB] * 8),
        (33 * MIB, 8, 0, [4 * MIB] * 8 + [MIB]),
        (320 * MIB, 8, 0, [10 * MIB] * 32),
        (3200 * MIB, 8, 0, [16 * MIB] * 200),
        (5 * MIB, 8, 7, [4 * MIB, MIB]),
        # With enough other files waiting it is only cut where it is large.
        (32 * MIB, 8, 8, [32 * MIB]),
        (65 * MIB, 8, 8, [64 * MIB, MIB]),
        (1, 1, 0, [1]),
    ],
)
def test_spans(size: int, connections: int, waiting: int, sizes: list[int]) -> None:
    assert list(map(len, cut_ranges([ByteRange(0, size)], connections, waiting))) == sizes


def test_the_first_request_is_short_where_others_would_idle() -> None:
    assert first_span_bytes(8, 0) == first_span_bytes(8, 7) == 4 * MIB
    assert first_span_bytes(8, 8) == first_span_bytes(1, 1) == 64 * MIB
    assert first_span_bytes(8, 0) % BLOCK_BYTES == 0
