"""The official validator, beside our report of the same zips in its form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nersemble_async.benchmark.spec import Task
from nersemble_async.submission.issues import SubmissionReport
from nersemble_async.submission.validation.validate import validate_zip
from tests.support.broken_files import MESHES, VIDEOS
from tests.support.broken_zips import NAMES, BrokenZip
from tests.support.official import official_python, run_official
from tests.support.submission_files import N_FRAMES, metadata_of
from tests.support.submissions import metadata_json

ZOO = {broken.name: broken for broken in (*NAMES, *VIDEOS, *MESHES)}
HAVE_METADATA: tuple[Task, ...] = ("nvs", "mono_flame_avatar")

OFFICIAL = """
import io, json
from nersemble_benchmark.data import submission_data
from nersemble_benchmark.util import metadata

# The metadata would be fetched by its URL.
metadata.urlopen = lambda url: io.StringIO(texts["nvs" if "nvs" in url else "mono_flame_avatar"])
metadata.NERSEMBLE_BENCHMARK_URL_NVS = "nvs"
metadata.NERSEMBLE_BENCHMARK_URL_MONO_FLAME_AVATAR = "mono"
texts = argument["metadata"]
readers = {
    "nvs": submission_data.NVSSubmissionDataReader,
    "mono_flame_avatar": submission_data.MonoFlameAvatarSubmissionDataReader,
    "svfr": submission_data.SVFRSubmissionDataReader,
}
result = {}
for name, (task, path) in argument["zips"].items():
    try:
        found = readers[task](path).validate_submission()
        # As the command line shows it, key by key.
        result[name] = [[key, found[key]] for key in found]
    except Exception as error:
        result[name] = f"crashed: {type(error).__name__}: {error}"
"""


@pytest.fixture(scope="module")
def official_and_ours(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[Any, SubmissionReport]]:
    official_python()
    folder = tmp_path_factory.mktemp("zoo")
    paths = {name: broken.write(folder) for name, broken in ZOO.items()}
    argument = {
        "metadata": {task: metadata_json(task, N_FRAMES) for task in HAVE_METADATA},
        "zips": {name: (ZOO[name].task, str(path)) for name, path in paths.items()},
    }
    official = run_official(OFFICIAL, argument)
    return {name: (official[name], ours(broken, paths[name])) for name, broken in ZOO.items()}


def ours(broken: BrokenZip, path: Path) -> SubmissionReport:
    return validate_zip(path, broken.task, metadata_of(broken.task))


@pytest.mark.parametrize("name", [name for name in ZOO if not ZOO[name].official_crashes])
def test_our_report_is_the_official_one_key_by_key(
    name: str, official_and_ours: dict[str, tuple[Any, SubmissionReport]]
) -> None:
    official, report = official_and_ours[name]
    in_its_form = json.loads(json.dumps(list(report.official_report().items())))
    assert in_its_form == official


@pytest.mark.parametrize("name", [name for name in ZOO if ZOO[name].official_crashes])
def test_where_the_official_one_crashes_ours_tells_why(
    name: str, official_and_ours: dict[str, tuple[Any, SubmissionReport]]
) -> None:
    official, report = official_and_ours[name]
    assert str(official).startswith("crashed: ")
    assert ZOO[name].rule in [issue.rule for issue in report.errors]
