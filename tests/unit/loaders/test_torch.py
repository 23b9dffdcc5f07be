"""Without PyTorch the datasets say which extra is missing."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["torch"] = None
try:
    import nersemble_async.loaders.torch
except ModuleNotFoundError as error:
    print(error)
"""


def test_names_the_extra_that_is_missing() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert "pip install 'nersemble-async[torch]'" in answer.stdout
