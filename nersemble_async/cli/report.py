"""What ``--format json`` prints: one object, described here and stable under its schema_version.

Every command's object begins with::

    schema_version  1; raised when a field changes its meaning or goes away
    command         "fetch", "fetch --dry-run", "verify", "status"
    root            the folder
    exit_code       what the process exits with
    error           null, or {class, reason}: what ended the command before or instead of its work

``fetch`` adds::

    seconds, retries, received_bytes (over the network), size_bytes (of complete files), cancelled
    outcomes        {fetched, adopted, present, failed, skipped: number of files}
    grades          {published, recorded, content, size: number of files}
    files           [{path, outcome, size_bytes, received_bytes, grade, sha256, error}]
                    grade and sha256 are null where there are none, error as above
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nersemble_async.cli.wording import reason_of
from nersemble_async.fetch.progress import EvidenceGrade, ExitCode, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from nersemble_async.fetch.progress import FetchReport, FileFinished

SCHEMA_VERSION = 1

Document = dict[str, object]


def document_head(
    command: str, root: Path | None, exit_code: ExitCode, error: Exception | None = None
) -> Document:
    """The fields that every object begins with."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "root": None if root is None else str(root),
        "exit_code": int(exit_code),
        "error": error_document(error),
    }


def error_document(error: Exception | None) -> Document | None:
    """The class and the reason of an error; never more, since an attribute might hold a URL."""
    if error is None:
        return None
    return {"class": type(error).__name__, "reason": reason_of(error)}


def fetch_document(report: FetchReport, root: Path) -> Document:
    """A fetch's report; the fields stand in this module's docstring."""
    outcomes, grades = report.outcomes, report.grades
    return {
        **document_head("fetch", root, report.exit_code, report.stopped),
        "seconds": round(report.seconds, 3),
        "retries": report.retries,
        "received_bytes": report.received_bytes,
        "size_bytes": report.size_bytes,
        "cancelled": report.cancelled,
        "outcomes": {outcome.value: outcomes[outcome] for outcome in Outcome},
        "grades": {str(grade): grades[grade] for grade in reversed(EvidenceGrade)},
        "files": [_file_document(file) for file in report.files],
    }


def _file_document(file: FileFinished) -> Document:
    return {
        "path": file.path,
        "outcome": file.outcome.value,
        "size_bytes": file.size_bytes,
        "received_bytes": file.received_bytes,
        "grade": None if file.grade is None else str(file.grade),
        "sha256": file.sha256,
        "error": error_document(file.error),
    }
