"""PCD data in every encoding, with every kind of field: as a slow reference reads it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import lzf  # type: ignore[import-not-found,unused-ignore]  # a C extension without stubs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.errors import DecodeError
from nersemble_async.formats.pointcloud.pcd_file import Pointcloud, read_pointcloud
from nersemble_async.formats.pointcloud.pcd_header import check_pointcloud

ENCODINGS = ("binary", "binary_compressed", "ascii")
NORMALS = ("normal_x", "normal_y", "normal_z")
CODES = {
    ("F", 4): "f",
    ("F", 8): "d",
    ("I", 1): "b",
    ("I", 2): "h",
    ("I", 4): "i",
    ("U", 1): "B",
    ("U", 2): "H",
    ("U", 4): "I",
}


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    size_bytes: int
    count: int
    values: list[list[float]]
    """For each point its elements."""

    def packed(self, point: int) -> bytes:
        code = CODES[self.kind, self.size_bytes]
        return struct.pack(f"<{self.count}{code}", *self.values[point])


def write_pcd(path: Path, columns: list[Column], n_points: int, height: int, encoding: str) -> None:
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS " + " ".join(c.name for c in columns),
        "SIZE " + " ".join(str(c.size_bytes) for c in columns),
        "TYPE " + " ".join(c.kind for c in columns),
        "COUNT " + " ".join(str(c.count) for c in columns),
        f"WIDTH {n_points // height}",
        f"HEIGHT {height}",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {n_points}",
        f"DATA {encoding}",
    ]
    if encoding == "binary":
        data = b"".join(c.packed(point) for point in range(n_points) for c in columns)
    elif encoding == "binary_compressed":
        plain = b"".join(c.packed(point) for c in columns for point in range(n_points))
        compressed = lzf.compress(plain, 2 * len(plain) + 100) if plain else b""
        data = struct.pack("<II", len(compressed), len(plain)) + compressed
    else:
        rows = [
            " ".join(repr(v) for c in columns for v in c.values[point]) for point in range(n_points)
        ]
        data = "".join(row + "\n" for row in rows).encode()
    path.write_bytes("".join(line + "\n" for line in lines).encode() + data)


def _values(kind: str, size_bytes: int) -> st.SearchStrategy[float]:
    if kind == "F":
        return st.floats(width=32 if size_bytes == 4 else 64)
    bits = 8 * size_bytes
    return (
        st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
        if kind == "I"
        else st.integers(0, (1 << bits) - 1)
    )


@st.composite
def clouds(draw: st.DrawFn) -> tuple[list[Column], int, int]:
    height = draw(st.integers(1, 3))
    n_points = height * draw(st.integers(0, 6))
    names = ["x", "y", "z"]
    names += draw(st.sampled_from([(), NORMALS, NORMALS[:2]]))
    names += draw(st.sampled_from([(), ("rgb",), ("rgba",), ("rgb", "rgba")]))
    names += draw(st.lists(st.sampled_from(["_", "_", "intensity"]), max_size=2, unique_by=id))
    names += draw(st.sampled_from([(), ("label",)]))
    names = list(dict.fromkeys(n for n in names if n != "_")) + [n for n in names if n == "_"]
    columns = []
    for name in draw(st.permutations(names)):
        kind, size_bytes = draw(st.sampled_from(sorted(CODES)))
        values = _values(kind, size_bytes)
        if name in {"rgb", "rgba"}:
            kind, size_bytes = draw(st.sampled_from("FIU")), 4
            bits = st.integers(0, 0x7E_FF_FF_FF)  # as a float this is no NaN, which text forgets
            values = bits.map(float_of_bits) if kind == "F" else bits
        count = draw(st.sampled_from([1, 1, 1, 3]))
        element = st.lists(values, min_size=count, max_size=count)
        points = draw(st.lists(element, min_size=n_points, max_size=n_points))
        columns.append(Column(name, kind, size_bytes, count, points))
    return columns, n_points, height


def float_of_bits(bits: int) -> float:
    number: float = struct.unpack("<f", struct.pack("<I", bits))[0]
    return number


def reference(columns: list[Column], names: tuple[str, ...]) -> npt.NDArray[np.float32]:
    by_name = {column.name: column for column in columns}
    if not set(names) <= by_name.keys():
        return np.empty((0, 3), np.float32)
    with np.errstate(over="ignore"):
        rows = [
            [np.float64(v[0]).astype(np.float32) for v in point]
            for point in zip(*(by_name[n].values for n in names), strict=True)
        ]
    return np.array(rows, np.float32).reshape(-1, 3)


def reference_colors(columns: list[Column]) -> npt.NDArray[np.float32]:
    packed = [column for column in columns if column.name in {"rgb", "rgba"}]
    if not packed:
        return np.empty((0, 3), np.float32)
    rows = []
    for point in range(len(packed[-1].values)):
        blue, green, red, _ = packed[-1].packed(point)[:4]
        rows.append([np.float32(level / 255) for level in (red, green, blue)])
    return np.array(rows, np.float32).reshape(-1, 3)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pcd") / "cloud.pcd"


@given(cloud=clouds(), encoding=st.sampled_from(ENCODINGS))
def test_any_fields_in_any_encoding(
    path: Path, cloud: tuple[list[Column], int, int], encoding: str
) -> None:
    columns, n_points, height = cloud
    write_pcd(path, columns, n_points, height, encoding)
    read = read_pointcloud(path)
    assert check_pointcloud(path).n_points == n_points
    expected = {
        "points": reference(columns, ("x", "y", "z")),
        "normals": reference(columns, NORMALS),
        "colors": reference_colors(columns),
    }
    for name, array in expected.items():
        actual = getattr(read, name)
        assert actual.dtype == np.float32
        assert actual.flags.c_contiguous
        assert np.array_equal(actual, array, equal_nan=True), name
        only = read_pointcloud(path, fields=(name,))  # type: ignore[arg-type]  # one of the three
        assert np.array_equal(getattr(only, name), array, equal_nan=True)
        assert sum(map(len, (only.points, only.colors, only.normals))) == len(array)


def _try_to_read(path: Path) -> Pointcloud | DecodeError:
    try:
        return read_pointcloud(path)
    except DecodeError as error:
        return error


@given(
    cloud=clouds(),
    encoding=st.sampled_from(ENCODINGS),
    damage=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
    keep=st.one_of(st.none(), st.integers(0, 600)),
)
def test_damage_is_an_error_or_read_as_it_stands(
    path: Path,
    cloud: tuple[list[Column], int, int],
    encoding: str,
    damage: list[tuple[int, int]],
    keep: int | None,
) -> None:
    write_pcd(path, *cloud, encoding)
    data = bytearray(path.read_bytes())
    for position, value in damage:
        data[position % len(data)] = value
    path.write_bytes(data[:keep])
    read = _try_to_read(path)
    if isinstance(read, DecodeError):
        assert read.path == str(path)
        assert "\n" not in read.reason
    else:
        assert len(read.points) <= len(data)


def test_many_pieces(path: Path) -> None:
    # More points than one piece in memory, and more text than one piece of a file.
    n_points = 50_003
    rng = np.random.default_rng(3)
    table = np.empty(n_points, [("x", "<f4"), ("rgb", "<u4"), ("y", "<f4"), ("z", "<f4")])
    for name in "xyz":
        table[name] = rng.normal(size=n_points)
    table["rgb"] = rng.integers(0, 1 << 24, n_points)
    head = (
        "FIELDS x rgb y z\nSIZE 4 4 4 4\nTYPE F U F F\n"
        f"WIDTH {n_points}\nHEIGHT 1\nPOINTS {n_points}\nDATA "
    )
    columns = b"".join(table[name].tobytes() for name in ("x", "rgb", "y", "z"))
    compressed = lzf.compress(columns, 2 * len(columns))
    text = "\r\n".join(f"{x!r} {rgb} {y!r} {z!r}" for x, rgb, y, z in table.tolist())
    contents = {
        "binary": table.tobytes(),
        "binary_compressed": struct.pack("<II", len(compressed), len(columns)) + compressed,
        "ascii": text.encode(),  # its last line does not end
    }
    levels = table["rgb"][:, None] >> np.array([16, 8, 0], np.uint32) & 255
    for encoding, data in contents.items():
        path.write_bytes(f"{head}{encoding}\n".encode() + data)
        read = read_pointcloud(path)
        assert np.array_equal(read.points, np.stack([table[n] for n in "xyz"], axis=1))
        assert np.array_equal(read.colors, levels.astype(np.float32) / np.float32(255))
        assert read.normals.shape == (0, 3)


HEAD = b"FIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F U\nWIDTH 2\nHEIGHT 1\nPOINTS 2\nDATA "


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"1 2 3 4\n1 2 3\n", "number of columns changed"),
        (b"1 2 3\n1 2 3\n", "2 lines of 4 numbers are expected, not 2 of 3"),
        (b"1 2 3 4 5\n1 2 3 4 5\n", "4 numbers are expected, not 2 of 5"),
        (b"1 2 3 4\n1 2 three 4\n", "'three'"),
        (b"1 2 3 4\n1 2 0x3 4\n", "'0x3'"),
        (b"1 2 3 4\n\n", "2 lines of 4 numbers are expected, not 1 of 4"),
        (b"\n \n", "empty lines"),
        (b"1 2 3 4\n1 2 3 4.5\n", "no uint32"),
        (b"1 2 3 4\n1 2 3 -1\n", "no uint32"),
        (b"1 2 3 4\n1 2 3 4294967296\n", "no uint32"),
        (b"1 2 3 4\n1 2 3 nan\n", "no uint32"),
        (b"1 2 3 4\n", "2 points promised, 1 lines"),
        (b"1 2 3 4\n" * 3, "2 points promised, 3 lines"),
        (b"1 2 3 4\r1 2 3 4\r1 2 3 4\n1 2 3 4\n", "newline within a single line"),
    ],
)
def test_text_that_is_no_table_of_the_header(path: Path, text: bytes, reason: str) -> None:
    path.write_bytes(HEAD + b"ascii\n" + text)
    with pytest.raises(DecodeError, match=reason):
        read_pointcloud(path)


def test_promises_that_the_file_cannot_hold(path: Path) -> None:
    # Were memory taken for any of these, it would be 16 GiB and more.
    head = HEAD.replace(b"WIDTH 2", b"WIDTH 1000000000").replace(b"POINTS 2", b"POINTS 1000000000")
    for rest in (
        b"binary\n" + bytes(1000),
        b"ascii\n" + b"1 2 3 4\n" * 2,
        b"binary_compressed\n" + struct.pack("<II", 1000, 16 * 10**9 & 0xFFFFFFFF) + bytes(1000),
    ):
        path.write_bytes(head + rest)
        with pytest.raises(DecodeError, match=r"1000000000|16000000"):
            read_pointcloud(path)
    head = HEAD.replace(b"WIDTH 2", b"WIDTH 250000000").replace(b"POINTS 2", b"POINTS 250000000")
    path.write_bytes(
        head + b"binary_compressed\n" + struct.pack("<II", 1000, 4 * 10**9) + bytes(1000)
    )
    with pytest.raises(DecodeError, match="1000 compressed bytes cannot hold 4000000000"):
        read_pointcloud(path)


def test_a_packed_color_has_four_bytes(path: Path) -> None:
    path.write_bytes(HEAD.replace(b"SIZE 4 4 4 4", b"SIZE 4 4 4 2") + b"binary\n" + bytes(2 * 14))
    with pytest.raises(DecodeError, match="rgb has not the 4 bytes of a colour"):
        read_pointcloud(path)
