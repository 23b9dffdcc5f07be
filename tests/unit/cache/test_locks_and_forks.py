"""Locks that a forked child got copies of, a DataLoader's worker: they end with their holder's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LOCKS = {
    "the log's": """
log = TransientLog(folder / "log")
with log.locked():
    log.put("a", 1)
    child = fork()
locked = folder / "log"
""",
    "a pin's": """
pin = FilePin(folder / "pin")
pin.hold()
os.link(folder / "pin", folder / "same pin")
child = fork()
pin.release()
locked = folder / "same pin"
""",
    "a part file's": """
part = PartialFile(folder / "part", folder / "journal")
os.link(folder / "part", folder / "same part")
child = fork()
part.close()
locked = folder / "same part"
""",
}

PROGRAM = """
import fcntl, os, signal, sys
from pathlib import Path
from nersemble_async.cache.partial_file import PartialFile
from nersemble_async.cache.pins import FilePin
from nersemble_async.cache.transient_log import TransientLog

folder = Path(sys.argv[1])

def fork():
    child = os.fork()
    if child == 0:
        signal.pause()
    return child
{lock}
try:
    fcntl.flock(os.open(locked, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("lock", LOCKS)
def test_a_child_that_lives_on_keeps_no_lock(tmp_path: Path, lock: str) -> None:
    program = PROGRAM.format(lock=LOCKS[lock])
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_that_leaves_lets_go_of_nothing(tmp_path: Path) -> None:
    """It was forked within the context, and unwinds its copy of the stack."""
    program = PROGRAM.format(
        lock="""
pin = FilePin(folder / "pin")
pin.hold()
child = os.fork()
if child == 0:
    pin.release()
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
locked = folder / "pin"
"""
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert "BlockingIOError" in done.stderr
