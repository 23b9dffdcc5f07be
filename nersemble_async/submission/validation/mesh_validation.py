"""The meshes of a submission: each with its landmarks; then posed and neutral ones together."""

from __future__ import annotations

from dataclasses import replace

from nersemble_async.benchmark.spec import FileKind
from nersemble_async.submission.entries import ExpectedEntry
from nersemble_async.submission.validation.mesh_checks import check_mesh_entry
from nersemble_async.submission.validation.mesh_findings import MeshFindings
from nersemble_async.submission.validation.subtask_checks import check_subtasks
from nersemble_async.submission.validation.validation_run import (
    ValidationRun,
    issue_of_entry,
    issue_of_fault,
)
from nersemble_async.submission.zips.zip_entries import EntryError


def look_at_meshes(run: ValidationRun) -> None:
    """Find what is wrong with the meshes that are there.

    One after the other: a thread would cost more than it saves.
    """
    findings: dict[str, MeshFindings] = {}
    run.beat()
    for entry in run.units():
        found = _look_at(run, entry)
        if found is not None:
            run.add(entry, found.issues)
            findings[entry.path] = found
        run.beat(1)
    with run.going_on_without("whether posed and neutral meshes are mixed up"):
        run.issues += check_subtasks(findings)


def _look_at(run: ValidationRun, entry: ExpectedEntry) -> MeshFindings | None:
    content = _read(run, entry.path)
    if content is None or entry.kind is not FileKind.PLY:
        return None
    path = entry.landmarks
    landmarks = _read(run, path) if path in run.places else None
    is_told = path in run.places and landmarks is None  # what is wrong with their bytes
    elsewhere = run.structure.elsewhere
    if path in elsewhere and entry.path not in elsewhere:
        landmarks = None  # nobody finds them there
    try:
        found = check_mesh_entry(entry, content, landmarks)
    except Exception as error:  # noqa: BLE001 -- becomes an issue, whatever it is
        run.issues.append(issue_of_fault("unreadable-mesh", entry.path, error))
        return None
    if is_told:
        kept = tuple(issue for issue in found.issues if issue.rule != "missing-landmarks")
        found = replace(found, issues=kept)
    return found


def _read(run: ValidationRun, path: str) -> bytes | None:
    try:
        return run.submission.read(run.places[path])
    except EntryError as error:
        run.issues.append(issue_of_entry(error, path))
        return None
