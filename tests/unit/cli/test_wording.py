"""Reports say what is so, no more: "verified" only where a digest was compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from nersemble_async.cli.tally import Tally
from nersemble_async.cli.wording import (
    GRADE_WORDS,
    LISTED_FAILURES,
    bytes_in_words,
    failure_lines,
    fetch_summary,
    files_in_words,
    grades_in_words,
    progress_in_words,
    reason_of,
    seconds_in_words,
)
from nersemble_async.errors import (
    AccessDeniedError,
    DiskFullError,
    IntegrityError,
    NersembleError,
    RemoteFileMissingError,
)
from nersemble_async.fetch.progress import (
    BytesReceived,
    EvidenceGrade,
    FetchReport,
    FileFinished,
    FileRetried,
    FileStarted,
    Outcome,
)

ROOT = Path("/data")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (123_456_789, "123 MB"),
        (69_600_000_000, "69.6 GB"),
        (5e12, "5.0 TB"),
        (5e16, "50,000 TB"),
    ],
)
def test_bytes(count: float, words: str) -> None:
    assert bytes_in_words(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (8.24, "8.2 s"), (59.94, "59.9 s"), (125, "2 min 5 s"), (3725, "1 h 2 min")],
)
def test_seconds(seconds: float, words: str) -> None:
    assert seconds_in_words(seconds) == words


def test_files() -> None:
    assert [files_in_words(n) for n in (0, 1, 3651)] == ["0 files", "1 file", "3,651 files"]


def test_only_compared_digests_are_called_verified() -> None:
    for grade in EvidenceGrade:
        compared = grade in (EvidenceGrade.PUBLISHED, EvidenceGrade.RECORDED)
        assert ("verified" in GRADE_WORDS[grade]) == compared
    told = grades_in_words({EvidenceGrade.SIZE: 3, EvidenceGrade.PUBLISHED: 12})
    assert told == "12 verified against a published sha-256, 3 by size only"


def complete(
    path: str, outcome: Outcome, received_bytes: int, grade: EvidenceGrade
) -> FileFinished:
    return FileFinished(path, outcome, 1000, received_bytes, grade, "00")


def text_of(report: FetchReport) -> str:
    return "\n".join(line.text for line in fetch_summary(report, ROOT))


def test_a_good_run() -> None:
    report = FetchReport(
        [
            complete("nvs/a", Outcome.FETCHED, 1000, EvidenceGrade.PUBLISHED),
            complete("nvs/b", Outcome.ADOPTED, 0, EvidenceGrade.CONTENT),
            complete("nvs/c", Outcome.PRESENT, 0, EvidenceGrade.SIZE),
        ],
        seconds=2.0,
        retries=3,
    )
    assert text_of(report).splitlines() == [
        "Complete: 3 files, 3.0 kB in /data",
        "  1 fetched, 1 adopted, 1 already there; 1.0 kB received in 2.0 s (500 B/s), 3 retries",
        "  evidence: 1 verified against a published sha-256, 1 content-checked, 1 by size only",
    ]


def test_failures_come_with_reasons_and_the_next_step() -> None:
    error = RemoteFileMissingError("nvs/a", "the server answered 404")
    report = FetchReport([FileFinished("nvs/a", Outcome.FAILED, error=error)])
    text = text_of(report)
    assert "Not complete: 0 of 1 file are in /data" in text
    assert "  nvs/a: the server answered 404" in text
    assert "Run the same command again" in text


def test_many_failures_are_counted_not_listed() -> None:
    lines = failure_lines([(f"nvs/{i}", "reset") for i in range(LISTED_FAILURES + 1_000)])
    assert len(lines) == LISTED_FAILURES + 2
    assert lines[0].text == "1,020 files failed:"
    assert lines[-1].text == "  and 1,000 more"


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (AccessDeniedError("nvs/a", "401"), "check NERSEMBLE_BENCHMARK_URL"),
        (DiskFullError("full"), "--root"),
        (IntegrityError("nvs/a", "sha-256 differs"), "quarantine"),
    ],
)
def test_the_next_step_fits_the_fault(error: NersembleError, hint: str) -> None:
    report = FetchReport([FileFinished("nvs/a", Outcome.FAILED, error=error)], stopped=error)
    assert hint in text_of(report)
    assert f"Stopped early: {error}" in text_of(report)


def test_an_interrupted_run_that_had_not_begun() -> None:
    text = text_of(FetchReport(cancelled=True))
    assert "nothing new is in /data" in text
    assert "nothing to do" in text


def test_reasons() -> None:
    assert reason_of(IntegrityError("nvs/a", "why")) == "why"
    assert reason_of(DiskFullError("full")) == "full"
    assert reason_of(None) == "unknown"


def test_progress_tells_what_is_known_so_far() -> None:
    now = 0.0
    tally = Tally({"nvs/a": ("nvs",), "nvs/b": ("nvs",)}, lambda: now)
    assert progress_in_words(tally) == "0/2 files"
    tally.add(FileStarted("nvs/a", 1_000_000, 0))
    tally.add(FileRetried("nvs/a", 1, 1.0, "reset"))
    now = 10.0
    tally.add(BytesReceived("nvs/a", 500_000))
    assert progress_in_words(tally) == (
        "0/2 files, 500 kB of about 2.0 MB, 50.0 kB/s, 30.0 s left, 1 retry"
    )
    tally.add(FileFinished("nvs/a", Outcome.FAILED))
    tally.add(FileStarted("nvs/b", None, 0))
    assert progress_in_words(tally).startswith("1/2 files, 500 kB of about 1.5 MB")
    assert progress_in_words(tally).endswith("1 failed")
