"""Looks at a root while it is written to: only right files may stand under final names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from tests.support.corpora import STATE_FOLDER


class TreeWatch:
    """Compares every visible file with what it should be, again whenever its stat has changed.

    A file is looked at where it stands, so a final name that is wrong for longer than one look
    is found; after a kill the tree stands still and nothing is missed.
    """

    def __init__(self, root: Path, expected_sha256: Mapping[str, str]) -> None:
        self._root = root
        self._expected = expected_sha256
        self._seen: dict[str, tuple[int, int, int]] = {}
        self.looks = 0

    @property
    def complete(self) -> bool:
        """Whether every expected file has been seen, right."""
        return self._seen.keys() == self._expected.keys()

    def look(self) -> None:
        """One look at the whole tree.

        Raises:
            AssertionError: a visible file is wrong, or does not belong there.
        """
        self.looks += 1
        for folder, folders, names in os.walk(self._root):
            if Path(folder) == self._root and STATE_FOLDER in folders:
                folders.remove(STATE_FOLDER)
            for name in names:
                self._check(Path(folder) / name)

    def _check(self, path: Path) -> None:
        relative = path.relative_to(self._root).as_posix()
        assert relative in self._expected, f"{relative} does not belong to the tree"
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            identity = (status.st_ino, status.st_size, status.st_mtime_ns)
            if self._seen.get(relative) == identity:
                return
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        assert digest == self._expected[relative], f"{relative} is wrong under its final name"
        self._seen[relative] = identity
