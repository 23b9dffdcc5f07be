"""Decompression that nobody asked for: whole, in bounded pieces, or not at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.fetch.inflater import Inflater

MIB = 1 << 20


def inflated(pieces: Iterable[bytes]) -> list[bytes]:
    """What comes out when so much arrives at a time."""
    inflater = Inflater()
    out = []
    for piece in pieces:
        inflater.put(piece)
        while some := inflater.take():
            out.append(some)
    inflater.end()
    return out


def in_pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), CUTS, st.booleans())
def test_whatever_arrives_at_a_time(members: list[bytes], cuts: list[int], as_zlib: bool) -> None:
    compress = zlib.compress if as_zlib else gzip.compress
    packed = b"".join(map(compress, members))
    assert b"".join(inflated(in_pieces(packed, cuts))) == b"".join(members)


@given(st.binary(min_size=1, max_size=300), CUTS, st.data())
def test_a_stream_that_ends_early_is_no_stream(
    body: bytes, cuts: list[int], data: st.DataObject
) -> None:
    packed = gzip.compress(body)
    packed = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with pytest.raises(zlib.error, match="ends in the middle"):
        inflated(in_pieces(packed, cuts))


@given(st.binary(min_size=1, max_size=300), CUTS)
def test_garbage_is_an_error(data: bytes, cuts: list[int]) -> None:
    if data[0] & 0x0F == 8 or data.startswith((b"\x1f", b"\x1f\x8b")):
        data = b"\xff" + data  # what could begin a stream
    with pytest.raises(zlib.error):
        inflated(in_pieces(data, cuts))


def test_a_flipped_bit_is_an_error() -> None:
    packed = bytearray(gzip.compress(bytes(range(256)) * 40))
    packed[len(packed) // 2] ^= 1
    with pytest.raises(zlib.error):
        inflated([bytes(packed)])


def test_no_piece_is_larger_than_a_mib_whatever_the_ratio() -> None:
    """10 kB that are 10 MiB, and a size that is a multiple of a piece."""
    for size_bytes in (10 * MIB, 10 * MIB + 5, MIB):
        packed = gzip.compress(bytes(size_bytes))
        assert len(packed) < 20_000
        out = inflated([packed])
        assert max(map(len, out)) <= MIB
        assert sum(map(len, out)) == size_bytes
