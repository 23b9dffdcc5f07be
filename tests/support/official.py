"""The official toolkit as an oracle, in a Python of its own: it is heavy and pins old packages."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest

# Read at import: the fixture `clean_environment` removes NERSEMBLE_* from a running test.
_GIVEN_PYTHON = os.environ.get("NERSEMBLE_OFFICIAL_PYTHON")
_IS_REQUIRED = bool(os.environ.get("CI")) and bool(os.environ.get("NERSEMBLE_OFFICIAL_REQUIRED"))


def official_python() -> str:
    """An interpreter that has ``nersemble_benchmark``; skips the test where there is none.

    It is ``NERSEMBLE_OFFICIAL_PYTHON`` if that is set, else this one if it has the package.
    With both ``CI`` and ``NERSEMBLE_OFFICIAL_REQUIRED`` set, its absence fails the test.
    """
    if _GIVEN_PYTHON:
        return _GIVEN_PYTHON
    if importlib.util.find_spec("nersemble_benchmark") is not None:
        return sys.executable
    reason = (
        "the official toolkit is not installed here; install nersemble_benchmark==0.2.0 into a "
        "virtual environment and set NERSEMBLE_OFFICIAL_PYTHON to its python"
    )
    if _IS_REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def run_official(code: str, argument: object = None, timeout_seconds: float = 100) -> Any:
    """Run ``code`` in `official_python` and return its ``result``.

    Both ways by JSON: ``code`` finds ``argument`` and assigns ``result``. Its other output is
    dropped.
    """
    program = (
        "import contextlib, io, json, sys\n"
        "argument = json.load(sys.stdin)\n"
        "names = {'argument': argument}\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    exec({code!r}, names)\n"
        "json.dump(names['result'], sys.stdout)\n"
    )
    completed = subprocess.run(
        [official_python(), "-c", program],
        input=json.dumps(argument),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    if completed.returncode != 0:
        pytest.fail(f"the official toolkit failed:\n{completed.stderr}")
    return json.loads(completed.stdout)
