"""Block checksums: which blocks there are, and how their checksums are written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cache.block_checksums import (
    BLOCK_BYTES,
    block_checksum,
    block_count,
    pack_checksums,
    unpack_checksums,
)


def test_it_is_xxh3_64() -> None:
    """The reference values of the algorithm's author for no bytes and for a buffer."""
    assert block_checksum(b"") == "2d06800538d394c2"
    assert block_checksum(b"abc") == block_checksum(memoryview(b"xabcx")[1:4]) == "78af5f94892f3950"


@pytest.mark.parametrize(
    ("size_bytes", "count"),
    [
        (0, 0),
        (1, 1),
        (BLOCK_BYTES - 1, 1),
        (BLOCK_BYTES, 1),
        (BLOCK_BYTES + 1, 2),
        (1500 * BLOCK_BYTES, 1500),
    ],
)
def test_block_count(size_bytes: int, count: int) -> None:
    assert block_count(size_bytes) == count


@given(st.lists(st.binary(max_size=8)))
def test_packed_and_unpacked(blocks: list[bytes]) -> None:
    checksums = [block_checksum(block) for block in blocks]
    packed = pack_checksums(checksums)
    assert len(packed) == 16 * len(blocks)
    assert unpack_checksums(packed) == checksums


@pytest.mark.parametrize("packed", ["0", "0" * 15, "0" * 17])
def test_a_wrong_length_is_refused(packed: str) -> None:
    with pytest.raises(ValueError, match="wrong length"):
        unpack_checksums(packed)
