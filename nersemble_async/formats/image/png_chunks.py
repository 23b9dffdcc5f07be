"""Whether a PNG is whole: signature, chunk lengths, every CRC, IEND; stdlib only, no decoding.

Source of the format: https://www.w3.org/TR/png-3/#5DataRep
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from nersemble_async.errors import DecodeError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_HEAD = struct.Struct(">I4s")
_CRC_BYTES = 4
_IHDR_BYTES = 13
_MAX_CHUNK_BYTES = (1 << 31) - 1
_PIECE_BYTES = 1 << 18


def check_png(path: Path) -> None:
    """Check the chunk structure and each chunk's CRC-32, reading in pieces of 256 KiB.

    The compressed pixels are not inflated: the CRCs cover them.

    Raises:
        DecodeError: truncated, damaged, trailing bytes, or not a PNG.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        file_bytes = file.seek(0, 2)
        file.seek(0)
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise DecodeError(str(path), "not a PNG: wrong signature")
        expected_first, has_pixels = b"IHDR", False
        while True:
            head = file.read(_CHUNK_HEAD.size)
            if len(head) < _CHUNK_HEAD.size:
                raise DecodeError(str(path), "PNG is truncated: it ends before its IEND chunk")
            length_bytes, kind = _CHUNK_HEAD.unpack(head)
            end = file.tell() + length_bytes + _CRC_BYTES
            if length_bytes > _MAX_CHUNK_BYTES or end > file_bytes:
                raise DecodeError(str(path), f"PNG is truncated: chunk {kind!r} leaves the file")
            if expected_first and (kind != expected_first or length_bytes != _IHDR_BYTES):
                raise DecodeError(str(path), "PNG does not begin with an IHDR chunk")
            if _crc_of(file, kind, length_bytes) != file.read(_CRC_BYTES):
                raise DecodeError(str(path), f"PNG is damaged: wrong CRC in chunk {kind!r}")
            expected_first = b""
            has_pixels = has_pixels or kind == b"IDAT"
            if kind == b"IEND":
                break
        if not has_pixels:
            raise DecodeError(str(path), "PNG holds no pixels (no IDAT chunk)")
        if end != file_bytes:
            raise DecodeError(str(path), f"PNG has {file_bytes - end} bytes after its end")


def _crc_of(file: BinaryIO, kind: bytes, length_bytes: int) -> bytes:
    crc = zlib.crc32(kind)
    while length_bytes > 0:
        piece = file.read(min(length_bytes, _PIECE_BYTES))
        if not piece:
            break
        crc = zlib.crc32(piece, crc)
        length_bytes -= len(piece)
    return crc.to_bytes(_CRC_BYTES, "big")
