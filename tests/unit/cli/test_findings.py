"""What verify and status found, as words and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.store import LocalState
from nersemble_async.cli.findings import (
    status_document,
    status_lines,
    status_table,
    verify_document,
    verify_summary,
)
from nersemble_async.errors import IntegrityError
from nersemble_async.fetch.progress import EvidenceGrade, FetchReport, FileFinished, Outcome
from nersemble_async.fetch.status import AssetStatus, StatusReport
from nersemble_async.fetch.verify import FileVerification, VerifyReport, VerifyState

ROOT = Path("/data")
GOOD = FileVerification("nvs/a", VerifyState.OK, 1_000, "aa", EvidenceGrade.PUBLISHED)
DAMAGED = FileVerification(
    "nvs/b",
    VerifyState.DAMAGED,
    9_000,
    "bb",
    damaged_ranges=tuple(ByteRange(start, start + 500) for start in (0, 1_000, 2_000, 3_000)),
    error=IntegrityError("nvs/b", "sha-256 differs"),
)
MISSING = FileVerification("nvs/c", VerifyState.MISSING)
REJECTED = FileVerification(
    "nvs/d", VerifyState.REJECTED, 10, "dd", error=IntegrityError("nvs/d", "no PCD")
)


def words(report: VerifyReport) -> str:
    return "\n".join(line.text for line in verify_summary(report, ROOT))


def test_all_as_recorded() -> None:
    text = words(VerifyReport([GOOD], seconds=2.0))
    assert text.splitlines() == [
        "1 file in /data: 1 as recorded",
        "  1.0 kB hashed in 2.0 s (500 B/s)",
        "  evidence: 1 verified against a published sha-256",
    ]


def test_findings_are_listed_with_ranges_and_what_to_do() -> None:
    text = words(VerifyReport([GOOD, DAMAGED, MISSING, REJECTED], seconds=1.0))
    assert "4 files in /data: 1 as recorded, 1 damaged, 1 not what they should be, 1 gone" in text
    assert "  nvs/b: damaged: 2.0 kB (bytes 0-499, 1000-1499, 2000-2499, …)" in text
    assert "  nvs/c: gone" in text
    assert "  nvs/d: rejected: no PCD" in text
    assert "--repair" in text


def test_a_repair_is_told_after_the_findings() -> None:
    mended = FileFinished("nvs/b", Outcome.FETCHED, 9_000, 2_000, EvidenceGrade.RECORDED, "b")
    report = VerifyReport([DAMAGED], repaired=FetchReport([mended]))
    assert "Repair:\nComplete: 1 file, 9.0 kB" in words(report)
    assert "--repair" not in words(report)


def test_an_empty_root_is_not_called_right() -> None:
    assert "Nothing of this is recorded in /data" in words(VerifyReport())


def test_the_verify_document() -> None:
    report = VerifyReport([GOOD, DAMAGED], seconds=1.0)
    document = json.loads(json.dumps(verify_document(report, ROOT)))
    assert document["exit_code"] == 5
    assert document["states"] == {
        "ok": 1,
        "damaged": 1,
        "missing": 0,
        "adopted": 0,
        "rejected": 0,
    }
    assert document["grades"]["published"] == 1
    assert document["repaired"] is None
    assert document["files"][1] == {
        "path": "nvs/b",
        "state": "damaged",
        "size_bytes": 9_000,
        "sha256": "bb",
        "grade": None,
        "damaged_ranges": [[0, 500], [1_000, 1_500], [2_000, 2_500], [3_000, 3_500]],
        "error": {"class": "IntegrityError", "reason": "sha-256 differs"},
    }


def test_status() -> None:
    files = Counter({LocalState.COMPLETE: 2, LocalState.MISSING: 1_000})
    report = StatusReport(
        "/data",
        [AssetStatus("nvs", "images", files, 5_000)],
        [f"nvs/stray_{i}" for i in range(25)],
        7_000,
    )
    table = status_table(report)
    expected = ("images", "1,002", "2", "0", "1,000", "0", "5.0 kB")
    assert list(table.rows) == [("nvs", *expected)]
    assert table.footer == ("all", "", *expected[1:])
    lines = [line.text for line in status_lines(report)]
    assert lines[:3] == [
        "7.0 kB are free in /data",
        "25 files foreign (left alone):",
        "  nvs/stray_0",
    ]
    assert lines[-1] == "  and 5 more"
    document = json.loads(json.dumps(status_document(report, ROOT)))
    assert document["assets"] == [
        {
            "task": "nvs",
            "asset": "images",
            "files": 1_002,
            "complete": 2,
            "partial": 0,
            "missing": 1_000,
            "unrecorded": 0,
            "local_bytes": 5_000,
        }
    ]
    assert len(document["foreign"]) == 25
    assert document["transient_files"] == document["transient_bytes"] == 0


def test_files_on_demand_are_told_where_there_are_any() -> None:
    report = StatusReport("/data", transient_files=3, transient_bytes=4_000)
    lines = [line.text for line in status_lines(report)]
    assert lines[1:] == ["of these, 3 files (4.0 kB) came on demand and may go again"]
    document = json.loads(json.dumps(status_document(report, ROOT)))
    assert (document["transient_files"], document["transient_bytes"]) == (3, 4_000)
