"""The JSON documents: their fields are a promise."""

from __future__ import annotations

import json
from pathlib import Path

from nersemble_async.cli.report import document_head, fetch_document
from nersemble_async.errors import DiskFullError, RemoteFileMissingError
from nersemble_async.fetch.progress import (
    EvidenceGrade,
    ExitCode,
    FetchReport,
    FileFinished,
    Outcome,
)

ROOT = Path("/data")


def test_a_fetch_report() -> None:
    error = RemoteFileMissingError("nvs/b", "the server answered 404")
    report = FetchReport(
        [
            FileFinished("nvs/a", Outcome.FETCHED, 10, 7, EvidenceGrade.CONTENT, "ab"),
            FileFinished("nvs/b", Outcome.FAILED, error=error),
        ],
        seconds=1.23456,
        retries=2,
    )
    document = json.loads(json.dumps(fetch_document(report, ROOT)))
    assert document == {
        "schema_version": 1,
        "command": "fetch",
        "root": "/data",
        "exit_code": 1,
        "error": None,
        "seconds": 1.235,
        "retries": 2,
        "received_bytes": 7,
        "size_bytes": 10,
        "cancelled": False,
        "outcomes": {"fetched": 1, "adopted": 0, "present": 0, "failed": 1, "skipped": 0},
        "grades": {"published": 0, "recorded": 0, "content": 1, "size": 0},
        "files": [
            {
                "path": "nvs/a",
                "outcome": "fetched",
                "size_bytes": 10,
                "received_bytes": 7,
                "grade": "content",
                "sha256": "ab",
                "error": None,
            },
            {
                "path": "nvs/b",
                "outcome": "failed",
                "size_bytes": 0,
                "received_bytes": 0,
                "grade": None,
                "sha256": None,
                "error": {"class": "RemoteFileMissingError", "reason": "the server answered 404"},
            },
        ],
    }


def test_what_ended_the_run_is_told() -> None:
    report = FetchReport(stopped=DiskFullError("no room"), cancelled=False)
    document = fetch_document(report, ROOT)
    assert document["error"] == {"class": "DiskFullError", "reason": "no room"}
    assert document["exit_code"] == 4


def test_a_command_that_did_not_come_to_its_work() -> None:
    assert document_head("status", None, ExitCode.USAGE) == {
        "schema_version": 1,
        "command": "status",
        "root": None,
        "exit_code": 2,
        "error": None,
    }
