"""Fixtures for the codecs' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from nersemble_async.synthetic.flame_model import write_synthetic_flame


@pytest.fixture(scope="session")
def flame_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FLAME's files with the stand-in's head; only to be read."""
    folder = tmp_path_factory.mktemp("flame") / ".cache" / "FLAME"
    write_synthetic_flame(folder)
    return folder
