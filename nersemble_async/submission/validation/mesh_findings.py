"""What the validator keeps of a mesh once it was looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.issues import SubmissionIssue


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MeshFindings:
    """What was found of one mesh; small, so that those of a whole submission can be kept."""

    entry: ExpectedEntry
    issues: tuple[SubmissionIssue, ...]
    n_vertices: int | None
    """None: it could not be read."""
    digest: npt.NDArray[np.float32] | None
    """At most 64 of the vertices, evenly chosen by their index; None where they are of no use."""
