"""What ``verify`` and ``status`` found: as a table, as words and as JSON (pure).

The JSON object of ``verify`` adds to the common fields::

    seconds
    states   {ok, damaged, missing, adopted, rejected: number of files}
    grades   {published, recorded, content, size: number of files}, of ok and adopted ones
    files    [{path, state, size_bytes, sha256, grade, damaged_ranges, error}]
             damaged_ranges: [[start, stop], …] in bytes, stop exclusive
    repaired null, or the object of the ``fetch`` that mended

The JSON object of ``status`` adds::

    free_bytes
    assets   [{task, asset, files, complete, partial, missing, unrecorded, local_bytes}]
    foreign  [path, …] below the task folders
    transient_files, transient_bytes
             fetched on demand, by loaders; they may be evicted
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nersemble_async.cache.store import LocalState
from nersemble_async.cli.output import Table
from nersemble_async.cli.report import Document, document_head, error_document, fetch_document
from nersemble_async.cli.wording import (
    LISTED_FAILURES,
    Line,
    bytes_in_words,
    failure_lines,
    fetch_summary,
    files_in_words,
    grades_in_words,
    reason_of,
    seconds_in_words,
)
from nersemble_async.fetch.progress import EvidenceGrade, ExitCode
from nersemble_async.fetch.verify import VerifyState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nersemble_async.fetch.status import AssetStatus, StatusReport
    from nersemble_async.fetch.verify import FileVerification, VerifyReport

_STATE_WORDS: Mapping[VerifyState, str] = {
    VerifyState.OK: "as recorded",
    VerifyState.ADOPTED: "recorded for the first time (nothing to compare with)",
    VerifyState.DAMAGED: "damaged",
    VerifyState.REJECTED: "not what they should be",
    VerifyState.MISSING: "gone",
}
_STATUS_COLUMNS = (
    "task",
    "asset",
    "files",
    "complete",
    "partial",
    "missing",
    "unrecorded",
    "bytes here",
)
_STATES = (LocalState.COMPLETE, LocalState.PARTIAL, LocalState.MISSING, LocalState.UNRECORDED)


def verify_summary(report: VerifyReport, root: Path) -> list[Line]:
    """How a verification ended: what is right on what evidence, what is not, what to do next."""
    if not report.files:
        return [Line(f"Nothing of this is recorded in {root}: `fetch` brings or adopts it")]
    states = Counter(file.state for file in report.files)
    hashed_bytes = sum(file.size_bytes for file in report.files)
    told = ", ".join(f"{states[s]:,} {words}" for s, words in _STATE_WORDS.items() if states[s])
    rate = f" ({bytes_in_words(hashed_bytes / report.seconds)}/s)" if report.seconds > 0 else ""
    good = not report.repairable
    lines = [
        Line(f"{files_in_words(len(report.files))} in {root}: {told}", "good" if good else "bad"),
        Line(
            f"  {bytes_in_words(hashed_bytes)} hashed in {seconds_in_words(report.seconds)}{rate}"
        ),
    ]
    if grades := grades_in_words(_grades(report)):
        lines.append(Line(f"  evidence: {grades}"))
    lines += failure_lines(
        [
            (file.path, _finding(file))
            for file in report.files
            if file.state in (VerifyState.DAMAGED, VerifyState.REJECTED, VerifyState.MISSING)
        ],
        "not right",
    )
    if report.repaired is not None:
        lines += [Line("Repair:", "strong"), *fetch_summary(report.repaired, root)]
    elif not good:
        lines.append(
            Line("verify --repair with the same options fetches these (ranges) again.", "strong")
        )
    return lines


def _grades(report: VerifyReport) -> Counter[EvidenceGrade]:
    return Counter(file.grade for file in report.files if file.grade is not None)


def _finding(file: FileVerification) -> str:
    if file.state is VerifyState.MISSING:
        return "gone"
    if file.damaged_ranges:
        damaged_bytes = sum(span.stop - span.start for span in file.damaged_ranges)
        ranges = ", ".join(f"{span.start}-{span.stop - 1}" for span in file.damaged_ranges[:3])
        more = ", …" if len(file.damaged_ranges) > 3 else ""  # noqa: PLR2004 -- as above
        return f"damaged: {bytes_in_words(damaged_bytes)} (bytes {ranges}{more})"
    return (
        str(file.state.value)
        if file.error is None
        else f"{file.state.value}: {reason_of(file.error)}"
    )


def verify_document(report: VerifyReport, root: Path) -> Document:
    """A verification as JSON; the fields stand in this module's docstring."""
    states = Counter(file.state for file in report.files)
    grades = _grades(report)
    return {
        **document_head("verify", root, report.exit_code),
        "seconds": round(report.seconds, 3),
        "states": {state.value: states[state] for state in VerifyState},
        "grades": {str(grade): grades[grade] for grade in reversed(EvidenceGrade)},
        "files": [
            {
                "path": file.path,
                "state": file.state.value,
                "size_bytes": file.size_bytes,
                "sha256": file.sha256,
                "grade": None if file.grade is None else str(file.grade),
                "damaged_ranges": [[span.start, span.stop] for span in file.damaged_ranges],
                "error": error_document(file.error),
            }
            for file in report.files
        ],
        "repaired": None if report.repaired is None else fetch_document(report.repaired, root),
    }


def status_table(report: StatusReport) -> Table:
    """A row for each task and asset, and a row of sums."""
    files: Counter[LocalState] = Counter()
    for asset in report.assets:
        files += asset.files
    local_bytes = sum(asset.local_bytes for asset in report.assets)
    return Table(
        _STATUS_COLUMNS,
        [_status_row(a.task, a.asset, a.files, a.local_bytes) for a in report.assets],
        footer=_status_row("all", "", files, local_bytes),
    )


def _status_row(
    task: str, asset: str, files: Counter[LocalState], local_bytes: int
) -> tuple[str, ...]:
    counts = (f"{files[state]:,}" for state in _STATES)
    return (task, asset, f"{files.total():,}", *counts, bytes_in_words(local_bytes))


def status_lines(report: StatusReport) -> list[Line]:
    """The room on disk and the foreign files."""
    lines = [Line(f"{bytes_in_words(report.free_bytes)} are free in {report.root}")]
    if report.transient_files:
        size = bytes_in_words(report.transient_bytes)
        files = files_in_words(report.transient_files)
        lines.append(Line(f"of these, {files} ({size}) came on demand and may go again"))
    if report.foreign:
        lines.append(Line(f"{files_in_words(len(report.foreign))} foreign (left alone):", "strong"))
        lines += [Line(f"  {path}") for path in report.foreign[:LISTED_FAILURES]]
    if len(report.foreign) > LISTED_FAILURES:
        lines.append(Line(f"  and {len(report.foreign) - LISTED_FAILURES:,} more"))
    return lines


def status_document(report: StatusReport, root: Path) -> Document:
    """A root's status as JSON; the fields stand in this module's docstring."""
    return {
        **document_head("status", root, ExitCode.OK),
        "free_bytes": report.free_bytes,
        "assets": [_asset_document(asset) for asset in report.assets],
        "foreign": report.foreign,
        "transient_files": report.transient_files,
        "transient_bytes": report.transient_bytes,
    }


def _asset_document(asset: AssetStatus) -> Document:
    return {
        "task": asset.task,
        "asset": asset.asset,
        "files": asset.files.total(),
        **{state.value: asset.files[state] for state in _STATES},
        "local_bytes": asset.local_bytes,
    }
