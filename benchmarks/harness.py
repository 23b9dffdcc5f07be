"""Run a program and measure it: wall time, CPU of its whole process tree, peak memory."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Name = TypeVar("Name")

_SAMPLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one program."""

    seconds: float
    """From before fork to after the exit."""
    cpu_seconds: float
    """User and system time of the process and of all descendants it waited for."""
    peak_rss_bytes: int
    """The process's VmHWM, read until its end. ru_maxrss would not do: a child inherits the
    peak of the process that forked it, here of this harness."""
    exit_code: int
    """Negative where a signal ended it."""
    output: str
    """The end of stdout and stderr together."""
    killed: bool
    """``kill_when`` said so, or the time was up."""


def measure(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    output_file: Path,
    timeout_seconds: float,
    kill_when: Callable[[], bool] | None = None,
) -> Measurement:
    """Run ``argv`` to its end, or until it is killed with SIGKILL.

    Args:
        argv: the program and its arguments.
        env: its whole environment.
        output_file: takes stdout and stderr; a file, since a pipe would have to be drained.
        timeout_seconds: after which it is killed.
        kill_when: asked every 20 ms; True kills it.
    """
    ended = threading.Event()
    watch = _Watch(timeout_seconds, kill_when)
    with output_file.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            argv,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        sampler = threading.Thread(target=watch.run, args=(process.pid, ended))
        sampler.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        finally:
            ended.set()
            sampler.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    return Measurement(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=watch.peak_rss_bytes,
        exit_code=process.returncode,
        output=output_file.read_text("utf-8", errors="replace")[-4000:],
        killed=watch.killed,
    )


class _Watch:
    """What the sampling thread does beside a running process."""

    def __init__(self, timeout_seconds: float, kill_when: Callable[[], bool] | None) -> None:
        self._deadline = time.monotonic() + timeout_seconds
        self._kill_when = kill_when
        self.peak_rss_bytes = 0
        self.killed = False

    def run(self, pid: int, ended: threading.Event) -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            self.peak_rss_bytes = max(self.peak_rss_bytes, _peak_rss_bytes(pid))
            due = self._kill_when is not None and self._kill_when()
            if not self.killed and (due or time.monotonic() > self._deadline):
                self.killed = True
                _kill_group(pid)


def _peak_rss_bytes(pid: int) -> int:
    """VmHWM from /proc; 0 where the process is over."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return 0
    match = re.search(rb"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def alternate(names: Sequence[Name], rounds: int) -> Iterator[tuple[int, Name]]:
    """A B C A B C …: what disturbs the machine for a while then falls on all tools alike."""
    for number in range(rounds):
        for name in names:
            yield number, name


def ratio_of_medians(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """How many times as fast ours is: above 1 ours took less time."""
    return statistics.median(theirs) / statistics.median(ours)


def median_of_ratios(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """The same, each round by itself: rounds that were slow for both count as any other.

    Raises:
        ValueError: the sequences differ in length.
    """
    return statistics.median(t / o for t, o in zip(theirs, ours, strict=True))


def file_system(path: Path) -> str:
    """The type of the file system that ``path`` lies on, such as ``tmpfs`` or ``ext4``."""
    return file_system_in(Path("/proc/self/mounts").read_text("utf-8"), path.resolve())


def file_system_in(mounts: str, path: Path) -> str:
    """The last mount in /proc/self/mounts' form whose point is the longest above ``path``."""
    found, found_length = "unknown", -1
    for line in mounts.splitlines():
        point, kind = line.split(" ")[1:3]
        # Blanks in a mount point are written as octal escapes.
        mount = Path(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), point))
        if path.is_relative_to(mount) and len(mount.parts) >= found_length:
            found, found_length = kind, len(mount.parts)
    return found
