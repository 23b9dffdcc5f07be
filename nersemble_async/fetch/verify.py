"""Hash files on disk anew and compare them with their records; name the damaged ranges."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import anyio

from nersemble_async.cache.block_checksums import BLOCK_BYTES, block_count, unpack_checksums
from nersemble_async.cache.disk import disk_error
from nersemble_async.cache.extents import ByteRange, ExtentSet
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.records import FileRecord
from nersemble_async.cache.store import LocalState, Store
from nersemble_async.errors import CacheError, DecodeError, IntegrityError, NersembleError
from nersemble_async.fetch.finishing import FileHasher, adopt
from nersemble_async.fetch.plan import FetchPlan, PlannedFile
from nersemble_async.fetch.progress import (
    BytesReceived,
    EvidenceGrade,
    ExitCode,
    FetchEvent,
    FetchReport,
)
from nersemble_async.workers import run_blocking


class VerifyState(Enum):
    """What hashing a file anew showed."""

    OK = "ok"
    """Its sha-256 is the recorded one."""
    DAMAGED = "damaged"
    """Its sha-256 is another, or it cannot be read."""
    MISSING = "missing"
    """It is not there, or only in part."""
    ADOPTED = "adopted"
    """It had no record; its content was checked and its hash recorded, nothing compared."""
    REJECTED = "rejected"
    """It had no record, and its content is not what it should be."""


@dataclass(frozen=True, slots=True)
class FileVerification:
    """One file."""

    path: str
    state: VerifyState
    size_bytes: int = 0
    sha256: str | None = None
    """Of the bytes on disk."""
    grade: EvidenceGrade | None = None
    """Of the record, where the bytes agree with it."""
    damaged_ranges: tuple[ByteRange, ...] = ()
    """Blocks (of a MiB) that differ from the record, merged."""
    error: NersembleError | None = None


@dataclass(slots=True)
class VerifyReport:
    """Every file that was looked at, in the order they ended."""

    files: list[FileVerification] = field(default_factory=list)
    seconds: float = 0.0
    repaired: FetchReport | None = None
    """What the repair came to, where one was asked for and needed."""
    unrepaired: list[CacheError] = field(default_factory=list)
    """Why files could not be touched for the repair (locked by another process, the disk)."""
    _damage: dict[str, tuple[FileRecord, set[int]]] = field(default_factory=dict)

    @property
    def repairable(self) -> list[str]:
        """Paths of damaged, rejected and missing files."""
        bad = (VerifyState.DAMAGED, VerifyState.REJECTED, VerifyState.MISSING)
        return [file.path for file in self.files if file.state in bad]

    @property
    def exit_code(self) -> ExitCode:
        """OK where everything is, or was mended; INTEGRITY for damage; SOME_FAILED for gaps."""
        if self.repaired is not None:
            return ExitCode.INTEGRITY if self.unrepaired else self.repaired.exit_code
        states = {file.state for file in self.files}
        if VerifyState.DAMAGED in states or VerifyState.REJECTED in states:
            return ExitCode.INTEGRITY
        return ExitCode.SOME_FAILED if VerifyState.MISSING in states else ExitCode.OK

    async def prepare_repair(self, store: Store, threads: anyio.CapacityLimiter) -> list[str]:
        """Take what is wrong from under its final name; keep the good blocks for the fetch.

        Returns:
            The paths that can be fetched now; those that cannot are in `unrepaired`.
        """
        prepared: list[str] = []
        for path in self.repairable:
            try:
                await run_blocking(threads, self._clear_the_way, store, path)
            except (CacheError, OSError) as error:
                self.unrepaired.append(disk_error(path, error))
            else:
                prepared.append(path)
        return prepared

    def _clear_the_way(self, store: Store, path: str) -> None:
        if path in self._damage:
            store.reopen_for_repair(*self._damage[path])
        elif store.target(path).exists():
            store.set_aside(path)


async def verify_files(
    store: Store,
    threads: anyio.CapacityLimiter,
    plan: FetchPlan,
    on_event: Callable[[FetchEvent], None] | None,
) -> VerifyReport:
    """Hash every file of ``plan``, as many at once as there are cores. Makes no request."""
    report = VerifyReport()
    started = anyio.current_time()
    files = iter(tuple(plan))

    async def work() -> None:
        for file in files:
            try:
                found = await _verify_one(store, threads, file, report, on_event)
            except (OSError, CacheError) as error:  # the disk itself: what this looks for
                failure = disk_error(file.path, error)
                found = FileVerification(file.path, VerifyState.DAMAGED, error=failure)
            report.files.append(found)

    async with anyio.create_task_group() as group:
        for _ in range(os.cpu_count() or 1):
            group.start_soon(work)
    report.seconds = anyio.current_time() - started
    return report


async def _verify_one(
    store: Store,
    threads: anyio.CapacityLimiter,
    file: PlannedFile,
    report: VerifyReport,
    on_event: Callable[[FetchEvent], None] | None,
) -> FileVerification:
    local = await run_blocking(threads, store.look, file.path)
    if local.state in (LocalState.MISSING, LocalState.PARTIAL):
        return FileVerification(file.path, VerifyState.MISSING)
    hasher = await run_blocking(threads, FileHasher, store.target(file.path))
    try:
        more = True
        while more:
            before = hasher.size_bytes
            more = await run_blocking(threads, hasher.step)
            if on_event is not None and hasher.size_bytes > before:
                on_event(BytesReceived(file.path, hasher.size_bytes - before))
    finally:
        with anyio.CancelScope(shield=True):
            await run_blocking(threads, hasher.close)
    if local.record is None:
        return await _adopt(store, threads, file, hasher)
    if hasher.sha256 == local.record.sha256:
        if local.state is LocalState.UNRECORDED:  # touched, but the same
            await run_blocking(threads, store.records.put, local.record.touched(hasher.stat))
        grade = EvidenceGrade[local.record.grade.upper()]
        return FileVerification(file.path, VerifyState.OK, hasher.size_bytes, hasher.sha256, grade)
    damaged = _damaged_blocks(local.record, hasher)
    report._damage[file.path] = (local.record, damaged)  # noqa: SLF001 - this module's own
    error = IntegrityError(
        file.path, f"sha-256 is {hasher.sha256}, recorded is {local.record.sha256}"
    )
    return FileVerification(
        path=file.path,
        state=VerifyState.DAMAGED,
        size_bytes=hasher.size_bytes,
        sha256=hasher.sha256,
        damaged_ranges=_ranges(damaged, local.record.size_bytes),
        error=error,
    )


async def _adopt(
    store: Store, threads: anyio.CapacityLimiter, file: PlannedFile, hasher: FileHasher
) -> FileVerification:
    nothing_known = RemoteIdentity(None)
    try:
        record = await run_blocking(threads, adopt, store, file, hasher, nothing_known, None)
    except (IntegrityError, DecodeError) as error:
        return FileVerification(
            file.path, VerifyState.REJECTED, hasher.size_bytes, hasher.sha256, error=error
        )
    grade = EvidenceGrade[record.grade.upper()]
    return FileVerification(file.path, VerifyState.ADOPTED, hasher.size_bytes, hasher.sha256, grade)


def _damaged_blocks(record: FileRecord, hasher: FileHasher) -> set[int]:
    recorded = unpack_checksums(record.blocks)
    found = unpack_checksums(hasher.blocks)
    found += [""] * (block_count(record.size_bytes) - len(found))
    return {index for index, checksum in enumerate(recorded) if checksum != found[index]}


def _ranges(blocks: set[int], size_bytes: int) -> tuple[ByteRange, ...]:
    extents = ExtentSet()
    for index in blocks:
        extents.add(index * BLOCK_BYTES, min((index + 1) * BLOCK_BYTES, size_bytes))
    return tuple(extents)
