"""Locks: held against other processes and threads, gone with their process."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nersemble_async.cache.locking import append_lock, open_locked
from nersemble_async.errors import CacheError, CacheLockedError

HOLDER = """
import sys
from pathlib import Path
from nersemble_async.cache.locking import open_locked

open_locked(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_file_is_made_and_may_be_read_and_written(tmp_path: Path) -> None:
    descriptor = open_locked(tmp_path / "x.part")
    os.pwrite(descriptor, b"abc", 0)
    assert os.pread(descriptor, 3, 0) == b"abc"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    os.close(open_locked(tmp_path / "x.part"))
    assert (tmp_path / "x.part").read_bytes() == b"abc", "nothing is cut"


def test_another_process_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    with held_by_another_process(path) as process:
        with pytest.raises(CacheLockedError, match=r"^x\.part is being written by another"):
            open_locked(path)
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=30) == -signal.SIGKILL
        os.close(open_locked(path))


def test_two_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    descriptor = open_locked(tmp_path / "x.part")
    with pytest.raises(CacheLockedError):
        open_locked(tmp_path / "x.part")
    os.close(open_locked(tmp_path / "y.part"))
    os.close(descriptor)
    os.close(open_locked(tmp_path / "x.part"))


def test_a_refused_lock_leaves_no_descriptor_open(tmp_path: Path) -> None:
    held = open_locked(tmp_path / "x.part")
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - a count is enough
    for _ in range(3):
        with pytest.raises(CacheLockedError):
            open_locked(tmp_path / "x.part")
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208
    os.close(held)


@pytest.mark.parametrize("change", ["renamed", "removed", "replaced"])
def test_a_file_that_went_away_between_open_and_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Its last holder finished with it at that very moment: the lock must be on what is there."""
    path = tmp_path / "x.part"
    path.write_bytes(b"old")
    real_flock = fcntl.flock
    seen = []

    def flock_late(descriptor: int, operation: int) -> None:
        seen.append(descriptor)
        if len(seen) == 1:
            if change == "renamed":
                path.rename(tmp_path / "final")
            elif change == "removed":
                path.unlink()
            else:
                (tmp_path / "new").write_bytes(b"new")
                (tmp_path / "new").replace(path)
        real_flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock_late)
    descriptor = open_locked(path)
    assert len(seen) == 2
    assert os.fstat(descriptor).st_ino == path.stat().st_ino
    assert path.read_bytes() == (b"new" if change == "replaced" else b"")
    os.close(descriptor)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(CacheError, match="offers no file locks") as caught:
        open_locked(tmp_path / "x.part")
    assert type(caught.value) is CacheError
    assert os.strerror(number) in str(caught.value)


def test_append_lock_waits_for_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "log"
    one, other = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    entered = threading.Event()

    def second() -> None:
        with append_lock(other):
            entered.set()

    thread = threading.Thread(target=second)
    with append_lock(one):
        thread.start()
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not entered.is_set()
    thread.join(timeout=30)
    assert entered.is_set()
    os.close(one)
    os.close(other)


def test_append_lock_lets_go_on_errors(tmp_path: Path) -> None:
    def fail() -> None:
        with append_lock(one):
            raise RuntimeError("inside")

    one, other = (os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT) for _ in range(2))
    with pytest.raises(RuntimeError, match="inside"):
        fail()
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(one)
    os.close(other)
