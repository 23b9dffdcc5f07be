"""Whether an npz is whole: zip CRCs, npy headers, lengths; stdlib only, no arrays are made.

Source of the npy header: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import IO

from nersemble_async.errors import DecodeError

_MAX_MEMBERS = 256
_MAX_HEADER_BYTES = 4096
_MAX_MEMBER_BYTES = 1 << 31
_PIECE_BYTES = 1 << 18
_DESCR = re.compile(r"[<>|=]?([biufcSU])(\d{1,6})")
_UNICODE_CHARACTER_BYTES = 4

_BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    IndexError,
    # unsupported compression, and an encrypted member
    NotImplementedError,
    RuntimeError,
)


def check_npz(path: Path) -> None:
    """Check each member's CRC-32 and that its npy header fits its length, in pieces of 256 KiB.

    Members that hold Python objects (pickles) are refused: they could run code when loaded.

    Raises:
        DecodeError: not an npz, truncated, damaged, or with pickles.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if not 1 <= len(members) <= _MAX_MEMBERS:
                raise DecodeError(str(path), f"an npz with {len(members)} members")
            if len({member.filename for member in members}) != len(members):
                raise DecodeError(str(path), "npz has two members of one name")
            for member in members:
                _check_member(archive, member)
    except _BROKEN_ZIP as error:
        raise DecodeError(str(path), f"npz is damaged: {error}") from None


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    name = member.filename[:80]
    if not name.endswith(".npy"):
        raise ValueError(f"member {name!r} is no array")
    if member.file_size > _MAX_MEMBER_BYTES:
        raise ValueError(f"member {name!r} claims {member.file_size} bytes")
    with archive.open(member) as stream:
        header_bytes, data_bytes = _read_npy_header(stream, name)
        received_bytes = 0
        # zipfile compares the CRC when the member's end is read.
        while piece := stream.read(_PIECE_BYTES):
            received_bytes += len(piece)
    if received_bytes != data_bytes or header_bytes + data_bytes != member.file_size:
        raise ValueError(f"{name!r} needs {data_bytes} bytes of data and has {received_bytes}")


def _read_npy_header(stream: IO[bytes], name: str) -> tuple[int, int]:
    """Bytes of the header with its preamble, and bytes of data that it promises."""
    preamble = stream.read(8)
    if preamble[:6] != b"\x93NUMPY" or len(preamble) < len(b"\x93NUMPY") + 2:
        raise ValueError(f"{name!r} has no npy header")
    length_size_bytes = 2 if preamble[6] == 1 else 4
    length_bytes = int.from_bytes(stream.read(length_size_bytes), "little")
    if length_bytes > _MAX_HEADER_BYTES:
        raise ValueError(f"{name!r} has an npy header of {length_bytes} bytes")
    text = stream.read(length_bytes).decode("latin-1")
    try:
        header = ast.literal_eval(text.strip())
    except (SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise ValueError(f"{name!r} has a broken npy header") from error
    if not isinstance(header, dict):
        raise ValueError(f"{name!r} has a broken npy header")  # noqa: TRY004 -- about bytes, not types
    descr, shape = header.get("descr"), header.get("shape")
    match = _DESCR.fullmatch(descr) if isinstance(descr, str) else None
    if match is None:
        raise ValueError(f"{name!r} holds Python objects or an unknown type")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"{name!r} has a broken shape")
    element_bytes = int(match[2]) * (_UNICODE_CHARACTER_BYTES if match[1] == "U" else 1)
    data_bytes = element_bytes * math.prod(shape)
    return len(preamble) + length_size_bytes + length_bytes, data_bytes
