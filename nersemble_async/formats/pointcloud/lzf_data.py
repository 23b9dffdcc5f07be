"""LZF, the compression of PCD's ``binary_compressed``: liblzf, as python-neo-lzf brings it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

import lzf  # type: ignore[import-not-found,unused-ignore]  # a C extension without stubs
import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError

Bytes = npt.NDArray[np.uint8]


def decompress_lzf(data: Bytes, expected_bytes: int, path: Path) -> Bytes:
    """Decompress the whole of ``data`` to exactly ``expected_bytes``; ``path`` is for messages.

    Both are C-contiguous and shorter than 4 GiB. liblzf checks its bounds: it reads neither
    behind its input nor before its output's first byte, and never writes past the last.
    The caller has made sure that the data can hold that many bytes (`LZF_MAX_RATIO`): they are
    allocated at once.

    Raises:
        DecodeError: the data is damaged or holds another number of bytes.
    """
    if len(data) == expected_bytes == 0:
        return np.empty(0, np.uint8)
    # liblzf would read the first byte where there is none, and its 0 stands for failures too.
    if len(data) and expected_bytes:
        decompressed = (_library_function() or _extension_function)(data, expected_bytes)
        if len(decompressed) == expected_bytes:
            return decompressed
    raise DecodeError(
        str(path), f"the LZF data is damaged or does not hold its {expected_bytes} bytes"
    )


def _extension_function(data: Bytes, expected_bytes: int) -> Bytes:
    """By the extension's own call, which copies twice and holds the GIL; empty if it fails."""
    try:
        decompressed = lzf.decompress(data.tobytes(), expected_bytes)
    except ValueError:
        decompressed = None
    return np.frombuffer(decompressed or b"", np.uint8)


@cache
def _library_function() -> Callable[[Bytes, int], Bytes] | None:
    """By the C function inside the extension, where the platform exports it.

    It decompresses right into an array (NumPy asks for huge pages: a third of the time of the
    extension's call were page faults), and ctypes lets other threads run meanwhile: an event
    loop does not stand still for the 15 ms of a large cloud.
    """
    try:
        function = ctypes.CDLL(lzf.__file__).lzf_decompress
    except (OSError, AttributeError):
        return None
    # unsigned lzf_decompress(const void *in, unsigned in_len, void *out, unsigned out_len):
    # the bytes written, 0 for every failure.
    function.argtypes = (ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_uint)
    function.restype = ctypes.c_uint

    def decompress(data: Bytes, expected_bytes: int) -> Bytes:
        output = np.empty(expected_bytes, np.uint8)
        n_bytes = function(data.ctypes.data, len(data), output.ctypes.data, expected_bytes)
        return output[:n_bytes]

    return decompress
