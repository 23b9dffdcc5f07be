"""A folder's first file is a map of it, and the map is true."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "nersemble_async"
NAME = re.compile(r"(?<!`)`([a-z0-9_]+)`(?!`)")


def map_of(folder: Path) -> str:
    return ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""


MAPPED = [
    file.parent
    for file in sorted(PACKAGE.rglob("__init__.py"))
    if "\n- `" in map_of(file.parent) and file.parent != PACKAGE
]


@pytest.mark.parametrize("folder", MAPPED, ids=[folder.name for folder in MAPPED])
def test_a_map_names_what_is_there_and_nothing_else(folder: Path) -> None:
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    modules |= {file.parent.name for file in folder.glob("*/__init__.py")}
    named = set(NAME.findall(map_of(folder)))
    defined = set(
        re.findall(r"^def (\w+)", "".join(map(Path.read_text, folder.glob("*.py"))), re.MULTILINE)
    )
    assert modules - named == set()
    assert named - modules - defined == set()


def test_the_folders_of_submission_and_formats_have_maps() -> None:
    names = {folder.relative_to(PACKAGE).as_posix() for folder in MAPPED}
    assert {"formats", "formats/video", "submission", "submission/writing"} <= names
