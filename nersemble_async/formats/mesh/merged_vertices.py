"""How many vertices a mesh has for a reader that merges equal ones, as trimesh does by default.

trimesh (and with it the official reader) drops vertices of no face and those that are not finite,
and merges those whose coordinates are the same in units of 1e-8. FLAME's 5,023 may become fewer.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError

_UNITS = 1e8
_MAGIC = 1.5 * 2**52
"""Added to a float64 below 2^51, it leaves the nearest integer (half to even) in its low bits."""
_MOST_MAGIC = 2.0**50
_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
_BUCKETS_PER_VERTEX = 16

Indices = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class MergedCounts:
    """What trimesh makes of a mesh by default."""

    n_vertices: int
    n_faces: int


def n_merged_vertices(vertices: npt.NDArray[np.floating], faces: Indices) -> int:
    """How many vertices trimesh leaves of a mesh without normals and texture coordinates.

    Args:
        vertices: (V, 3), V > 0, finite; quickest where each coordinate is contiguous (the
            transpose of a (3, V) array).
        faces: (F, 3) in 0 … V - 1; without faces all vertices count.
    """
    n_vertices = len(vertices)
    units = np.multiply(vertices.T, _UNITS, out=np.empty((3, n_vertices)), dtype=np.float64)
    if len(faces):
        is_used = np.bincount(
            faces.ravel().astype(np.intp, copy=False), minlength=n_vertices
        ).astype(bool)
        if not is_used.all():
            units = units[:, is_used]
    if max(units.max(), -units.min()) > _MOST_MAGIC:
        return _n_unique(units)
    units += _MAGIC
    hashed = units.view(np.uint64)
    mixed = hashed[0] * np.uint64(_FACTORS[0])
    for axis in (1, 2):
        mixed += hashed[axis] * np.uint64(_FACTORS[axis])
    return int(mixed.size) - _n_repeated(mixed, hashed)


def _n_repeated(mixed: npt.NDArray[np.uint64], hashed: npt.NDArray[np.uint64]) -> int:
    """How many columns are the same as one before; ``mixed`` is a hash of each column.

    The hashes are thrown into far more buckets than there are: a column that shares its bucket
    with no other has no equal. Only the few that share one are compared.
    """
    n_columns = mixed.size
    bits = (n_columns * _BUCKETS_PER_VERTEX).bit_length()
    bucket = (mixed >> np.uint64(64 - bits)).view(np.int64)
    last = np.empty(1 << bits, np.int32 if n_columns < 1 << 31 else np.int64)
    number = np.arange(n_columns, dtype=last.dtype)
    last[bucket] = number  # not initialised: only what was written is read
    holder = last[bucket]
    overwritten = np.flatnonzero(holder != number)
    if overwritten.size == 0:
        return 0
    lost, kept = mixed[overwritten], holder[overwritten]
    in_order = np.sort(lost)
    if not ((lost == mixed[kept]).any() or (in_order[1:] == in_order[:-1]).any()):
        return 0
    suspects = np.union1d(overwritten, kept)
    return int(suspects.size) - _n_distinct(hashed[:, suspects])


def _n_distinct(columns: npt.NDArray[np.uint64] | npt.NDArray[np.int64]) -> int:
    return int(np.unique(columns, axis=1).shape[1])


def _n_unique(units: npt.NDArray[np.float64]) -> int:
    """The same as trimesh does it: coordinates so large that they overflow are one number."""
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = units.round().astype(np.int64)
    return _n_distinct(rounded)


def trimesh_counts(data: bytes) -> MergedCounts:
    """Let trimesh itself read a PLY as the official reader does; slow (2 ms), for unusual ones.

    Raises:
        DecodeError: it cannot; says why.
        ImportError: it needs a package for this file that is not installed here.
    """
    import trimesh  # noqa: PLC0415 -- 0.2 s
    from trimesh.exchange.ply import load_ply  # noqa: PLC0415

    try:
        with np.errstate(all="ignore"):
            content = load_ply(io.BytesIO(data), skip_materials=True)
            mesh = trimesh.Trimesh(**content)
            return MergedCounts(len(mesh.vertices), len(mesh.faces))
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 -- of broken bytes trimesh raises whatever comes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DecodeError("mesh", f"trimesh cannot read it: {reason}") from None
