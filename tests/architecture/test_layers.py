"""The house keeps its order: layers, small files that say what they are, a light import."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nersemble_async import errors

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "nersemble_async"
MOST_LINES = 310

HEAVY = ("aiohttp", "pydantic", "numpy", "av", "rich", "structlog", "typer", "anyio", "trimesh")
"""What takes time to load, and is loaded where it is used."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the package."""

    name: str
    text: str
    tree: ast.Module


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    files = sorted(PACKAGE.rglob("*.py"))
    texts = {file.relative_to(PACKAGE).as_posix(): file.read_text("utf-8") for file in files}
    assert len(texts) > 50
    return [Source(name, text, ast.parse(text)) for name, text in texts.items()]


# ---- layers -------------------------------------------------------------------------------------


def test_imports_point_down() -> None:
    """The contracts of pyproject.toml; this also fails where one of them cannot be checked."""
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(script), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


BANNED_CALLS = {"create_task", "gather", "ensure_future", "run_in_executor"}


def calls(tree: ast.Module) -> Iterator[str]:
    """The last name of every call: ``asyncio.gather(…)`` is ``gather``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute):
                yield called.attr
            elif isinstance(called, ast.Name):
                yield called.id


def test_no_task_outlives_its_group(sources: list[Source]) -> None:
    assert [s.name for s in sources if BANNED_CALLS & set(calls(s.tree))] == []


# ---- files --------------------------------------------------------------------------------------


def test_a_file_says_what_it_is(sources: list[Source]) -> None:
    """In its first line: a summary that is a sentence."""
    summaries = {s.name: (ast.get_docstring(s.tree) or "").split("\n")[0] for s in sources}
    bad = {name for name, summary in summaries.items() if len(summary) < 15}
    bad |= {name for name, summary in summaries.items() if not summary.endswith((".", ":", "`"))}
    bad |= {s.name for s in sources if not s.text.startswith('"""')}
    assert bad == set()


def test_a_file_says_one_thing(sources: list[Source]) -> None:
    lines = {s.name: len(s.text.splitlines()) for s in sources}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_names_mean_something(sources: list[Source]) -> None:
    """These are names of places where anything is put."""
    empty = {"utils", "util", "helpers", "common", "core", "misc"}
    assert [s.name for s in sources if empty & set(re.split(r"[/._]", s.name))] == []


def test_the_official_class_names_are_the_only_managers(sources: list[Source]) -> None:
    nodes = (node for s in sources for node in ast.walk(s.tree))
    found = {n.name for n in nodes if isinstance(n, ast.ClassDef) and "Manager" in n.name}
    assert found <= {"NVSDataManager", "MonoFlameAvatarDataManager", "SVFRDataManager"}


# ---- the tree of errors -------------------------------------------------------------------------


def drawn_tree() -> dict[str, str | None]:
    """Parent by name, as the docstring of `errors` draws it (None for the root)."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]
        match = re.match(r"    ([ │├└─]*)([A-Z]\w+Error)\b", line)
        if match is not None:
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            parents[match[2]] = path[depth - 1] if depth else None
    return parents


def test_the_drawn_tree_is_the_tree() -> None:
    classes = {value for value in vars(errors).values() if inspect.isclass(value)}
    actual = {
        kind.__name__: next(
            (base.__name__ for base in kind.__bases__ if base in classes),
            None,
        )
        for kind in classes
    }
    assert drawn_tree() == actual
    assert [name for name, parent in actual.items() if parent is None] == ["NersembleError"]


# ---- imports ------------------------------------------------------------------------------------


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after it."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_costs_nothing() -> None:
    loaded = loaded_by("import nersemble_async")
    assert "nersemble_async" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import nersemble_async.constants", ("aiohttp", "av", "anyio", "rich", "trimesh")),
        ("from nersemble_async import Fetcher", ("av", "rich", "typer", "structlog", "trimesh")),
        ("from nersemble_async import Settings", ("aiohttp", "numpy", "av", "rich", "anyio")),
        ("from nersemble_async import NersembleError", HEAVY),
        ("import nersemble_async.cache.partial_file", ("aiohttp", "pydantic", "numpy", "anyio")),
    ],
)
def test_a_part_loads_only_what_it_needs(statement: str, absent: tuple[str, ...]) -> None:
    assert not loaded_by(statement) & set(absent)
