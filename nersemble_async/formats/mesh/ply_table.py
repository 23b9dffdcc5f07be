"""One element of a PLY file as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Polygons = npt.NDArray[np.integer] | Sequence[npt.NDArray[np.integer]]
"""(n, corners) where all have as many corners; else such arrays, polygons of more than four
corners in the order of the file."""

LEAST_CORNERS = 3


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlyTable:
    """The columns that were asked for, of one element."""

    columns: Mapping[str, npt.NDArray[np.generic]]
    """(n,) scalars by property."""
    lists: Mapping[str, Polygons]
    """By property; at least three in each."""
