"""Landmarks from and to the bytes of an .npy; nothing is ever unpickled.

Source of the format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import io
import math

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4, (3, 0): 4}
_KEYS = ("descr", "shape", "fortran_order")
_MOST_HEADER_BYTES = 10_000
_MOST_AXES = 32
_ZIP = b"PK"


def landmarks_bytes(landmarks: npt.NDArray[np.generic]) -> bytes:
    """What `np.save` writes of it.

    Raises:
        ValueError: it holds Python objects.
    """
    file = io.BytesIO()
    np.save(file, landmarks, allow_pickle=False)
    return file.getvalue()


def parse_landmarks(data: bytes, name: str) -> npt.NDArray[np.generic]:
    """What `np.load` reads of it, whatever its shape and type; ``name`` is for messages.

    Bytes after the array are passed over, as `np.load` does. The array is a view of ``data``.

    Raises:
        DecodeError: no .npy, truncated, or with Python objects (they could run code when loaded).
    """
    try:
        dtype, shape, is_fortran, offset = _header(data)
        needed = math.prod(shape) * dtype.itemsize
        if needed > len(data) - offset:
            raise ValueError(  # noqa: TRY301 -- told as the other faults
                f"its shape {shape} needs {needed} bytes, {len(data) - offset} are there"
            )
        if needed == 0:
            return np.empty(shape, dtype)
        flat = np.frombuffer(data, dtype, math.prod(shape), offset)
        return flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise DecodeError(name, f"the landmarks do not parse: {error}") from None


def _header(data: bytes) -> tuple[np.dtype[np.generic], tuple[int, ...], bool, int]:
    """Type, shape, whether in Fortran's order, and where the numbers begin."""
    if data[:2] == _ZIP:
        raise ValueError("an .npz, not an .npy: write it with np.save")
    length_bytes = _LENGTH_BYTES.get((data[6], data[7])) if data[7:8] else None
    if not data.startswith(_MAGIC) or length_bytes is None:
        raise ValueError("no .npy file: write it with np.save")
    start = len(_MAGIC) + 2 + length_bytes
    header_bytes = int.from_bytes(data[len(_MAGIC) + 2 : start], "little")
    text = data[start : start + header_bytes]
    if len(data) < start or len(text) < header_bytes or header_bytes > _MOST_HEADER_BYTES:
        raise ValueError(f"its header of {header_bytes} bytes is too long or cut off")
    try:
        header = ast.literal_eval(text.decode("utf-8" if data[6] == 3 else "latin-1"))  # noqa: PLR2004 -- the version
        descr, shape, is_fortran = (header.pop(key) for key in _KEYS)
    except (SyntaxError, MemoryError, RecursionError, AttributeError, KeyError, TypeError):
        raise ValueError("its header is broken") from None
    if header:
        raise ValueError("its header is broken")
    try:
        dtype: np.dtype[np.generic] = np.lib.format.descr_to_dtype(descr)
    except Exception:  # noqa: BLE001 -- of broken descriptions NumPy raises whatever comes
        raise ValueError(f"its type is unknown: {str(descr)[:40]}") from None
    if dtype.hasobject:
        raise ValueError("it holds pickled Python objects, which could run code when loaded")
    if not dtype.itemsize or dtype.subdtype is not None:
        raise ValueError(f"it holds {str(descr)[:40]}, not numbers")
    if not (
        isinstance(shape, tuple)
        and len(shape) <= _MOST_AXES
        and all(type(length) is int and 0 <= length < 1 << 62 for length in shape)
        and isinstance(is_fortran, bool)
    ):
        raise ValueError("its shape is broken")
    return dtype, shape, is_fortran, start + header_bytes
