"""The header of a PLY file: its encoding, elements and properties; no arrays are made.

Stricter than most readers, so that every reader agrees on what it takes. Source of the format:
https://gamma.cs.unc.edu/POWERPLANT/papers/ply.pdf and the files that trimesh, open3d and Blender
write.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Encoding = Literal["ascii", "binary_little_endian", "binary_big_endian"]

_ENCODINGS: dict[str, Encoding] = {
    "ascii": "ascii",
    "binary_little_endian": "binary_little_endian",
    "binary_big_endian": "binary_big_endian",
}
_KINDS = {
    name: kind
    for kind, names in {
        "i1": ("char", "int8"),
        "u1": ("uchar", "uint8"),
        "i2": ("short", "int16"),
        "u2": ("ushort", "uint16"),
        "i4": ("int", "int32"),
        "u4": ("uint", "uint32"),
        "i8": ("int64",),
        "u8": ("uint64",),
        "f2": ("float16",),
        "f4": ("float", "float32"),
        "f8": ("double", "float64"),
    }.items()
    for name in names
}
_END = b"end_header"
_MOST_BYTES = 1 << 16
_MOST_DIGITS = 12
_N_FIXED_LINES = 2
_N_SCALAR_WORDS, _N_LIST_WORDS = 3, 5


@dataclass(frozen=True, slots=True)
class PlyProperty:
    """One value of an element, or a list of values."""

    name: str
    kind: str
    """As NumPy says it, without byte order: ``f4``, ``u1``."""
    count_kind: str | None = None
    """Of a list: the type of the number that says how long it is."""


@dataclass(frozen=True, slots=True)
class PlyElement:
    """A table of the file, such as its vertices."""

    name: str
    length: int
    """Rows; not yet compared with the bytes that are there."""
    properties: tuple[PlyProperty, ...]
    """At least one, each with a name of its own."""


@dataclass(frozen=True, slots=True)
class PlyHeader:
    """What a PLY file says of itself before its data."""

    encoding: Encoding
    elements: tuple[PlyElement, ...]
    """In the order of the file, each with a name of its own."""
    size_bytes: int
    """Where the data begins."""


def parse_ply_header(data: bytes) -> PlyHeader:
    """Read the header at the beginning of ``data``.

    Raises:
        ValueError: not a PLY header; says which line.
    """
    at = data.find(_END, 0, _MOST_BYTES)
    end = data.find(b"\n", at, at + len(_END) + 8) if at >= 0 else -1
    if end < 0:
        raise ValueError("it has no header that ends with a line end_header")
    return _parse(data[: end + 1])


@lru_cache(maxsize=32)
def _parse(header: bytes) -> PlyHeader:
    """The files of one submission mostly have the same header."""
    lines = [line.strip() for line in header.decode("utf-8").split("\n")[:-1]]
    if lines[0] != "ply" or lines[-1] != "end_header" or len(lines) <= _N_FIXED_LINES:
        raise ValueError("it is no PLY file: first line 'ply', last line of the header end_header")
    encoding = _encoding(lines[1])
    elements: list[tuple[str, int, list[PlyProperty]]] = []
    for line in lines[_N_FIXED_LINES:-1]:
        words = line.split()
        keyword = words[0] if words else ""
        if keyword == "element":
            elements.append((*_element(words, line), []))
        elif keyword == "property" and elements:
            elements[-1][2].append(_property(words, line))
        elif keyword not in {"comment", "obj_info"}:
            raise ValueError(f"not a header line: {line[:60]!r}")
    for element_name, _, properties in elements:
        names = {one.name for one in properties}
        if not names or len(names) != len(properties):
            raise ValueError(f"element {element_name[:40]} has no or two properties of one name")
    if len({element_name for element_name, _, _ in elements}) != len(elements):
        raise ValueError("two elements have one name")
    return PlyHeader(
        encoding,
        tuple(PlyElement(name, length, tuple(rest)) for name, length, rest in elements),
        len(header),
    )


def _encoding(line: str) -> Encoding:
    words = line.split()
    match words:
        case ["format", word, "1.0"] if word in _ENCODINGS:
            return _ENCODINGS[word]
        case _:
            raise ValueError(f"the second line is no known format: {line[:60]!r}")


def _element(words: list[str], line: str) -> tuple[str, int]:
    match words:
        case [_, name, length] if length.isascii() and length.isdigit():
            if len(length) <= _MOST_DIGITS:
                return name, int(length)
    raise ValueError(f"not an element: {line[:60]!r}")


def _property(words: list[str], line: str) -> PlyProperty:
    if len(words) == _N_SCALAR_WORDS and words[1] in _KINDS:
        return PlyProperty(words[2], _KINDS[words[1]])
    if len(words) == _N_LIST_WORDS and words[1] == "list":
        count_kind, kind = _KINDS.get(words[2], ""), _KINDS.get(words[3], "")
        if kind and count_kind[:1] in {"i", "u"}:
            return PlyProperty(words[4], kind, count_kind)
    raise ValueError(f"not a property: {line[:60]!r}")
