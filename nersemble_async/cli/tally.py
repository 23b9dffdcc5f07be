"""What the events of a run add up to: files, bytes, rate, remaining time (pure, no output)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nersemble_async.fetch.progress import (
    BytesReceived,
    FetchEvent,
    FileDeferred,
    FileFinished,
    FileRestarted,
    FileRetried,
    FileStarted,
    Outcome,
    RunStarted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nersemble_async.fetch.plan import FetchPlan

Kind = tuple[str, ...]
"""What a file is, the most general first, such as (task, asset, participant)."""

_WINDOW_SECONDS = 12.0
_SAMPLE_SECONDS = 0.2
_COMPLETE = (Outcome.FETCHED, Outcome.ADOPTED, Outcome.PRESENT)


def kinds_of(plan: FetchPlan) -> dict[str, Kind]:
    """(task, asset, participant) of each file of ``plan``, by path."""
    return {file.path: (file.task, file.asset, str(file.participant_id)) for file in plan}


@dataclass(slots=True)
class ActiveFile:
    """One file whose transfer is under way."""

    path: str
    size_bytes: int | None
    """None where the server sent no length."""
    have_bytes: int
    """On disk: resumed and received."""
    note: str = ""
    """Why it waits, where it does."""


class SizeEstimate:
    """Mean sizes of files seen, by kind, to guess the sizes of files not seen yet."""

    def __init__(self) -> None:
        self._sums: dict[Kind, tuple[int, int]] = {}

    def add(self, kind: Kind, size_bytes: int) -> None:
        """Learn one file's size."""
        for length in range(len(kind) + 1):
            files, total_bytes = self._sums.get(kind[:length], (0, 0))
            self._sums[kind[:length]] = files + 1, total_bytes + size_bytes

    def guess_bytes(self, kind: Kind) -> float | None:
        """The mean size of the nearest kind that was seen; None where none was."""
        for length in range(len(kind), -1, -1):
            files, total_bytes = self._sums.get(kind[:length], (0, 0))
            if files:
                return total_bytes / files
        return None


@dataclass(slots=True)
class Progress:
    """What is being done and how far it is; both may change while it is shown."""

    verb: str
    tally: Tally


