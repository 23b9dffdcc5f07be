"""What a report says of a run, and which exit code it comes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cache.records import GRADES
from nersemble_async.errors import (
    AccessDeniedError,
    CacheError,
    DiskFullError,
    IntegrityError,
    NersembleError,
    RemoteFileMissingError,
    ServerUnreachableError,
)
from nersemble_async.fetch.progress import (
    EvidenceGrade,
    ExitCode,
    FetchReport,
    FileFinished,
    Outcome,
)

FETCHED = FileFinished("a", Outcome.FETCHED, 100, 60, EvidenceGrade.PUBLISHED, "00")
ADOPTED = FileFinished("b", Outcome.ADOPTED, 10, 0, EvidenceGrade.CONTENT, "11")
PRESENT = FileFinished("c", Outcome.PRESENT, 1, 0, EvidenceGrade.CONTENT, "22")
SKIPPED = FileFinished("d", Outcome.SKIPPED, received_bytes=5)

DISK = DiskFullError("no room")
ACCESS = AccessDeniedError("x", "403")
INTEGRITY = IntegrityError("x", "differs")
MISSING = RemoteFileMissingError("x", "404")
UNREACHABLE = ServerUnreachableError("x", "refused")
ROOT = CacheError("read-only")


def failed(error: NersembleError) -> FileFinished:
    return FileFinished("x", Outcome.FAILED, 5000, received_bytes=7, error=error)


def test_an_empty_run_is_a_good_one() -> None:
    report = FetchReport()
    assert (report.exit_code, report.received_bytes, report.size_bytes) == (ExitCode.OK, 0, 0)
    assert (report.failures, report.outcomes, report.grades) == ([], {}, {})


def test_sums() -> None:
    report = FetchReport([FETCHED, ADOPTED, PRESENT, SKIPPED, failed(MISSING)])
    assert report.received_bytes == 60 + 5 + 7
    assert report.size_bytes == 111
    assert [file.error for file in report.failures] == [MISSING]
    assert report.outcomes == dict.fromkeys(Outcome, 1)
    assert report.grades == {EvidenceGrade.PUBLISHED: 1, EvidenceGrade.CONTENT: 2}


@pytest.mark.parametrize(
    ("files", "stopped", "cancelled", "code"),
    [
        ([FETCHED, ADOPTED, PRESENT], None, False, ExitCode.OK),
        ([FETCHED, SKIPPED], None, False, ExitCode.SOME_FAILED),
        ([failed(MISSING)], None, False, ExitCode.SOME_FAILED),
        ([failed(ROOT)], None, False, ExitCode.SOME_FAILED),
        ([], UNREACHABLE, False, ExitCode.SOME_FAILED),
        ([failed(INTEGRITY), failed(MISSING)], None, False, ExitCode.INTEGRITY),
        ([failed(INTEGRITY), failed(ACCESS)], None, False, ExitCode.NO_ACCESS),
        ([failed(INTEGRITY), failed(ACCESS), failed(DISK)], None, False, ExitCode.DISK_FULL),
        ([FETCHED], DISK, False, ExitCode.DISK_FULL),
        ([SKIPPED], ACCESS, False, ExitCode.NO_ACCESS),
        ([failed(MISSING)], INTEGRITY, False, ExitCode.INTEGRITY),
        ([failed(DISK)], DISK, True, ExitCode.INTERRUPTED),
        ([FETCHED], None, True, ExitCode.INTERRUPTED),
    ],
)
def test_the_gravest_gives_the_exit_code(
    files: list[FileFinished], stopped: NersembleError | None, cancelled: bool, code: ExitCode
) -> None:
    report = FetchReport(files, stopped=stopped, cancelled=cancelled)
    assert report.exit_code is code


@given(st.permutations([FETCHED, failed(MISSING), failed(INTEGRITY), failed(ACCESS), SKIPPED]))
def test_the_order_of_the_files_does_not_matter(files: list[FileFinished]) -> None:
    assert FetchReport(files).exit_code is ExitCode.NO_ACCESS


def test_grades_have_an_order_and_a_name() -> None:
    names = [str(grade) for grade in sorted(EvidenceGrade)]
    assert names == ["size", "content", "recorded", "published"]
    assert names == list(GRADES), "what records may hold"
