"""FLAME's pickles are read as data: all the forms that exist, and nothing in them ever runs."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nersemble_async.errors import DecodeError
from nersemble_async.formats.flame import model_pickle
from nersemble_async.formats.flame.model_pickle import read_pickled_arrays
from nersemble_async.formats.flame.pickle_machine import take_apart
from tests.support.flame import Ch, Select, dumps_like_python_2, pretend_chumpy
from tests.support.official import run_official

RNG = np.random.default_rng(0)
ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "f8": RNG.normal(size=(5, 3)),
    "f4_fortran": np.asfortranarray(RNG.normal(size=(4, 3, 2)).astype(np.float32)),
    "big_endian": np.arange(6, dtype=">u4").reshape(2, 3),
    "i8": np.arange(4),
    "empty": np.empty((0, 3)),
    "truth": np.array([True, False]),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flame.pkl"


def assert_reads(path: Path, expected: dict[str, np.ndarray[Any, Any]]) -> None:
    arrays = read_pickled_arrays(path, expected)
    assert list(arrays) == list(expected)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name], strict=False)
        assert array.dtype.newbyteorder("=") == expected[name].dtype.newbyteorder("=")


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol(path: Path, protocol: int) -> None:
    path.write_bytes(pickle.dumps({**ARRAYS, "ignored": {"nested": (1, {2})}}, protocol))
    assert_reads(path, ARRAYS)


@pytest.mark.parametrize("protocol", range(3))
def test_arrays_written_by_python_2_and_numpy_1(path: Path, protocol: int) -> None:
    path.write_bytes(dumps_like_python_2(ARRAYS, protocol))
    assert b"_core" not in path.read_bytes()
    assert_reads(path, ARRAYS)


@pytest.mark.parametrize("protocol", range(6))
def test_lists_and_scalars(path: Path, protocol: int) -> None:
    content = {"rows": [[1, 2], (3, 4)], "mixed": [np.arange(2), [5, 6]], "one": np.float32(0.5)}
    path.write_bytes(pickle.dumps(content, protocol))
    assert_reads(path, {name: np.array(value) for name, value in content.items()})


@pytest.mark.parametrize("protocol", range(6))
def test_chumpy_objects(path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_chumpy(monkeypatch)
    x = RNG.normal(size=(3, 4))
    whole = Ch(x=x, _dirty_vars={"x"}, _itr=None)
    part = Select(a=whole, idxs=np.array([5, 0, 11, -1]), preferred_shape=(2, 2))
    path.write_bytes(pickle.dumps({"whole": whole, "part": part}, protocol))
    assert b"chumpy" in path.read_bytes()
    assert_reads(path, {"whole": x, "part": x.ravel()[[5, 0, 11, -1]].reshape(2, 2)})


def test_a_chumpy_expression_is_not_guessed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_chumpy(monkeypatch)
    path.write_bytes(pickle.dumps({"sum": Ch(a=np.ones(3), b=np.ones(3))}))
    with pytest.raises(DecodeError, match=r"sum: a chumpy\.ch\.Ch, whose value would have"):
        read_pickled_arrays(path, ["sum"])


def test_scipy_matrices_as_scipy_writes_them(tmp_path: Path) -> None:
    dense = run_official(
        "import pickle, numpy as np, scipy.sparse as sparse\n"
        "dense = np.random.default_rng(0).normal(size=(5, 40))\n"
        "dense[dense < 0.8] = 0\n"
        "forms = [sparse.csc_matrix, sparse.csr_matrix, sparse.csc_array, sparse.csr_array]\n"
        "for protocol in range(6):\n"
        "    content = {form.__name__: form(dense) for form in forms}\n"
        "    with open(f'{argument}/{protocol}.pkl', 'wb') as file:\n"
        "        pickle.dump(content, file, protocol)\n"
        "result = dense.tolist()\n",
        str(tmp_path),
    )
    names = ("csc_matrix", "csr_matrix", "csc_array", "csr_array")
    for protocol in range(6):
        assert_reads(tmp_path / f"{protocol}.pkl", dict.fromkeys(names, np.array(dense)))


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_an_npy_of_a_dict(path: Path, version: tuple[int, int]) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.array(ARRAYS, dtype=object), version)
    assert_reads(path, ARRAYS)


def _calls(function: Callable[..., object], *arguments: object) -> object:
    class Hostile:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return function, arguments

    return Hostile()


HOSTILE_CALLS: dict[str, tuple[Any, ...]] = {
    "system": (os.system, "touch PROOF"),
    "eval": (eval, "open('PROOF', 'w')"),
    "exec": (exec, "open('PROOF', 'w')"),
    "getattr": (getattr, os, "system"),
    "open": (open, "PROOF", "w"),
    "load": (np.load, "PROOF"),
    "lib": (np.lib.format.open_memmap, "PROOF", "w+", None, (1 << 40,)),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", HOSTILE_CALLS)
def test_no_call_is_made(
    tmp_path: Path, name: str, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function, *arguments = HOSTILE_CALLS[name]
    if name == "getattr":
        arguments = ["os", "system"]  # a module has no pickle
    value = {"v_template": np.ones(3), "hostile": _calls(function, *arguments)}
    path = tmp_path / "hostile.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    with pytest.raises(DecodeError, match="tries to load") as caught:
        read_pickled_arrays(path, ["v_template"])
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def _global(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


_RECONSTRUCT = _global("numpy._core.multiarray", "_reconstruct")
_NDARRAY = _global("numpy", "ndarray")
_F8 = _global("numpy", "dtype") + b"(X\x02\x00\x00\x00f8\x89\x88tR"


def _member(value: bytes) -> bytes:
    """{"a": value}"""
    return b"\x80\x02}X\x01\x00\x00\x00a" + value + b"s."


def _array_pickle(shape: bytes, dtype: bytes = _F8, data: bytes = b"C\x08" + bytes(8)) -> bytes:
    made = _RECONSTRUCT + b"(" + _NDARRAY + b"K\x00\x85C\x01btR"
    return _member(made + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb")


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


_HUGE = b"\x8a\x06" + bytes(5) + b"\x01"  # 2 ** 40
_ENDLESS_LIST = b"]q\x00" + b"h\x00a" * 2
_LAUGHS = b"]q\x00K\x01a" + b"".join(
    b"]" + bytes([ord("q"), level + 1]) + b"(" + bytes([ord("h"), level]) * 50 + b"e"
    for level in range(9)
)
_TUPLES = b"K\x01" + b"2\x86" * 500
_CSC = _global("scipy.sparse._csc", "csc_matrix") + b")\x81}(" + b"X\x06\x00\x00\x00_shape"

BROKEN = {
    "nothing": b"",
    "no pickle": b"\x89PNG\r\n\x1a\n",
    "a number": b"\x80\x02K\x01.",
    "cut short": pickle.dumps(ARRAYS, 2)[:-20],
    "stack of nothing": b"\x80\x02s.",
    "mark of nothing": b"\x80\x02t.",
    "memo of nothing": b"\x80\x02h\x05.",
    "memo beyond memory": b"\x80\x02Nr\xff\xff\xff\xff.",
    "bytes beyond memory": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b".",
    "frame beyond memory": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",
    "number of a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
    "persistent id": b"Pname\n.",
    "binary persistent id": b"\x80\x02K\x01Q.",
    "extension": b"\x80\x02\x82\x01.",
    "out-of-band buffer": b"\x80\x05\x97.",
    "call of a number": b"\x80\x02K\x01)R.",
    "call with no tuple": b"\x80\x02" + _NDARRAY + b"K\x01R.",
    "state of a class": b"\x80\x02" + _NDARRAY + b"}b.",
    "state of a dict": b"\x80\x02}}b.",
    "attribute of a class": b"\x80\x02" + _NDARRAY + b"(X\x01\x00\x00\x00aK\x01u.",
    "append to an array": b"\x80\x02" + _NDARRAY + b"K\x01a.",
    "unhashable key": b"\x80\x02}]K\x01s.",
    "exponential key": b"\x80\x02}" + _TUPLES + b"K\x01s.",
    "odd number of items": b"\x80\x02}(K\x01u.",
    "shape beyond memory": _array_pickle(_HUGE + b"\x85"),
    "shape of the wrong sign": _array_pickle(b"J\xff\xff\xff\xff\x85"),
    "shape of text": _array_pickle(b"X\x01\x00\x00\x001\x85"),
    "shape that is no tuple": _array_pickle(b"K\x01"),
    "many dimensions": _array_pickle(b"(" + b"K\x01" * 100 + b"t"),
    "empty beyond addresses": _array_pickle(
        b"(K\x00\x8a\x09" + bytes(8) + b"\x01" + b"t", data=b"C\x00"
    ),
    "objects": _array_pickle(b"K\x01\x85", _F8.replace(b"f8", b"O8"), b"]K\x01a"),
    "fields": _array_pickle(b"K\x01\x85", _F8.replace(b"f8", b"V8")),
    "dtype of nothing": _array_pickle(b"K\x01\x85", b"N"),
    "data of nothing": _array_pickle(b"K\x01\x85", data=b"N"),
    "array without a state": _member(_RECONSTRUCT + b"(" + _NDARRAY + b"K\x00\x85C\x01btR"),
    "array made directly": _member(_NDARRAY + b"(" + _HUGE + b"\x85tR"),
    "list of itself": _member(_ENDLESS_LIST),
    "endless lists": _member(_LAUGHS),
    "deep lists": _member(b"]" * 50_000 + b"a" * 49_999),
    "deep tuples": _member(b")" + b"\x85" * 50_000),
    "rows of two lengths": _member(b"](](K\x01e](K\x01K\x02ee"),
    "text": _member(b"X\x01\x00\x00\x00b"),
    "number of 80 bits": _member(b"\x8a\x0a" + b"\x01" * 10),
    "sparse beyond memory": _member(_CSC + _HUGE + _HUGE + b"\x86ub"),
    "sparse without data": _member(_CSC + b"K\x02K\x02\x86ub"),
    "sparse without shape": _member(_CSC + b"Nub"),
    "a sparse form of no file": _member(_global("scipy.sparse._coo", "coo_matrix")),
    "numpy's own eval": _member(_global("numpy.testing", "rundocs")),
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.",
    "another codec": _member(_global("_codecs", "decode")),
    "too many operations": b"\x80\x02" + b"N0" * 200_000 + b".",
    "an npy of numbers": _npy(np.arange(3)),
    "an npy without its pickle's end": _npy(np.array({}, dtype=object))[:-20],
    "an npy of a list": _npy(np.array([{}], dtype=object)),
    "an npy of nothing": b"\x93NUMPY",
    "an npy of a broken header": b"\x93NUMPY\x01\x00\x05\x00((((\n",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.timeout(20)
def test_broken_and_hostile_pickles_are_refused(path: Path, name: str) -> None:
    path.write_bytes(BROKEN[name])
    with pytest.raises(DecodeError) as caught:
        read_pickled_arrays(path, ["a"])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(caught.value.reason) < 300


def test_the_hand_made_array_is_right_where_nothing_is_wrong(path: Path) -> None:
    # Else the cases above could fail for another reason than their name says.
    path.write_bytes(_array_pickle(b"K\x01\x85"))
    assert_reads(path, {"a": np.zeros(1)})


@pytest.mark.parametrize(
    "change",
    [
        {"indices": [0, 2]},
        {"indices": [-1, 0]},
        {"indptr": [0, 2]},
        {"indptr": [0, 3, 2]},
        {"indptr": [1, 1, 2]},
        {"data": [1.0]},
        {"indices": [0.0, 1.0]},
    ],
)
def test_sparse_matrices_that_contradict_themselves(path: Path, change: dict[str, object]) -> None:
    state = {"_shape": (2, 2), "data": [1.0, 2.0], "indices": [0, 1], "indptr": [0, 1, 2]}
    lists = pickle.dumps({**state, **change}, 2)[2:-1]
    matrix = _global("scipy.sparse.csr", "csr_matrix") + b")\x81" + lists + b"b"
    path.write_bytes(_member(matrix))
    with pytest.raises(DecodeError, match="sparse matrix whose indices"):
        read_pickled_arrays(path, ["a"])


def test_duplicate_entries_of_a_sparse_matrix_add_up(path: Path) -> None:
    state = {"_shape": (2, 2), "data": [1.0, 2.0], "indices": [1, 1], "indptr": [0, 0, 2]}
    lists = pickle.dumps(state, 2)[2:-1]
    path.write_bytes(_member(_global("scipy.sparse.csr", "csr_matrix") + b")\x81" + lists + b"b"))
    assert_reads(path, {"a": np.array([[0.0, 0.0], [0.0, 3.0]])})


def test_a_file_of_unreasonable_size_is_not_taken_apart(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(pickle.dumps(ARRAYS))
    size_bytes = path.stat().st_size
    monkeypatch.setattr(model_pickle, "_MAX_FILE_BYTES", size_bytes)
    assert_reads(path, ARRAYS)
    monkeypatch.setattr(model_pickle, "_MAX_FILE_BYTES", size_bytes - 1)
    with pytest.raises(DecodeError, match=f"more than {size_bytes - 1} bytes"):
        read_pickled_arrays(path, ARRAYS)


def test_what_is_missing_is_named(path: Path) -> None:
    path.write_bytes(pickle.dumps(ARRAYS))
    with pytest.raises(DecodeError, match="it lacks shapedirs"):
        read_pickled_arrays(path, ["f8", "shapedirs"])


SAMPLES = [pickle.dumps(ARRAYS, protocol) for protocol in range(6)]


@given(st.sampled_from(SAMPLES), st.data())
@settings(max_examples=300, deadline=None)
def test_damaged_pickles_give_arrays_or_a_reason(sample: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        take_apart(bytes(damaged), lambda symbol: symbol.module.startswith("numpy"))


@given(st.lists(st.sampled_from([opcode.code for opcode in pickletools.opcodes]), max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_operations_give_a_value_or_a_reason(codes: list[str]) -> None:
    pickled = b"".join(code.encode("latin-1") + b"\x01\n" for code in codes)
    with contextlib.suppress(ValueError):
        take_apart(b"(((]}" + pickled, lambda _: True)
