"""A tiny stand-in of all three tasks, made once for all tests that only read it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from nersemble_async.synthetic.dataset import synthesize
from nersemble_async.synthetic.scale import SCALES, SyntheticScale

TINY: SyntheticScale = SCALES["tiny"]


@cache
def tiny_stand_in() -> Path:
    """The root of it; to be read, not written."""
    root = Path(tempfile.mkdtemp(prefix="stand_in_"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    synthesize(root, TINY)
    return root
