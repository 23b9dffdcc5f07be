"""Whether posed and neutral meshes were swapped: neutral ones of a person are alike. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nersemble_async.submission.issues import SubmissionIssue
from nersemble_async.submission.rules import breach
from nersemble_async.submission.validation.mesh_findings import MeshFindings

_FEWEST_MESHES = 3
_FEWEST_PARTICIPANTS = 3
_CLEAR_SHARE = 0.8
_CLEAR_RATIO = 2.0
_LEAST_VARIATION = 1e-3
"""Of the head's size: less than a third of a millimetre says nothing."""
_MOST_MESHES = 24


def check_subtasks(findings: Mapping[str, MeshFindings]) -> list[SubmissionIssue]:
    """One issue where the neutral meshes look like posed ones and the posed ones like neutral.

    Reported only where, for at least three participants and four in five of those that can be
    compared, the neutral meshes differ among themselves more than twice as much as the posed ones
    do, position and rotation of the head left aside. A participant can be compared if there are
    three meshes or more of either kind, all of one topology.

    Args:
        findings: by path inside the zip.
    """
    digests: dict[int, dict[str, list[npt.NDArray[np.float32]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    n_vertices: dict[int, set[int | None]] = defaultdict(set)
    for one in findings.values():
        if one.digest is not None and one.entry.subtask is not None:
            digests[one.entry.participant_id][one.entry.subtask].append(one.digest)
            n_vertices[one.entry.participant_id].add(one.n_vertices)
    swapped: list[tuple[int, float, float]] = []
    n_compared = 0
    for participant_id, by_subtask in sorted(digests.items()):
        posed, neutral = by_subtask["posed"], by_subtask["neutral"]
        is_one_topology = len(n_vertices[participant_id]) == 1
        if is_one_topology and min(len(posed), len(neutral)) >= _FEWEST_MESHES:
            n_compared += 1
            of_posed, of_neutral = _variation(posed), _variation(neutral)
            if of_neutral > max(_LEAST_VARIATION, _CLEAR_RATIO * of_posed):
                swapped.append((participant_id, of_posed, of_neutral))
    if len(swapped) < max(_FEWEST_PARTICIPANTS, _CLEAR_SHARE * n_compared):
        return []
    participant_id, of_posed, of_neutral = swapped[0]
    return [
        breach(
            "swapped-meshes",
            None,
            f"for {len(swapped)} of {n_compared} participants the neutral meshes differ among "
            f"themselves more than twice as much as the posed ones (participant "
            f"{participant_id:03d}: {of_neutral:.1%} of the head's size against {of_posed:.1%})",
            "neutral meshes of a person that are more alike than the posed ones",
        )
    ]


def _variation(digests: Sequence[npt.NDArray[np.float32]]) -> float:
    """Median difference of two of these point sets, laid over each other, in units of their size.

    The best rotation is not needed for that: the singular values of the covariance tell what it
    leaves (Kabsch; the least one counts against it where only a reflection would fit better).
    """
    points = np.array(digests[:_MOST_MESHES], np.float64)
    points -= points.mean(axis=1, keepdims=True)
    size = np.sqrt((points**2).sum(axis=(1, 2), keepdims=True))
    points /= np.maximum(size, np.finfo(np.float64).tiny)
    first, second = np.triu_indices(len(points), 1)
    covariances = points[first].transpose(0, 2, 1) @ points[second]
    singular = np.linalg.svd(covariances, compute_uv=False)
    singular[:, 2] *= np.sign(np.linalg.det(covariances))
    return float(np.median(np.sqrt(np.maximum(0.0, 2 - 2 * singular.sum(axis=1)))))
