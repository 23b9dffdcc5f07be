"""FLAME trackings: the npz of one sequence's head pose, expression and shape parameters."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nersemble_async.errors import DecodeError
from nersemble_async.formats.array_summary import summarise_arrays

_SHAPES: dict[str, tuple[int | None, ...]] = {
    "shape": (1, 300),
    "expression": (None, 100),
    "rotation": (None, 3),
    "rotation_matrices": (None, 3, 3),
    "translation": (None, 3),
    "jaw": (None, 3),
    "frames": (None,),
    "scale": (1, 1),
    "neck": (None, 3),
    "eyes": (None, 6),
}
"""None stands for T, the number of tracked frames."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FlameTracking:
    """FLAME parameters of T frames.

    Model → world: FLAME is evaluated with zero global rotation, then its vertices are multiplied
    by `scale`, rotated by `rotation` and moved by `translation` (metres).
    """

    shape: npt.NDArray[np.floating]
    """(1, 300) identity, one for the whole sequence."""
    expression: npt.NDArray[np.floating]
    """(T, 100)."""
    rotation: npt.NDArray[np.floating]
    """(T, 3) Euler angles in radians, intrinsic, in the order XYZ."""
    rotation_matrices: npt.NDArray[np.floating]
    """(T, 3, 3) of `rotation`."""
    translation: npt.NDArray[np.floating]
    """(T, 3) metres."""
    jaw: npt.NDArray[np.floating]
    """(T, 3) axis-angle in radians."""
    frames: npt.NDArray[np.integer]
    """(T,) the timesteps."""
    scale: npt.NDArray[np.floating]
    """(1, 1)."""
    neck: npt.NDArray[np.floating]
    """(T, 3) axis-angle in radians."""
    eyes: npt.NDArray[np.floating]
    """(T, 6) axis-angle in radians, two eyes."""

    def __post_init__(self) -> None:
        n_tracked = len(self.frames) if self.frames.ndim else 0
        for name, wanted in _SHAPES.items():
            expected = tuple(n_tracked if size is None else size for size in wanted)
            if getattr(self, name).shape != expected:
                raise ValueError(f"{name} is {getattr(self, name).shape}, not {expected}")

    def __repr__(self) -> str:
        return summarise_arrays("FlameTracking", {name: getattr(self, name) for name in _SHAPES})


def load_flame_tracking(path: Path) -> FlameTracking:
    """Read a tracking's npz; arrays keep the file's dtypes, unknown members are ignored.

    Raises:
        DecodeError: broken, a member is missing or has another shape or no numbers, or it holds
            pickles (which are never loaded).
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                if not isinstance(archive, np.lib.npyio.NpzFile):
                    raise DecodeError(str(path), "not an npz")
                arrays = {field.name: archive[field.name] for field in fields(FlameTracking)}
                for name, array in arrays.items():
                    if array.dtype.kind not in ("iu" if name == "frames" else "f"):
                        raise DecodeError(str(path), f"{name} is {array.dtype}")
                return FlameTracking(**arrays)
        except KeyError as error:
            raise DecodeError(str(path), f"the tracking lacks {error}") from None
        except (
            zipfile.BadZipFile,
            zlib.error,
            ValueError,
            EOFError,
            OverflowError,
            MemoryError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise DecodeError(str(path), f"not a readable npz: {error}") from None


def save_flame_tracking(path: Path, tracking: FlameTracking) -> None:
    """Write an npz that `numpy.load` reads; the same arrays give the same bytes."""
    with path.open("wb") as file:
        np.savez(file, **{name: getattr(tracking, name) for name in _SHAPES})
