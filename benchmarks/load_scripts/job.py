"""What a measured script is told, and how it answers; runs in every peer's interpreter.

Only the standard library is used, so that an interpreter needs nothing but the peer itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

RESULT_MARK = "load_result="
"""Begins the line of output that holds an `Outcome` as JSON."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work on one corpus."""

    work: str
    """The name of the script's function."""
    root: str
    """The folder with ``nvs/`` and ``mono_flame_avatar/`` in the official layout."""
    scratch: str
    """An empty folder."""
    participant_id: int
    sequence_name: str
    serials: list[str]
    """The cameras; the first where one is enough."""
    steps: list[int]
    """Frame indices or timesteps, in the order in which they are wanted."""
    checked: list[int]
    """Those of `steps` whose content is to be told."""
    options: dict[str, Any] = field(default_factory=dict)
    """What distinguishes a tool's settings."""

    def video(self, serial: str) -> str:
        """The path of a camera's images."""
        return f"{self._sequence}/images/cam_{serial}.mp4"

    def pointcloud(self, timestep: int) -> str:
        """The path of a pointcloud."""
        return f"{self._sequence}/pointclouds/frame_{timestep:05d}.pcd"

    @property
    def flame_tracking(self) -> str:
        """The path of the current version of the FLAME tracking."""
        folder = f"{self.root}/mono_flame_avatar/{self.participant_id:03d}"
        return f"{folder}/sequences/{self.sequence_name}/tracking/flame2023_tracking_v2.npz"

    @property
    def _sequence(self) -> str:
        return f"{self.root}/nvs/{self.participant_id:03d}/sequences/{self.sequence_name}"


@dataclass(slots=True)
class Outcome:
    """What the work came to."""

    seconds: float
    """Without imports; opening files and decoders included."""
    units: int
    """Frames, clouds: what the seconds are divided by."""
    cpu_seconds: float
    """Of all threads during those seconds: what a busy machine disturbs less."""
    digests: dict[str, str] = field(default_factory=dict)
    """sha-256 of contents, by `label`; equal to the official toolkit's or the run is void."""
    figures: dict[str, float] = field(default_factory=dict)
    """Other numbers, such as ``late_growth_bytes``."""


class Array(Protocol):
    """What is needed of a NumPy array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of its axes."""

    @property
    def dtype(self) -> object:
        """Its name is its text."""

    def tobytes(self) -> bytes:
        """In C order."""


class Meter:
    """Times what is done within it, and sees how memory grows."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.figures: dict[str, float] = {}
        self._early_peak = 0

    def __enter__(self) -> Self:
        # Only the first time: later ones would count what the work itself holds.
        if "idle_rss_bytes" not in self.figures:
            self.figures["idle_rss_bytes"] = _status_bytes("VmRSS")
        self._started_cpu = time.process_time()
        self._started = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.seconds += time.perf_counter() - self._started
        self.cpu_seconds += time.process_time() - self._started_cpu
        if self._early_peak:
            self.figures["late_growth_bytes"] = _status_bytes("VmHWM") - self._early_peak

    def step(self, number: int, count: int) -> None:
        """Say that ``number`` of ``count`` steps are done: the peak at a third is remembered."""
        if number == count // 3:
            self._early_peak = _status_bytes("VmHWM")

    def outcome(self, units: int, digests: Mapping[str, str] | None = None) -> Outcome:
        """What was measured, for `units` of work."""
        return Outcome(self.seconds, units, self.cpu_seconds, dict(digests or {}), self.figures)


def label(job: Job, what: str, step: int) -> str:
    """The name of a content: ``what`` is a serial or ``pointcloud``."""
    return f"{job.participant_id}/{job.sequence_name}/{what}/{step}"


def digest(*arrays: Array) -> str:
    """sha-256 of shapes, dtypes and bytes of NumPy arrays."""
    sha256 = hashlib.sha256()
    for array in arrays:
        sha256.update(f"{array.shape} {array.dtype}".encode())
        sha256.update(array.tobytes())
    return sha256.hexdigest()


def answer(works: Mapping[str, Callable[[Job], Outcome]]) -> None:
    """Do the work named in the job file, the only argument, and print the outcome."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    outcome = works[job.work](job)
    print(f"\n{RESULT_MARK}{json.dumps(asdict(outcome))}")


def read_outcome(output: str) -> Outcome | None:
    """The outcome in a script's output; None where it says none."""
    found = re.findall(rf"^{RESULT_MARK}(\{{.*\}})$", output, re.MULTILINE)
    return Outcome(**json.loads(found[-1])) if found else None


def _status_bytes(name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else 0
