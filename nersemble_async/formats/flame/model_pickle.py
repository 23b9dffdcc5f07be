"""Arrays out of FLAME's pickled files, without loading the pickles: no code of theirs ever runs.

The files were written over ten years by NumPy 1 and 2, Python 2 and 3, with SciPy's sparse
matrices and chumpy's objects among the arrays. None of these packages takes part: their pickled
forms are read as data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.flame.pickle_machine import Made, Symbol, take_apart

Array = npt.NDArray[np.generic]

_MAX_FILE_BYTES = 1 << 29
"""FLAME 2023 in float64 has some 50 MB, written as protocol 0 text up to four times that."""
_MAX_DENSE_ELEMENTS = 1 << 24
_MAX_VALUES = 100_000
_MAX_DIMENSIONS = 8
_NUMERIC = re.compile(r"[<>|=]?[biuf][1248]")
_ORDERS = ("<", ">", "=", "|")
_OBJECTS = re.compile(r"\|?O[48]?")
_LATIN_1 = ("latin1", "latin-1")

_NUMPY_PACKAGES = ("numpy.core", "numpy._core")
_RECONSTRUCT = {Symbol(f"{package}.multiarray", "_reconstruct") for package in _NUMPY_PACKAGES}
_SCALAR = {Symbol(f"{package}.multiarray", "scalar") for package in _NUMPY_PACKAGES}
_FROM_BUFFER = {Symbol(f"{package}.numeric", "_frombuffer") for package in _NUMPY_PACKAGES}
_DTYPE, _NDARRAY = Symbol("numpy", "dtype"), Symbol("numpy", "ndarray")
_ENCODE = Symbol("_codecs", "encode")
_BYTE_TYPES, _OTHER_TYPES = (
    {Symbol(module, name) for module in ("builtins", "__builtin__") for name in names}
    for names in (("bytes", "bytearray"), ("object", "set", "frozenset"))
)
_RECONSTRUCTOR = {Symbol(module, "_reconstructor") for module in ("copyreg", "copy_reg")}
_PLAIN = {
    *_RECONSTRUCT,
    *_SCALAR,
    *_FROM_BUFFER,
    _DTYPE,
    _NDARRAY,
    _ENCODE,
    *_BYTE_TYPES,
    *_OTHER_TYPES,
    *_RECONSTRUCTOR,
}
_SPARSE = re.compile(r"scipy\.sparse\._?(csc|csr)\.(csc|csr)_(matrix|array)")


def read_pickled_arrays(path: Path, names: Iterable[str]) -> dict[str, Array]:
    """The arrays that a pickled dict holds under these names; its other members are ignored.

    Sparse matrices come dense, chumpy's objects as the arrays that they hold.

    Args:
        path: a pickle (``.pkl``), or an ``.npy`` of one pickled dict.
        names: the members that are wanted.

    Raises:
        DecodeError: no such file, a member is missing or not numeric, or the pickle names
            something to load that no FLAME file needs; it says what.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise DecodeError(str(path), f"more than {_MAX_FILE_BYTES} bytes, which no FLAME file has")
    try:
        if data.startswith(b"\x93NUMPY"):
            content = _only_element(take_apart(_npy_payload(data), _is_allowed))
        else:
            content = take_apart(data, _is_allowed)
        if not isinstance(content, dict):
            raise ValueError("no dict of arrays")  # noqa: TRY004, TRY301  # about bytes, not types
        arrays: dict[str, Array] = {}
        for name in names:
            if name not in content:
                raise ValueError(f"it lacks {name}")  # noqa: TRY301 -- one handler names the file
            arrays[name] = _member(name, content[name])
    except (ValueError, MemoryError) as error:
        raise DecodeError(str(path), str(error) or "too large for the memory") from None
    return arrays


def _is_allowed(symbol: Symbol) -> bool:
    if symbol in _PLAIN or _SPARSE.fullmatch(str(symbol)):
        return True
    return symbol.module == "chumpy" or symbol.module.startswith("chumpy.")


def _npy_payload(data: bytes) -> bytes:
    """The pickle behind the header of an npy of one object."""
    length_size_bytes = 2 if data[6:7] == b"\x01" else 4
    start = 8 + length_size_bytes
    end = start + int.from_bytes(data[8:start], "little")
    header = data[start:end].replace(b" ", b"")
    if b"'descr':'|O'" not in header or b"'shape':()" not in header:
        raise ValueError(f"an npy of {header[:100]!r}, not of one dict")
    return data[end:]


def _only_element(value: object) -> object:
    """What an array of shape () and dtype object holds."""
    if isinstance(value, Made) and value.symbol in _RECONSTRUCT:
        match value.state:
            case (_, (), Made(symbol=symbol, arguments=(str() as code, *_)), _, [element]):
                if symbol == _DTYPE and _OBJECTS.fullmatch(code):
                    return element
    raise ValueError("an npy without the dict that it promises")


