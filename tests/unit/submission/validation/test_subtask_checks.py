"""Swapped posed and neutral meshes are found, and nothing else is taken for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from nersemble_async.formats.mesh.landmarks import landmarks_bytes
from nersemble_async.formats.mesh.ply import ply_bytes
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.validation.mesh_checks import check_mesh_entry
from nersemble_async.submission.validation.mesh_findings import MeshFindings
from nersemble_async.submission.validation.subtask_checks import check_subtasks
from tests.support.ply_files import sphere_mesh

BASE, FACES = sphere_mesh(300)
N_PARTICIPANTS, N_IMAGES = 5, 6


def rotation(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned: npt.NDArray[np.float64] = axes * np.sign(np.linalg.det(axes))
    return turned


def submission(
    *,
    of_posed: float,
    of_neutral: float,
    n_participants: int = N_PARTICIPANTS,
    n_images: int = N_IMAGES,
    n_swapped: int = 0,
) -> Mapping[str, MeshFindings]:
    """Findings of meshes that deviate by so much (metres) from their participant's own head."""
    rng = np.random.default_rng(0)
    findings: dict[str, MeshFindings] = {}
    numbers: dict[int, int] = {}
    n_of_kind: dict[tuple[int, str | None], int] = {}
    for path, entry in expected_entries("svfr").items():
        number = numbers.setdefault(entry.participant_id, len(numbers))
        kind = (entry.participant_id, entry.subtask)
        if not path.endswith(".ply") or number >= n_participants:
            continue
        n_of_kind[kind] = n_of_kind.get(kind, 0) + 1
        if n_of_kind[kind] > n_images:
            continue
        by_subtask = {"posed": of_posed, "neutral": of_neutral}
        if number < n_swapped:
            by_subtask = {"posed": of_neutral, "neutral": of_posed}
        deviation = by_subtask[entry.subtask or ""]
        head = BASE * (1 + number / 50)
        expression = np.sin(head * 40 + rng.uniform(0, 6, 3)) * deviation
        vertices = (head + expression) @ rotation(rng).T + rng.normal(size=3)
        landmarks = landmarks_bytes(vertices[:7])
        findings[path] = check_mesh_entry(entry, ply_bytes(vertices, FACES), landmarks)
        assert findings[path].issues == ()
    return findings


def test_swapped_meshes_are_found_with_the_evidence() -> None:
    (issue,) = check_subtasks(submission(of_posed=0.0005, of_neutral=0.005))
    assert issue.rule == "swapped-meshes"
    assert issue.entry is None
    assert issue.found.startswith("for 5 of 5 participants the neutral meshes differ among")
    assert "participant 017: " in issue.found


def test_neutral_meshes_of_a_person_may_be_the_same_and_then_still_swapped() -> None:
    assert check_subtasks(submission(of_posed=0.005, of_neutral=0)) == []
    assert len(check_subtasks(submission(of_posed=0, of_neutral=0.005))) == 1


@pytest.mark.parametrize(
    "findings",
    [
        pytest.param({}, id="nothing"),
        pytest.param(submission(of_posed=0.005, of_neutral=0.0005), id="as it should be"),
        pytest.param(submission(of_posed=0.005, of_neutral=0.005), id="alike"),
        pytest.param(submission(of_posed=0, of_neutral=0), id="no expressions at all"),
        pytest.param(submission(of_posed=0, of_neutral=2e-5), id="next to nothing"),
        pytest.param(
            submission(of_posed=0.005, of_neutral=0.0005, n_swapped=3), id="three of five"
        ),
        pytest.param(
            submission(of_posed=0.0005, of_neutral=0.005, n_participants=2), id="two participants"
        ),
        pytest.param(submission(of_posed=0.0005, of_neutral=0.005, n_images=2), id="two images"),
    ],
)
def test_less_than_clear_evidence_is_no_issue(findings: Mapping[str, MeshFindings]) -> None:
    assert check_subtasks(findings) == []


def test_most_participants_are_enough() -> None:
    findings = submission(of_posed=0.005, of_neutral=0.0005, n_swapped=4)
    (issue,) = check_subtasks(findings)
    assert issue.found.startswith("for 4 of 5 participants")


def test_meshes_of_one_subtask_cannot_be_compared() -> None:
    findings = submission(of_posed=0.0005, of_neutral=0.005)
    posed = {path: one for path, one in findings.items() if "posed" in path}
    assert check_subtasks(posed) == []


def test_meshes_of_several_topologies_cannot_be_compared() -> None:
    findings = dict(submission(of_posed=0.0005, of_neutral=0.005))
    vertices, faces = sphere_mesh(301)
    for participant_id in {one.entry.participant_id for one in findings.values()}:
        path, one = next(
            (path, one)
            for path, one in findings.items()
            if one.entry.participant_id == participant_id
        )
        data = ply_bytes(vertices, faces)
        findings[path] = check_mesh_entry(one.entry, data, landmarks_bytes(vertices[:7]))
    assert check_subtasks(findings) == []
