"""What a value type of arrays shows in its ``repr``: dtypes and shapes, never numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def summarise_arrays(name: str, arrays: dict[str, npt.NDArray[np.generic]]) -> str:
    """``Name(points=float32 (5, 3), …)``."""
    inside = ", ".join(f"{key}={array.dtype} {array.shape}" for key, array in arrays.items())
    return f"{name}({inside})"