def _member(name: str, value: object) -> Array:
    try:
        return _Arrays().of(value)
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{name} is no array ({type(error).__name__})") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class _Arrays:
    """Turns the values of a pickle that stand for one array into it, in bounded work.

    Lists can hold each other many times over: few bytes then describe endless numbers.
    """

    def __init__(self) -> None:
        self._n_left = _MAX_VALUES

    def of(self, value: object) -> Array:
        self._n_left -= 1
        if self._n_left < 0:
            raise ValueError("more values than any FLAME file has")
        if isinstance(value, list | tuple):
            return self._nested(value)
        if isinstance(value, int | float):
            number = np.array(value)
            if number.dtype == object:
                raise ValueError("a number of more than 64 bits")
            return number
        if isinstance(value, Made):
            return self._made(value)
        raise ValueError(f"no array but {type(value).__name__}")

    def _nested(self, value: list[object] | tuple[object, ...]) -> Array:
        parts = [self.of(part) for part in value]
        if not parts:
            return np.empty(0)
        if len({part.shape for part in parts}) > 1:
            raise ValueError("rows of different lengths")
        if len(parts) * parts[0].size > _MAX_DENSE_ELEMENTS:
            raise ValueError("more numbers than any FLAME file has")
        return np.stack(parts)

    def _made(self, value: Made) -> Array:
        symbol, state = value.symbol, value.state
        if symbol in _RECONSTRUCTOR:  # how protocols 0 and 1 make any object
            symbol = next((part for part in value.arguments if isinstance(part, Symbol)), symbol)
        if isinstance(state, dict):
            if symbol.module.startswith("scipy."):
                return self._dense(symbol.name[:3], state)
            if symbol.module.startswith("chumpy"):
                return self._chumpy_result(symbol, state)
        match (state, value.arguments):
            case ((_, shape, dtype, fortran, content), _) if symbol in _RECONSTRUCT:
                return _shaped(content, dtype, shape, "F" if fortran else "C")
            case (_, (content, dtype, shape, ("C" | "F") as order)) if symbol in _FROM_BUFFER:
                return _shaped(content, dtype, shape, order)
            case (_, (dtype, content)) if symbol in _SCALAR:
                return _shaped(content, dtype, (), "C")
        raise ValueError(f"a {symbol} in a form that is not known")

    def _dense(self, form: str, state: dict[object, object]) -> Array:
        """A compressed sparse matrix written out; entries of one place are added up."""
        match self.of(state.get("_shape", state.get("shape"))).tolist():
            case (int() as n_rows, int() as n_columns) if min(n_rows, n_columns) >= 0:
                pass
            case _:
                raise ValueError("a sparse matrix without a shape")
        if n_rows * n_columns > _MAX_DENSE_ELEMENTS:
            raise ValueError(f"a sparse matrix of {n_rows} × {n_columns}")
        data, indices, pointers = (
            self.of(state.get(name)) for name in ("data", "indices", "indptr")
        )
        n_major, n_minor = (n_columns, n_rows) if form == "csc" else (n_rows, n_columns)
        if indices.dtype.kind not in "iu" or pointers.dtype.kind not in "iu":
            raise ValueError("a sparse matrix whose indices are no integers")
        starts = pointers.astype(np.int64)
        if (
            data.ndim != 1
            or data.shape != indices.shape
            or starts.shape != (n_major + 1,)
            or starts[0] != 0
            or starts[-1] != len(data)
            or (np.diff(starts) < 0).any()
            or (len(indices) and not 0 <= indices.min() <= indices.max() < n_minor)
        ):
            raise ValueError("a sparse matrix whose indices contradict its shape")
        dense = np.zeros((n_major, n_minor), data.dtype)
        major = np.repeat(np.arange(n_major), np.diff(starts))
        np.add.at(dense, (major, indices.astype(np.int64)), data)
        return dense.T if form == "csc" else dense

    def _chumpy_result(self, symbol: Symbol, state: dict[object, object]) -> Array:
        """``Ch(x)`` is x; ``Select(a, idxs, preferred_shape)`` picks from a in C order."""
        if "x" in state:
            return self.of(state["x"])
        if symbol.name != "Select":
            raise ValueError(f"a {symbol}, whose value would have to be computed")
        flat = self.of(state.get("a")).ravel()
        indices = self.of(state.get("idxs"))
        if indices.dtype.kind not in "iu":
            raise ValueError("a chumpy selection by other than integers")
        if indices.size and not -len(flat) <= indices.min() <= indices.max() < len(flat):
            raise ValueError("a chumpy selection beyond its array")
        selected = flat[indices.astype(np.int64)]
        wanted = state.get("preferred_shape")
        if wanted is None:
            return selected
        return selected.reshape([int(size) for size in self.of(wanted).ravel().tolist()])


def _shaped(content: object, dtype: object, shape: object, order: str) -> Array:
    """An array out of its bytes: sizes are compared before anything is made."""
    kind = _dtype(dtype)
    if not isinstance(shape, tuple) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("a broken shape")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError("a broken shape")
    data = _bytes(content)
    if math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes of data do not fill {kind} {shape}")
    flat = np.frombuffer(data, kind) if data else np.empty(0, kind)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _dtype(value: object) -> np.dtype[np.generic]:
    match value:
        case Made(symbol=symbol, arguments=(str() as code, *_), state=state) if symbol == _DTYPE:
            if not _NUMERIC.fullmatch(code):
                raise ValueError(f"elements of type {code[:20]!r}, which are no numbers")
            match state:
                case (_, str() as byte_order, *_) if byte_order in _ORDERS:
                    return np.dtype(code).newbyteorder(byte_order)  # type: ignore[arg-type]
            return np.dtype(code)
    raise ValueError("a broken dtype")


def _bytes(value: object) -> bytes | bytearray:
    match value:
        case bytes() | bytearray():
            return value
        case str():  # Python 2's bytes
            return value.encode("latin-1")
        case Made(symbol=symbol, arguments=(str() as text, encoding)) if encoding in _LATIN_1:
            if symbol in {_ENCODE, *_BYTE_TYPES}:
                return text.encode("latin-1")
        case Made(symbol=symbol, arguments=()) if symbol in _BYTE_TYPES:
            return b""
        case Made(symbol=symbol, arguments=(content,)) if symbol in _BYTE_TYPES:
            return _bytes(content)
    raise ValueError("array data of an unknown form")
