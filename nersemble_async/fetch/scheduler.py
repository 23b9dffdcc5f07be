"""Many files: what is to do, in which order, how many at once, and when to give up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import anyio

from nersemble_async.cache.records import FileRecord
from nersemble_async.cache.store import LocalFile, LocalState
from nersemble_async.errors import (
    AccessDeniedError,
    CacheLockedError,
    DiskFullError,
    NersembleError,
    TransientFetchError,
)
from nersemble_async.fetch.adoption import adopt_file, remote_unchanged
from nersemble_async.fetch.plan import FetchPlan, PlannedFile
from nersemble_async.fetch.progress import (
    EvidenceGrade,
    FetchReport,
    FileDeferred,
    FileFinished,
    Outcome,
    RunStarted,
)
from nersemble_async.fetch.published import load_published
from nersemble_async.fetch.room import estimate, require_room
from nersemble_async.fetch.run_context import RunContext
from nersemble_async.fetch.transfer import FileTransfer, finished
from nersemble_async.log import get_logger
from nersemble_async.workers import run_blocking

_LOOK_CHUNK_FILES = 256
_LOCKED_POLL_SECONDS = 0.5
_SILENT_FILES = 3
"""So many files (and as many as connections) given up without a byte between: it is down."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How a run treats what is there, and failures."""

    overwrite: bool = False
    """Fetch everything anew, complete or not."""
    check_remote: bool = False
    """Ask the server whether complete files are still the same there."""
    fail_fast: bool = False
    """End the run with the first file that fails."""


