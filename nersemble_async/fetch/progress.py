"""What a fetch tells while it runs (events) and when it ends (report).

Events are small frozen values; nothing in them is a URL. Paths are relative to the root, with
forward slashes and the task first: ``nvs/388/calibration/camera_params.json``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from nersemble_async.errors import (
    AccessDeniedError,
    DiskFullError,
    IntegrityError,
    NersembleError,
)


class EvidenceGrade(IntEnum):
    """How well a file's bytes are known to be right; higher is better.

    Only `PUBLISHED` and `RECORDED` compare a digest, so only they are called verified.
    """

    SIZE = 1
    """The length is what the server said; nothing more is known."""
    CONTENT = 2
    """The content parses as what it should be (frame count, header × points, CRCs, schema)."""
    RECORDED = 3
    """sha-256 equals an earlier record of ours or a colleague's."""
    PUBLISHED = 4
    """sha-256 equals what the server or a checksums file published."""

    def __str__(self) -> str:
        return self.name.lower()


class Outcome(Enum):
    """How a file's work ended."""

    FETCHED = "fetched"
    """Its bytes came over the network (all or the missing part of them)."""
    ADOPTED = "adopted"
    """It was there without a record: size asked, content checked, hash recorded."""
    PRESENT = "present"
    """It was there with a record that still fits; no request was made for it."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not tried, or not finished, since the run ended first; what was received is kept."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The plan is known and the disk was looked at."""

    files: int
    present_files: int
    """Complete on disk already."""
    present_bytes: int
    expected_bytes: int | None
    """Of the whole plan, estimated from sizes already known; None where nothing is known yet."""


@dataclass(frozen=True, slots=True)
class FileStarted:
    """The first answer for a file came: its size is known."""

    path: str
    size_bytes: int | None
    """None where the server sent no length."""
    resumed_bytes: int
    """Already here from an earlier, interrupted transfer."""


@dataclass(frozen=True, slots=True)
class FileDeferred:
    """Another process is writing this file; it is looked at again when all else is done."""

    path: str


@dataclass(frozen=True, slots=True)
class BytesReceived:
    """Bytes of one file came (a part of a range, about a MiB; not cumulative)."""

    path: str
    count_bytes: int


@dataclass(frozen=True, slots=True)
class FileRestarted:
    """What was received of a file is void (it changed on the server, or its digest was wrong)."""

    path: str
    discarded_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class FileRetried:
    """A transient fault; the request is made again after `wait_seconds`."""

    path: str
    failures: int
    """In a row without progress; 0 where bytes came before the connection broke."""
    wait_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class FileFinished:
    """The last word on a file."""

    path: str
    outcome: Outcome
    size_bytes: int = 0
    received_bytes: int = 0
    """Body bytes that came over the network for it in this run."""
    grade: EvidenceGrade | None = None
    sha256: str | None = None
    error: NersembleError | None = None
    """Why it failed; None otherwise."""


FetchEvent = (
    RunStarted
    | FileStarted
    | FileDeferred
    | BytesReceived
    | FileRestarted
    | FileRetried
    | FileFinished
)


class ExitCode(IntEnum):
    """Exit codes of ``fetch`` and ``verify``, and `FetchReport.exit_code`."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    NO_ACCESS = 3
    DISK_FULL = 4
    INTEGRITY = 5
    INTERRUPTED = 130


@dataclass(slots=True)
class FetchReport:
    """What a run came to: one `FileFinished` for each planned file, in the order they ended."""

    files: list[FileFinished] = field(default_factory=list)
    seconds: float = 0.0
    retries: int = 0
    stopped: NersembleError | None = None
    """What ended the whole run early (disk full, refused access, an unreachable server)."""
    cancelled: bool = False
    """The run was interrupted; state is kept and a next run goes on from it."""

    @property
    def received_bytes(self) -> int:
        """Body bytes that came over the network."""
        return sum(f.received_bytes for f in self.files)

    @property
    def size_bytes(self) -> int:
        """Of all files that are complete now."""
        return sum(f.size_bytes for f in self.files if f.outcome is not Outcome.FAILED)

    @property
    def failures(self) -> list[FileFinished]:
        """The files that failed, with their errors."""
        return [f for f in self.files if f.outcome is Outcome.FAILED]

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many files ended how."""
        return Counter(f.outcome for f in self.files)

    @property
    def grades(self) -> Counter[EvidenceGrade]:
        """How many complete files stand on which evidence."""
        return Counter(f.grade for f in self.files if f.grade is not None)

    @property
    def exit_code(self) -> ExitCode:
        """The gravest of what happened: interrupted, disk, access, integrity, failed, ok."""
        errors = [f.error for f in self.failures if f.error is not None]
        if self.stopped is not None:
            errors.append(self.stopped)
        if self.cancelled:
            return ExitCode.INTERRUPTED
        for kind, code in (
            (DiskFullError, ExitCode.DISK_FULL),
            (AccessDeniedError, ExitCode.NO_ACCESS),
            (IntegrityError, ExitCode.INTEGRITY),
        ):
            if any(isinstance(error, kind) for error in errors):
                return code
        unfinished = any(f.outcome in (Outcome.FAILED, Outcome.SKIPPED) for f in self.files)
        return ExitCode.SOME_FAILED if errors or unfinished else ExitCode.OK
