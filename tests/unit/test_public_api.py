"""What the package offers, loaded on first use."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nersemble_async

OFFERED = {
    "CameraCalibration",
    "EvidenceGrade",
    "FetchPlan",
    "FetchReport",
    "Fetcher",
    "FlameProvider",
    "FlameTracking",
    "Frame",
    "FrameCache",
    "FrameFormat",
    "ImageKey",
    "MonoFlameAvatarDataManager",
    "MonoFlameAvatarSubmissionDataReader",
    "MonoFlameAvatarSubmissionDataWriter",
    "MultiViewFrame",
    "NVSDataManager",
    "NVSSubmissionDataReader",
    "NVSSubmissionDataWriter",
    "NersembleError",
    "PlannedFile",
    "Pointcloud",
    "SVFRDataManager",
    "SVFRSubmissionDataReader",
    "SVFRSubmissionDataWriter",
    "Selection",
    "Settings",
    "SubmissionIssue",
    "SubmissionReport",
    "make_frame_cache",
    "validate_submission",
}


def test_what_is_offered() -> None:
    """A name that goes breaks somebody's code: change this on purpose."""
    assert set(nersemble_async.__all__) == OFFERED
    assert nersemble_async.__all__ == sorted(nersemble_async.__all__)
    assert set(dir(nersemble_async)) >= OFFERED


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_every_name_is_the_one_of_its_home(name: str) -> None:
    value = getattr(nersemble_async, name)
    assert value.__name__ == name
    assert value.__module__.startswith("nersemble_async.")
    assert value.__doc__


def test_type_checkers_see_the_same_names() -> None:
    """Those of the lazy table stand in the TYPE_CHECKING block, from the same places."""
    tree = ast.parse(Path(nersemble_async.__file__).read_text("utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nersemble_async.")
        for alias in node.names
        if alias.name != "__version__"
    }
    assert seen == {
        name: f"nersemble_async.{home}" for name, home in nersemble_async._HOMES.items()
    }
    assert seen.keys() == OFFERED


def test_other_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Download'"):
        nersemble_async.Download  # noqa: B018 - the access is the test


def test_a_star_import_brings_them() -> None:
    code = "from nersemble_async import *\nprint(sorted(n for n in dir() if n[0] != '_'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == sorted(OFFERED)


def test_the_version_is_that_of_the_distribution() -> None:
    pyproject = Path(nersemble_async.__file__).parent.parent / "pyproject.toml"
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    assert nersemble_async.__version__ == project["version"]


def test_types_are_told() -> None:
    assert (Path(nersemble_async.__file__).parent / "py.typed").is_file()
