"""Pointclouds: PCD files as open3d writes them, to and from arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.array_summary import summarise_arrays
from nersemble_async.formats.pcd_header import PcdHeader, read_pcd_header

_COORDINATES = ("x", "y", "z")
_NORMALS = ("normal_x", "normal_y", "normal_z")
_NUMPY_KINDS = {"F": "f", "I": "i", "U": "u"}
_COLOR_LEVELS = np.float32(255)

_WRITTEN_POINT = np.dtype([(name, "<f4") for name in (*_COORDINATES, *_NORMALS)] + [("rgb", "<u4")])
_WRITTEN_HEADER = """\
# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS x y z normal_x normal_y normal_z rgb
SIZE 4 4 4 4 4 4 4
TYPE F F F F F F U
COUNT 1 1 1 1 1 1 1
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


def read_pointcloud(path: Path) -> Pointcloud:
    """Read a PCD with ``DATA binary``.

    Raises:
        DecodeError: broken, truncated, or in another encoding.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        header = read_pcd_header(file, path)
        if header.encoding != "binary":
            raise DecodeError(str(path), f"DATA {header.encoding} cannot be read, only DATA binary")
        file_bytes = file.seek(0, 2)
        expected_bytes = header.header_bytes + header.n_points * header.point_bytes
        if file_bytes != expected_bytes:
            raise DecodeError(
                str(path),
                f"header and points are {expected_bytes} bytes, the file has {file_bytes}",
            )
        file.seek(header.header_bytes)
        table = np.fromfile(file, dtype=_point_dtype(header), count=header.n_points)
    names = table.dtype.names or ()
    empty = np.empty((0, 3), np.float32)
    return Pointcloud(
        points=_columns(table, _COORDINATES),
        colors=_colors_of(table) if "rgb" in names else empty,
        normals=_columns(table, _NORMALS) if set(_NORMALS) <= set(names) else empty,
    )


def write_pointcloud(path: Path, pointcloud: Pointcloud) -> None:
    """Write ``DATA binary``, byte for byte what open3d writes for the same values.

    Raises:
        ValueError: points, colors and normals are not all (N, 3).
    """
    points, colors, normals = pointcloud.points, pointcloud.colors, pointcloud.normals
    shape = (*points.shape[:1], 3)
    if not points.shape == colors.shape == normals.shape == shape:
        raise ValueError(
            f"points {points.shape}, colors {colors.shape} and normals {normals.shape} "
            "are not all (N, 3)"
        )
    table = np.empty(len(points), _WRITTEN_POINT)
    for axis in range(3):
        table[_COORDINATES[axis]] = points[:, axis]
        table[_NORMALS[axis]] = normals[:, axis]
    levels = np.clip(np.rint(colors * _COLOR_LEVELS), 0, 255).astype(np.uint32)
    table["rgb"] = levels[:, 0] << 16 | levels[:, 1] << 8 | levels[:, 2]
    with path.open("wb") as file:
        file.write(_WRITTEN_HEADER.format(n_points=len(points)).encode("ascii"))
        table.tofile(file)


def _point_dtype(header: PcdHeader) -> np.dtype[np.void]:
    fields = [
        (f.name, f"<{_NUMPY_KINDS[f.kind]}{f.size_bytes}", (f.count,) if f.count > 1 else ())
        for f in header.fields
    ]
    return np.dtype(fields)


def _column(table: npt.NDArray[np.void], name: str) -> npt.NDArray[np.generic]:
    """A field's first element for each point."""
    column = table[name]
    return np.ascontiguousarray(column if column.ndim == 1 else column[:, 0])


def _columns(table: npt.NDArray[np.void], names: tuple[str, ...]) -> npt.NDArray[np.float32]:
    columns = [_column(table, name) for name in names]
    return np.stack(columns, axis=1).astype(np.float32, copy=False)


def _colors_of(table: npt.NDArray[np.void]) -> npt.NDArray[np.float32]:
    """Field ``rgb`` is 0x00RRGGBB, whether the header calls it U or (PCL's habit) F."""
    column = _column(table, "rgb")
    packed = column.view(np.uint32) if column.itemsize == 4 else column.astype(np.uint32)  # noqa: PLR2004  # bytes of a uint32
    channels = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=1)
    return channels.astype(np.float32) / _COLOR_LEVELS
