"""PyTorch and torchdata in a Python of their own that has this package too: torch is heavy."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Read at import: the fixture `clean_environment` removes NERSEMBLE_* from a running test.
_GIVEN_PYTHON = os.environ.get("NERSEMBLE_TORCH_PYTHON")
_IS_REQUIRED = bool(os.environ.get("CI")) and bool(os.environ.get("NERSEMBLE_TORCH_REQUIRED"))
_REPOSITORY = Path(__file__).parents[2]

FILTERS = [
    "error",
    # torch's own: no GPU to pin for, few cores, Python 3.12 on forks, what torchdata calls.
    "ignore:'pin_memory' argument is set as true:UserWarning",
    "ignore:This DataLoader will create:UserWarning",
    "ignore:This process:DeprecationWarning",
    "ignore:'set_vital' is deprecated:UserWarning",
]


def torch_python() -> str:
    """An interpreter that has torch and torchdata; skips the test where there is none.

    It is ``NERSEMBLE_TORCH_PYTHON`` if that is set, else this one if it has the packages. With
    both ``CI`` and ``NERSEMBLE_TORCH_REQUIRED`` set, its absence fails the test.
    """
    if _GIVEN_PYTHON:
        return _GIVEN_PYTHON
    if all(importlib.util.find_spec(name) is not None for name in ("torch", "torchdata")):
        return sys.executable
    reason = (
        "torch and torchdata are not installed here; install torch==2.13.0, torchdata and this "
        "package into a virtual environment and set NERSEMBLE_TORCH_PYTHON to its python"
    )
    if _IS_REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def run_with_torch(script: Path, argument: object, timeout_seconds: float = 100) -> Any:
    """Run a script in `torch_python`, with warnings as errors, and return what it answers.

    Args:
        script: reads JSON from stdin and prints JSON as its last line. A file, since workers
            that are spawned import the main module.
        argument: for its stdin.
        timeout_seconds: of the whole run.
    """
    warnings = [part for warning in FILTERS for part in ("-W", warning)]
    process = subprocess.Popen(
        [torch_python(), *warnings, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(json.dumps(argument), timeout_seconds)
    finally:
        # Workers that hang outlive their parent.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode != 0:
        pytest.fail(f"{script.name} failed:\n{output}\n{errors}")
    return json.loads(output.splitlines()[-1])
