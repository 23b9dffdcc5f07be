"""Real, small file systems: a tmpfs of so many bytes.

Mounting takes root: where the tests run as an ordinary user, a file of tests runs once more in a
user namespace, in which they are root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_INSIDE = "NERSEMBLE_TESTS_INSIDE_NAMESPACE"
# Read at import: the fixture `clean_environment` removes NERSEMBLE_* from a running test.
_IS_INSIDE = _INSIDE in os.environ


def _can(*arguments: str) -> bool:
    return subprocess.run(arguments, check=False, capture_output=True, timeout=20).returncode == 0


def _can_mount(folder: Path) -> bool:
    folder.mkdir(exist_ok=True)
    if not _can("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)):
        return False
    subprocess.run(["umount", str(folder)], check=True, timeout=20)
    return True


def require_mounting(folder: Path) -> None:
    """Skip the test where nothing can be mounted; in CI, fail it.

    It is no loss where `run_in_namespace` does its part.
    """
    if _can_mount(folder):
        return
    reason = "a small tmpfs can be mounted neither as this user nor in a user namespace"
    if not _IS_INSIDE and shutil.which("unshare") and _can("unshare", "-rm", "true"):
        reason = "runs inside a user namespace: see test_all_of_this_in_a_namespace"
    elif os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run_in_namespace(test_file: str, folder: Path) -> None:
    """Run all tests of a file as root of a user namespace; skip where that is not needed."""
    if _IS_INSIDE or _can_mount(folder):
        pytest.skip("not needed: this user may mount")
    if not (shutil.which("unshare") and _can("unshare", "-rm", "true")):
        pytest.skip("there are no user namespaces here")
    inner = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", test_file]
    done = subprocess.run(
        ["unshare", "-rm", *inner],
        env={**os.environ, _INSIDE: "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout.replace("1 skipped", ""), done.stdout


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A folder that is made, on a tmpfs of so many bytes."""
    folder.mkdir(parents=True)
    options = ["-o", f"size={size_bytes}"]
    command = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
    subprocess.run(command, check=True, timeout=20)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=20)


def grow(folder: Path, size_bytes: int) -> None:
    """Make room on a `small_disk`."""
    options = f"remount,size={size_bytes}"
    subprocess.run(["mount", "-o", options, str(folder)], check=True, timeout=20)
