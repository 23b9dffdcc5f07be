"""LZF: both ways into the library agree with a decoder written for clarity, broken data too."""

from __future__ import annotations

from pathlib import Path

import lzf  # type: ignore[import-not-found,unused-ignore]  # a C extension without stubs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.errors import DecodeError
from nersemble_async.formats.pointcloud import lzf_data
from nersemble_async.formats.pointcloud.lzf_data import decompress_lzf

PATH = Path("cloud.pcd")


@pytest.fixture(params=["library", "extension"], scope="module")
def way(request: pytest.FixtureRequest) -> str:
    """Decompress by the C function and by the extension's call."""
    name: str = request.param
    return name


def _decompress(way: str, data: bytes, expected_bytes: int) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        if way == "extension":
            patch.setattr(lzf_data, "_library_function", lambda: None)
        return decompress_lzf(np.frombuffer(data, np.uint8), expected_bytes, PATH).tobytes()


def reference_decompress(data: bytes) -> bytes | None:
    """None where the data ends within a token or refers to before its start."""
    output = bytearray()
    position = 0
    while position < len(data):
        control = data[position]
        position += 1
        if control < 32:
            literal = data[position : position + control + 1]
            if len(literal) <= control:
                return None
            output += literal
            position += control + 1
            continue
        length, tail = control >> 5, 1
        if length == 7:
            tail = 2
        if position + tail > len(data):
            return None
        if length == 7:
            length += data[position]
        distance = ((control & 31) << 8 | data[position + tail - 1]) + 1
        position += tail
        if distance > len(output):
            return None
        for _ in range(length + 2):
            output.append(output[-distance])
    return bytes(output)


@given(
    data=st.one_of(st.binary(min_size=8, max_size=400), st.lists(st.just(b"abcd")).map(b"".join))
)
def test_what_the_library_compressed(way: str, data: bytes) -> None:
    compressed = lzf.compress(data, 2 * len(data) + 100) if data else b""
    assert reference_decompress(compressed) == data
    assert _decompress(way, compressed, len(data)) == data


@given(
    data=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=32).map(
                lambda literal: bytes([len(literal) - 1]) + literal
            ),
            st.tuples(st.integers(32, 255), st.integers(0, 9), st.integers(0, 40)).map(
                lambda t: bytes((t[0] & 0xE0, *t[1:]) if t[0] >= 224 else (t[0] & 0xE0, t[2]))
            ),
            st.binary(max_size=3),
        ),
        max_size=12,
    ).map(b"".join),
    change=st.sampled_from([0, 0, 0, -1, 1, 7]),
)
def test_any_bytes_are_as_the_format_says_or_an_error(way: str, data: bytes, change: int) -> None:
    truth = reference_decompress(data)
    expected_bytes = max(0, len(truth or b"") + change)
    if truth is not None and len(truth) == expected_bytes:
        assert _decompress(way, data, expected_bytes) == truth
    else:
        with pytest.raises(DecodeError, match=r"cloud\.pcd: the LZF data is damaged"):
            _decompress(way, data, expected_bytes)


def test_the_c_function_is_found_here() -> None:
    assert lzf_data._library_function() is not None


def test_a_platform_that_exports_nothing_is_read_by_the_extension(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lzf_data._library_function.cache_clear()
    monkeypatch.setattr(lzf, "__file__", "/nowhere/lzf.so")
    try:
        assert lzf_data._library_function() is None
        assert decompress_lzf(np.frombuffer(b"\x01ab", np.uint8), 2, PATH).tobytes() == b"ab"
    finally:
        lzf_data._library_function.cache_clear()
