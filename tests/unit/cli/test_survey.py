"""A dry run says what is there, what is not, and what would not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nersemble_async.benchmark.spec import FileKind
from nersemble_async.cache.store import LocalState
from nersemble_async.cli.survey import (
    exit_code_of_survey,
    survey_document,
    survey_lines,
    survey_table,
)
from nersemble_async.errors import AccessDeniedError, FetchError, RemoteFileMissingError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.fetch.survey import FileSurvey, PlanSurvey

ROOT = Path("/data")
IMAGES = PlannedFile("nvs/a.mp4", "nvs", "images", FileKind.MP4)
CLOUD = PlannedFile("nvs/b.pcd", "nvs", "pointclouds", FileKind.PCD)
OTHER_CLOUD = PlannedFile("nvs/c.pcd", "nvs", "pointclouds", FileKind.PCD)


def survey(free_bytes: int, error: FetchError | None = None) -> PlanSurvey:
    size = None if error is not None else 5_000
    return PlanSurvey(
        (
            FileSurvey(IMAGES, LocalState.COMPLETE, 1_000, 1_000),
            FileSurvey(CLOUD, LocalState.PARTIAL, 2_000, 5_000),
            FileSurvey(OTHER_CLOUD, LocalState.MISSING, 0, size, error),
        ),
        free_bytes,
    )


def test_a_plan_that_fits() -> None:
    found = survey(10_000)
    table = survey_table(found)
    assert list(table.rows) == [
        ("nvs", "images", "1", "1.0 kB", "1 (1.0 kB)", "0 B", "yes"),
        ("nvs", "pointclouds", "2", "10.0 kB", "0 (2.0 kB)", "8.0 kB", "yes"),
    ]
    assert table.footer == ("all", "", "3", "11.0 kB", "1 (3.0 kB)", "8.0 kB", "yes")
    assert [line.text for line in survey_lines(found, ROOT)] == [
        "8.0 kB to fetch; 10.0 kB are free: it fits"
    ]
    assert exit_code_of_survey(found) is ExitCode.OK


def test_a_plan_that_does_not_fit_says_what() -> None:
    found = survey(7_000)
    (line,) = survey_lines(found, ROOT)
    assert "only 7.0 kB are free in /data: 1.0 kB are lacking" in line.text
    assert line.text.endswith("no room for nvs pointclouds")
    assert [row[-1] for row in survey_table(found).rows] == ["yes", "no"]
    assert exit_code_of_survey(found) is ExitCode.DISK_FULL


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RemoteFileMissingError("nvs/c.pcd", "404"), ExitCode.SOME_FAILED),
        (AccessDeniedError("nvs/c.pcd", "401"), ExitCode.NO_ACCESS),
    ],
)
def test_what_the_server_does_not_say_is_not_made_up(error: FetchError, code: ExitCode) -> None:
    found = survey(10_000, error)
    assert survey_table(found).rows[1][3] == "5.0 kB + 1 unknown"
    text = "\n".join(line.text for line in survey_lines(found, ROOT))
    assert "no size for 1 file" in text
    assert f"nvs/c.pcd: {error.reason}" in text
    assert exit_code_of_survey(found) is code


def test_the_document() -> None:
    document = json.loads(json.dumps(survey_document(survey(7_000), ROOT, ExitCode.DISK_FULL)))
    assert document["command"] == "fetch --dry-run"
    assert (document["missing_bytes"], document["fits"]) == (8_000, False)
    assert document["assets"][1] == {
        "task": "nvs",
        "asset": "pointclouds",
        "files": 2,
        "complete_files": 0,
        "unsized_files": 0,
        "size_bytes": 10_000,
        "local_bytes": 2_000,
        "missing_bytes": 8_000,
        "fits": False,
    }
    assert document["files"][1] == {
        "path": "nvs/b.pcd",
        "state": "partial",
        "size_bytes": 5_000,
        "local_bytes": 2_000,
        "error": None,
    }
