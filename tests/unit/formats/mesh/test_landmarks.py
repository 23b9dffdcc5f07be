"""Landmarks: what np.load reads, and nothing that could run code."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from nersemble_async.errors import DecodeError
from nersemble_async.formats.mesh.landmarks import landmarks_bytes, parse_landmarks

POINTS = np.arange(21.0).reshape(7, 3)
SAVED = landmarks_bytes(POINTS)


def load(data: bytes) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(io.BytesIO(data))
    return array


def assert_same(data: bytes) -> None:
    parsed, expected = parse_landmarks(data, "a.npy"), load(data)
    assert parsed.dtype == expected.dtype
    assert parsed.shape == expected.shape
    assert parsed.tobytes() == expected.tobytes()


@given(
    st_numpy.arrays(
        st.one_of(
            st_numpy.floating_dtypes(),
            st_numpy.integer_dtypes(),
            st_numpy.boolean_dtypes(),
            st_numpy.unicode_string_dtypes(max_len=3),
            st.just(np.dtype([("x", "<f4"), ("y", ">i2", (2,))])),
        ),
        st_numpy.array_shapes(min_dims=0, max_side=7),
    ),
    st.booleans(),
    st.sampled_from([(1, 0), (2, 0), (3, 0), None]),
)
def test_every_array_is_read_as_np_load_reads_it(
    array: npt.NDArray[Any], is_fortran: bool, version: tuple[int, int] | None
) -> None:
    file = io.BytesIO()
    np.lib.format.write_array(
        file, np.asfortranarray(array) if is_fortran else array, version or (1, 0)
    )
    assert_same(file.getvalue())


def test_bytes_after_the_array_are_passed_over() -> None:
    assert_same(SAVED + b"more")


def test_an_empty_array_is_read() -> None:
    assert_same(landmarks_bytes(np.zeros((0, 3))))


def header(text: str, data: bytes = bytes(168)) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


class Trap:
    """Unpickled, it raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("it was unpickled",))


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Trap()], object), allow_pickle=True)
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, POINTS)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no .npy file"),
        (b"no landmarks", "no .npy file"),
        (pickle.dumps(Trap()), "no .npy file"),
        (npz(), "an .npz, not an .npy"),
        (pickled(), "pickled Python objects"),
        (SAVED[:8], "cut off"),
        (SAVED[:50], "cut off"),
        (SAVED[:-1], r"shape \(7, 3\) needs 168 bytes, 167 are there"),
        (SAVED.replace(b"NUMPY\x01", b"NUMPY\x09"), "no .npy file"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (7, 3"), "header is broken"),
        (header("{'descr': '<f8', 'fortran_order': False}"), "header is broken"),
        (header("7"), "header is broken"),
        (header("[1, 2, 3]"), "header is broken"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (7, 3)}\x1c"), "is broken"),
        (header("{'descr': '<f8', 'fortran_order': 0, 'shape': (7, 3), 'more': 1}"), "is broken"),
        (header("(" * 9000), "header is broken"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (7, 3)}"), "pickled"),
        (header("{'descr': 'what', 'fortran_order': False, 'shape': (7, 3)}"), "type is unknown"),
        (header("{'descr': [1], 'fortran_order': False, 'shape': (7, 3)}"), "type is unknown"),
        (header("{'descr': '|S0', 'fortran_order': False, 'shape': (7, 3)}"), "not numbers"),
        (header("{'descr': '<f8', 'fortran_order': 1, 'shape': (7, 3)}"), "shape is broken"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (7, -3)}"), "shape is broken"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': [7]}"), "shape is broken"),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (7, 300000000000)}"),
            "needs 16800000000000 bytes, 168 are there",
        ),
    ],
)
def test_what_is_wrong_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=r"a\.npy: the landmarks do not parse: .*" + reason):
        parse_landmarks(data, "a.npy")


@given(
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4)), max_size=3),
    keep=st.integers(0, 400),
)
def test_damaged_bytes_end_in_one_error_or_are_read_as_np_load_does(
    changes: list[tuple[int, bytes]], keep: int
) -> None:
    damaged = bytearray(SAVED)
    for position, change in changes:
        start = position % len(damaged)
        damaged[start : start + len(change)] = change
    data = bytes(damaged[:keep])
    try:
        parsed = parse_landmarks(data, "a.npy")
    except DecodeError:
        return
    assert parsed.tobytes() == load(data).tobytes()


def test_objects_are_not_written() -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        landmarks_bytes(np.array([Trap()], object))
