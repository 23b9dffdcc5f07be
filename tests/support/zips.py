"""Zips for tests: as everybody writes them, and bytes of their headers changed by hand."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"

# Offsets of fields in a directory's record, and in the entry's own header.
FLAGS, METHOD, CRC, COMPRESSED_BYTES, SIZE_BYTES = 8, 10, 16, 20, 24
OFFSET, NAME = 42, 46
LOCAL_FLAGS, LOCAL_METHOD, LOCAL_CRC, LOCAL_SIZE_BYTES, LOCAL_NAME = 6, 8, 14, 22, 30


def make_zip(
    files: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED, level: int = 1
) -> bytearray:
    """A zip of these entries, in this order; a name may be there twice."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression, compresslevel=level) as archive:
        for name, data in files:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            if name in archive.NameToInfo:
                del archive.NameToInfo[name]  # else it warns
            archive.writestr(info, data)
    return bytearray(written.getvalue())


def changed(
    data: bytearray, signature: bytes, offset: int, value: bytes | int, *, nth: int = 0
) -> bytearray:
    """The same with a field of the n-th header of a kind replaced; numbers have four bytes."""
    place = -1
    for _ in range(nth + 1):
        place = data.index(signature, place + 1)
    new = struct.pack("<I", value) if isinstance(value, int) else value
    copy = bytearray(data)
    copy[place + offset : place + offset + len(new)] = new
    return copy


def stored(path: Path, data: bytes | bytearray) -> Path:
    """The path, with these bytes."""
    path.write_bytes(data)
    return path


def noise(n_bytes: int, seed: int = 0, levels: int = 256) -> bytes:
    """Bytes that compress little, or with fewer levels somewhat."""
    return np.random.default_rng(seed).integers(0, levels, n_bytes, np.uint8).tobytes()