class Scheduler:
    """One run over a plan; fills ``report`` as it goes, so that it is true at every instant."""

    def __init__(
        self, run: RunContext, plan: FetchPlan, options: FetchOptions, report: FetchReport
    ) -> None:
        self._run = run
        self._plan = plan
        self._options = options
        self._report = report
        self._found: dict[str, LocalFile] = {}
        self._scope = anyio.CancelScope()
        # More than connections: a file that is being hashed and synced holds no connection.
        self._open_files = anyio.Semaphore(2 * run.connections)
        self._active: dict[str, FileTransfer] = {}
        self._ended: set[str] = set()
        self._locked: list[PlannedFile] = []
        self._deferred: set[str] = set()
        self._silent_files = 0
        self._bytes_when_silent = -1

    async def execute(self) -> None:
        """Bring every file of the plan; failures of files go into the report.

        Raises:
            MissingBenchmarkUrlError: something has to be fetched and there is no URL.
            CacheError: the root cannot be written to.
        """
        started = anyio.current_time()
        try:
            await run_blocking(self._run.threads, self._run.store.sweep)
            await self._look(self._plan)
            todo = [file for file in self._plan if not self._is_present(file)]
            if todo:
                self._run.http.require_url()
                await run_blocking(self._run.threads, self._run.store.make_ready)
            await self._announce(todo)
            with self._scope:
                await self._bring_all(todo)
        finally:
            self._report.seconds = anyio.current_time() - started
            self._report.retries = self._run.retries
            self._report.files.extend(self._unfinished())

    # ---- what is to do ------------------------------------------------------------------------

    async def _look(self, files: Iterable[PlannedFile]) -> None:
        paths = [file.path for file in files]
        for first in range(0, len(paths), _LOOK_CHUNK_FILES):
            chunk = paths[first : first + _LOOK_CHUNK_FILES]
            keeping = self._run.transient.keep_and_look
            found = await run_blocking(self._run.threads, keeping, chunk, self._look_at)
            self._found.update((local.path, local) for local in found)

    def _look_at(self, paths: Sequence[str]) -> list[LocalFile]:
        store = self._run.store
        found = store.look_at(paths)
        if any(local.state is LocalState.UNRECORDED for local in found):
            # Another process may be finishing files at this moment; its records come first.
            store.records.refresh()
            found = store.look_at(paths)
        return found

    def _is_present(self, file: PlannedFile) -> bool:
        local = self._found[file.path]
        if local.state is not LocalState.COMPLETE or local.record is None:
            return False
        asked_anew = self._options.overwrite or self._options.check_remote
        return not (asked_anew or self._is_contradicted(local))

    def _is_contradicted(self, local: LocalFile) -> bool:
        """A complete file of which a published digest says otherwise than its record."""
        given = self._run.published.given(local.path)
        if local.state is not LocalState.COMPLETE or local.record is None:
            return False
        return given not in (None, local.record.sha256)

    async def _announce(self, todo: Sequence[PlannedFile]) -> None:
        unfinished = {file.path for file in todo}
        present = [self._found[f.path] for f in self._plan if f.path not in unfinished]
        present_bytes = sum(local.local_bytes for local in present)
        estimated = await estimate(self._run, todo, self._found)
        known = estimated.complete or estimated.expected_bytes > 0
        await self._run.emit(
            RunStarted(
                files=len(self._plan),
                present_files=len(present),
                present_bytes=present_bytes,
                expected_bytes=present_bytes + estimated.expected_bytes if known else None,
            )
        )
        for local in present:
            await self._note(await self._present(local))
        root = self._run.store.root
        free_bytes = await run_blocking(self._run.threads, self._run.store.free_bytes)
        try:
            require_room(estimated, free_bytes, str(root))
        except DiskFullError as error:
            self._stop(error)

    async def _present(self, local: LocalFile) -> FileFinished:
        record = local.record
        if record is None:
            raise RuntimeError("a complete file has a record")
        if self._run.published.given(record.path) == record.sha256:
            grade = str(EvidenceGrade.PUBLISHED)
            if record.grade != grade:  # the list came later than the file
                record = replace(record, grade=grade)
                await run_blocking(self._run.threads, self._run.store.records.put, record)
        return finished(record, Outcome.PRESENT, 0)

    # ---- bringing it --------------------------------------------------------------------------

    async def _bring_all(self, todo: Sequence[PlannedFile]) -> None:
        tasks = dict.fromkeys(file.task for file in todo)
        unasked = [task for task in tasks if self._run.published.expect(task)]
        async with anyio.create_task_group() as background:
            for task in unasked:
                background.start_soon(load_published, self._run, task)
            await self._bring(todo)
            while self._locked:
                # Other processes are at these: everything else is done, so wait for them.
                await anyio.sleep(_LOCKED_POLL_SECONDS)
                await self._bring(await self._still_to_do())

    async def _still_to_do(self) -> list[PlannedFile]:
        """Of the files that were locked, those that nobody has completed meanwhile."""
        locked, self._locked = self._locked, []
        await run_blocking(self._run.threads, self._run.store.records.refresh)
        await self._look(locked)
        for file in locked:
            if self._is_present(file):
                await self._note(await self._present(self._found[file.path]))
        return [file for file in locked if file.path not in self._ended]

    async def _bring(self, files: Sequence[PlannedFile]) -> None:
        self._run.unbegun_files = len(files)
        async with anyio.create_task_group() as group:
            for file in files:
                await self._open_files.acquire()
                self._run.unbegun_files -= 1
                group.start_soon(self._bring_one, file)

    async def _bring_one(self, file: PlannedFile) -> None:
        try:
            done = await self._complete(file)
        except CacheLockedError:
            self._locked.append(file)
            if file.path not in self._deferred:
                self._deferred.add(file.path)
                log.info("file_deferred", path=file.path)
                await self._run.emit(FileDeferred(file.path))
            return
        except NersembleError as error:
            transfer = self._active.get(file.path)
            received = transfer.received_bytes if transfer else 0
            log.warning("file_failed", path=file.path, reason=str(error))
            done = FileFinished(file.path, Outcome.FAILED, received_bytes=received, error=error)
        finally:
            self._open_files.release()
        await self._note(done)
        if done.error is not None:
            self._consider_stopping(done.error)

    async def _complete(self, file: PlannedFile) -> FileFinished:
        local = self._found[file.path]
        if local.state is LocalState.UNRECORDED and not self._options.overwrite:
            record = await adopt_file(self._run, file)
            if record is not None:
                return finished(record, Outcome.ADOPTED, 0)
        elif self._is_contradicted(local):
            # It must not stand under its final name any longer.
            await self._run.on_disk(file.path, self._run.store.set_aside, file.path)
        elif record := await self._unchanged(local):
            return finished(record, Outcome.PRESENT, 0)
        transfer = self._active[file.path] = FileTransfer(self._run, file, local)
        return await transfer.fetch()

    async def _unchanged(self, local: LocalFile) -> FileRecord | None:
        """The record of a complete file that is still the same on the server, if that is asked."""
        record = local.record if local.state is LocalState.COMPLETE else None
        if record is None or self._options.overwrite or not self._options.check_remote:
            return None
        return record if await remote_unchanged(self._run, record) else None

    # ---- ends ---------------------------------------------------------------------------------

    async def _note(self, done: FileFinished) -> None:
        self._report.files.append(done)
        self._ended.add(done.path)
        self._active.pop(done.path, None)
        await self._run.emit(done)

    def _consider_stopping(self, error: NersembleError) -> None:
        if isinstance(error, DiskFullError) or self._options.fail_fast:
            self._stop(error)
        elif isinstance(error, TransientFetchError):
            quiet = self._run.received_bytes == self._bytes_when_silent
            self._silent_files = self._silent_files + 1 if quiet else 1
            self._bytes_when_silent = self._run.received_bytes
            if self._silent_files >= max(_SILENT_FILES, self._run.connections):
                self._stop(error)
        elif isinstance(error, AccessDeniedError) and self._run.received_bytes == 0:
            refused = [f for f in self._report.failures if isinstance(f.error, AccessDeniedError)]
            if len(refused) >= self._run.connections:
                self._stop(error)

    def _stop(self, error: NersembleError) -> None:
        if self._report.stopped is None:
            log.warning("run_stopped", reason=str(error))
            self._report.stopped = error
        self._scope.cancel()

    def _unfinished(self) -> Iterable[FileFinished]:
        for file in self._plan:
            if file.path not in self._ended:
                transfer = self._active.get(file.path)
                received = transfer.received_bytes if transfer else 0
                yield FileFinished(file.path, Outcome.SKIPPED, received_bytes=received)