class Tally:
    """Takes every event of a run, in order; tells at any time how far the run is.

    Args:
        kinds: what each planned file is, by its path; unknown sizes are guessed from the mean of
            files of the same kind.
        clock: seconds, monotonic.
        unit: what is counted.
    """

    def __init__(
        self, kinds: Mapping[str, Kind], clock: Callable[[], float], unit: str = "files"
    ) -> None:
        self._kinds = kinds
        self._clock = clock
        self._started_at = clock()
        self._unknown: dict[Kind, int] = {}
        for kind in kinds.values():
            self._unknown[kind] = self._unknown.get(kind, 0) + 1
        self._estimate = SizeEstimate()
        self._sized: dict[str, int] = {}
        self._samples: deque[tuple[float, int]] = deque([(self._started_at, 0)])
        self._settled_bytes = 0
        self._expected_bytes: int | None = None
        self.unit = unit
        self.files = len(kinds)
        self.finished: list[FileFinished] = []
        self.complete_files = 0
        self.failed_files = 0
        self.received_bytes = 0
        self.retries = 0
        self.active: dict[str, ActiveFile] = {}

    def add(self, event: FetchEvent) -> None:
        """Take one event."""
        match event:
            case BytesReceived(path, count_bytes):
                self._receive(path, count_bytes)
            case FileStarted(path, size_bytes, resumed_bytes):
                self.active[path] = ActiveFile(path, size_bytes, resumed_bytes)
                if size_bytes is not None:
                    self._learn_size(path, size_bytes)
            case FileFinished():
                self._finish(event)
            case FileDeferred() | FileRetried() | FileRestarted():
                self._hold_up(event)
            case RunStarted():
                self.files = event.files
                self._expected_bytes = event.expected_bytes

    def _hold_up(self, event: FileDeferred | FileRetried | FileRestarted) -> None:
        """Note at an active file why it does not go on just now."""
        if isinstance(event, FileDeferred):
            self.active[event.path] = ActiveFile(event.path, None, 0)
        active = self.active.get(event.path, ActiveFile(event.path, None, 0))
        match event:
            case FileRetried():
                self.retries += 1
                active.note = f"again in {event.wait_seconds:.0f} s: {event.reason}"
            case FileRestarted():
                active.have_bytes = max(0, active.have_bytes - event.discarded_bytes)
                active.note = f"anew: {event.reason}"
            case FileDeferred():
                active.note = "another process is fetching it"

    def _receive(self, path: str, count_bytes: int) -> None:
        self.received_bytes += count_bytes
        if path in self.active:
            self.active[path].have_bytes += count_bytes
            self.active[path].note = ""
        now = self._clock()
        if now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, self.received_bytes))
            while len(self._samples) > 2 and now - self._samples[1][0] > _WINDOW_SECONDS:  # noqa: PLR2004 -- a rate takes two samples
                self._samples.popleft()

    def _learn_size(self, path: str, size_bytes: int) -> None:
        if path in self._sized or path not in self._kinds:
            return
        self._forget_unknown(path)
        self._sized[path] = size_bytes
        self._estimate.add(self._kinds[path], size_bytes)

    def _forget_unknown(self, path: str) -> None:
        kind = self._kinds[path]
        self._unknown[kind] -= 1
        if not self._unknown[kind]:
            del self._unknown[kind]

    def _finish(self, event: FileFinished) -> None:
        self.finished.append(event)
        active = self.active.pop(event.path, None)
        if event.outcome in _COMPLETE:
            self.complete_files += 1
            self._learn_size(event.path, event.size_bytes)
            self._sized[event.path] = event.size_bytes
            self._settled_bytes += event.size_bytes
            return
        if event.outcome is Outcome.FAILED:
            self.failed_files += 1
        # Nothing more will come of it: what is here of it is all that it adds to the total.
        have_bytes = active.have_bytes if active is not None else 0
        if event.path in self._sized:
            self._sized[event.path] = have_bytes
        elif event.path in self._kinds:
            self._forget_unknown(event.path)
        self._settled_bytes += have_bytes

    @property
    def have_bytes(self) -> int:
        """On disk now: complete files and what is here of the others."""
        return self._settled_bytes + sum(file.have_bytes for file in self.active.values())

    @property
    def total_bytes(self) -> float | None:
        """Of the whole plan, unknown sizes guessed; None where there is nothing to guess from."""
        total = float(sum(self._sized.values()))
        for kind, files in self._unknown.items():
            guess = self._estimate.guess_bytes(kind)
            if guess is None:
                return self._expected_bytes
            total += files * guess
        # The run's own estimate has asked for sizes of what comes late.
        return max(total, self._expected_bytes or 0) if self._unknown else total

    @property
    def share(self) -> float | None:
        """How much of the bytes, or else of the files, is there: 0 to 1; None where unknown."""
        if total := self.total_bytes:
            return min(1.0, self.have_bytes / total)
        return self.complete_files / self.files if self.files and not self.have_bytes else None

    @property
    def total_is_exact(self) -> bool:
        """Every planned file's size is known."""
        return not self._unknown

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self._clock() - self._started_at

    @property
    def bytes_per_second(self) -> float:
        """Over the last seconds; 0 where nothing came."""
        then, received_bytes = self._samples[0]
        passed = self._clock() - then
        return (self.received_bytes - received_bytes) / passed if passed > 0 else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """By the rate of bytes, or of files without bytes; None where nothing is known."""
        if self.complete_files and not self.total_bytes and not self.have_bytes:
            return self.seconds / self.complete_files * (self.files - self.complete_files)
        total, rate = self.total_bytes, self.bytes_per_second
        if total is None or rate <= 0:
            return None
        return max(0.0, total - self.have_bytes) / rate
