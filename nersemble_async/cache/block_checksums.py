"""Checksums of a file's blocks: they find damage to the MiB, they are no evidence of origin.

XXH3 (64 bits) costs a fiftieth of a sha-256, so every block can have one beside the sha-256 of
the whole file, which alone decides whether the bytes are right.
"""

from __future__ import annotations

from collections.abc import Iterable

import xxhash

BLOCK_BYTES = 1 << 20
"""A block: the unit of writing, of the journal and of repair."""

_HEX_DIGITS = 16


def block_checksum(data: bytes | memoryview) -> str:
    """XXH3-64 of the bytes as 16 hex digits."""
    return xxhash.xxh3_64_hexdigest(data)


def block_count(size_bytes: int) -> int:
    """How many blocks a file of this size has (0 for an empty one)."""
    return -(-size_bytes // BLOCK_BYTES)


def pack_checksums(checksums: Iterable[str]) -> str:
    """One string for a record: 16 hex digits a block, in order."""
    return "".join(checksums)


def unpack_checksums(packed: str) -> list[str]:
    """The inverse of `pack_checksums`.

    Raises:
        ValueError: the length is no multiple of 16.
    """
    if len(packed) % _HEX_DIGITS:
        raise ValueError("block checksums of a wrong length")
    return [packed[i : i + _HEX_DIGITS] for i in range(0, len(packed), _HEX_DIGITS)]
