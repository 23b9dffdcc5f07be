"""Pointclouds: PCD files as open3d writes them, to and from arrays."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError, SelectionError
from nersemble_async.formats.array_summary import summarise_arrays
from nersemble_async.formats.freed_blocks import reuse_freed_blocks
from nersemble_async.formats.pointcloud.pcd_data import iter_columns
from nersemble_async.formats.pointcloud.pcd_header import PcdHeader, read_checked_header

reuse_freed_blocks()

PointcloudField = Literal["points", "colors", "normals"]

POINTCLOUD_FIELDS: tuple[PointcloudField, ...] = ("points", "colors", "normals")

_COORDINATES = ("x", "y", "z")
_NORMALS = ("normal_x", "normal_y", "normal_z")
_PACKED_COLORS = ("rgb", "rgba")
_COLOR_LEVELS = np.float32(255)

_PACKED_COLOR = np.dtype([("blue", "u1"), ("green", "u1"), ("red", "u1"), ("unused", "u1")])
"""0x00RRGGBB in little-endian order."""

_WRITTEN_HEADER = """\
# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS {names}
SIZE {sizes}
TYPE {kinds}
COUNT {counts}
WIDTH {n_points}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {n_points}
DATA binary
"""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pointcloud:
    """N coloured points with normals, in the order of the file."""

    points: npt.NDArray[np.float32]
    """(N, 3) float32, world coordinates in metres."""
    colors: npt.NDArray[np.float32]
    """(N, 3) float32 RGB in 0…1, each u8 / float32(255); (0, 3) where the file has none."""
    normals: npt.NDArray[np.float32]
    """(N, 3) float32, outward unit vectors; (0, 3) where the file has none."""

    def __repr__(self) -> str:
        arrays = {"points": self.points, "colors": self.colors, "normals": self.normals}
        return summarise_arrays("Pointcloud", arrays)  # type: ignore[arg-type]  # dict is invariant

    def to_open3d(self) -> Any:  # noqa: ANN401 -- open3d is optional and has no types
        """An ``open3d.geometry.PointCloud`` of the same points (in float64, as open3d holds them).

        Raises:
            ImportError: open3d is not installed.
        """
        try:
            import open3d  # noqa: PLC0415 -- optional, 400 MB
        except ImportError as error:
            raise ImportError(
                "to_open3d needs open3d: pip install 'nersemble-async[open3d]'"
            ) from error
        cloud = open3d.geometry.PointCloud()
        for name in POINTCLOUD_FIELDS:
            vectors = open3d.utility.Vector3dVector(getattr(self, name).astype(np.float64))
            setattr(cloud, name, vectors)
        return cloud


def read_pointcloud(
    path: Path, fields: Collection[PointcloudField] = POINTCLOUD_FIELDS
) -> Pointcloud:
    """Read a PCD: ``DATA binary``, ``binary_compressed`` or ``ascii``.

    The arrays are C-contiguous and hold, bit for bit, what ``open3d.io.read_point_cloud`` gives
    as float32; points that are not finite stay, fields that are not needed are passed over. It
    is stricter than open3d where that would give zeros: a length that contradicts the header,
    and text that is not a number, are errors; and 64-bit coordinates are read.

    Args:
        path: the file.
        fields: what is wanted; the others are (0, 3) and cost nothing but their way through the
            file.

    Raises:
        SelectionError: an unknown field.
        DecodeError: broken, truncated, or with a header that contradicts the file; nothing larger
            than the file can hold is allocated before that is clear.
        OSError: the file cannot be read.
    """
    wanted = dict.fromkeys(fields)
    if not wanted.keys() <= set(POINTCLOUD_FIELDS):
        raise SelectionError(
            f"a pointcloud has the fields {', '.join(POINTCLOUD_FIELDS)}, not {tuple(fields)}"
        )
    with path.open("rb") as file:
        header = read_checked_header(file, path)
        sources = {name: s for name, s in _sources_of(header, path).items() if name in wanted}
        arrays = {name: np.empty((header.n_points, 3), np.float32) for name in sources}
        read_names = {name for names in sources.values() for name in names}
        with np.errstate(over="ignore", invalid="ignore"):  # too large for float32 is infinite
            for rows, columns in iter_columns(file, path, header, read_names):
                for field, names in sources.items():
                    out = arrays[field][rows]
                    if field == "colors":
                        _unpack_colors(columns[names[0]], out)
                    else:
                        for axis, name in enumerate(names):
                            out[:, axis] = columns[name]
    empty = np.empty((0, 3), np.float32)
    return Pointcloud(**{name: arrays.get(name, empty) for name in POINTCLOUD_FIELDS})


def write_pointcloud(path: Path, pointcloud: Pointcloud) -> None:
    """Write ``DATA binary``, byte for byte what open3d writes for the same values.

    Raises:
        ValueError: colors or normals are neither (N, 3) as the points are nor empty.
    """
    points, colors, normals = pointcloud.points, pointcloud.colors, pointcloud.normals
    shape = (len(points), 3)
    if points.shape != shape or not {colors.shape, normals.shape} <= {shape, (0, 3)}:
        raise ValueError(
            f"points {points.shape}, colors {colors.shape} and normals {normals.shape} "
            "are not all (N, 3); only colors and normals may be missing, as (0, 3)"
        )
    has_normals, has_colors = normals.shape == shape, colors.shape == shape
    names = _COORDINATES + _NORMALS * has_normals
    kinds = "F" * len(names) + "U" * has_colors
    fields = [(name, "<f4") for name in names] + [("rgb", "<u4")] * has_colors
    table = np.empty(len(points), fields)
    for name, column in zip(names, (*points.T, *normals.T), strict=False):  # perhaps no normals
        table[name] = column
    if has_colors:
        levels = np.clip(np.rint(colors * _COLOR_LEVELS), 0, 255).astype(np.uint32)
        table["rgb"] = levels[:, 0] << 16 | levels[:, 1] << 8 | levels[:, 2]
    header = _WRITTEN_HEADER.format(
        names=" ".join(table.dtype.names or ()),
        sizes=" ".join("4" * len(fields)),
        kinds=" ".join(kinds),
        counts=" ".join("1" * len(fields)),
        n_points=len(points),
    )
    with path.open("wb") as file:
        file.write(header.encode("ascii"))
        table.tofile(file)


def _sources_of(header: PcdHeader, path: Path) -> dict[PointcloudField, tuple[str, ...]]:
    """From which fields of the file an array comes, for each array that the file has."""
    sizes_bytes = {field.name: field.size_bytes for field in header.fields}
    sources: dict[PointcloudField, tuple[str, ...]] = {"points": _COORDINATES}
    if set(_NORMALS) <= sizes_bytes.keys():
        sources["normals"] = _NORMALS
    packed = [name for name in sizes_bytes if name in _PACKED_COLORS]
    if packed:
        sources["colors"] = (packed[-1],)  # of two, open3d takes the last
        if sizes_bytes[packed[-1]] != _PACKED_COLOR.itemsize:
            raise DecodeError(str(path), f"field {packed[-1]} has not the 4 bytes of a colour")
    return sources


def _unpack_colors(column: npt.NDArray[np.generic], out: npt.NDArray[np.float32]) -> None:
    """Packed colours (M,), whether the header calls them U, I or (PCL's habit) F, to (M, 3)."""
    levels = column.view(_PACKED_COLOR)
    for channel, name in enumerate(("red", "green", "blue")):
        np.divide(levels[name], _COLOR_LEVELS, out=out[:, channel], dtype=np.float32)
