"""One file from the first request to its final name."""

from __future__ import annotations

import anyio

from nersemble_async.cache.partial_file import MAX_STEP_BYTES, PartialFile
from nersemble_async.cache.records import FileRecord
from nersemble_async.cache.store import LocalFile, LocalState
from nersemble_async.errors import IntegrityError, RemoteFileChangedError
from nersemble_async.fetch.answers import Restart
from nersemble_async.fetch.finishing import conclude
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.fetch.progress import EvidenceGrade, FileFinished, FileRestarted, Outcome
from nersemble_async.fetch.receiver import Receiver
from nersemble_async.fetch.run_context import RunContext
from nersemble_async.log import get_logger

_MAX_RESTARTS = 4

log = get_logger(__name__)


class FileTransfer:
    """Fetches one file; used once. Cancellation keeps what was received.

    `received_bytes` counts what came over the network, also when `fetch` raises.

    Args:
        run: what the transfers of a run share.
        file: the planned file.
        found: what was on disk of it when the run began.
    """

    def __init__(self, run: RunContext, file: PlannedFile, found: LocalFile) -> None:
        self._run = run
        self._file = file
        self._found = found
        self._plain = False
        self._repr_sha256: str | None = None
        self.received_bytes = 0

    async def fetch(self) -> FileFinished:
        """Receive, verify and publish the file.

        Raises:
            CacheLockedError: another process is at it; nothing was done.
            FetchError, CacheError: it could not be had; what was received is kept.
        """
        path = self._file.path
        part, record = await self._run.on_disk(path, self._open)
        try:
            if record is not None:
                return finished(record, Outcome.PRESENT, 0)
            while part.unchecked:
                await self._run.on_disk(path, part.recheck)
            return await self._fetch_into(part)
        finally:
            if not part.closed:
                with anyio.CancelScope(shield=True):
                    await self._run.on_disk(path, part.close)

    def _open(self) -> tuple[PartialFile, FileRecord | None]:
        """The locked part file; closed, with the record, where another process was faster."""
        store = self._run.store
        part = store.open_partial(self._file.path)
        try:
            # It may have finished, and let go of the file, since the run began.
            store.records.refresh()
            now = store.look(self._file.path)
            # A record may have been there before its file: the record comes first.
            was_complete = self._found.state is LocalState.COMPLETE
            is_news = not was_complete or now.record != self._found.record
            if now.state is LocalState.COMPLETE and is_news:
                self._run.keep((self._file.path,))
                part.reset()
                part.close()
                return part, now.record
        except BaseException:
            part.close()
            raise
        return part, None

    async def _fetch_into(self, part: PartialFile) -> FileFinished:
        """Twice where need be: bytes that contradict their evidence may have been an accident."""
        ended = await self._try(part)
        if isinstance(ended, FileFinished):
            return ended
        discarded = await self._quarantine(part, ended)
        await self._run.emit(FileRestarted(self._file.path, discarded, ended.reason))
        self._plain = True  # parts that do not fit together may have been the reason
        ended = await self._try(part)
        if isinstance(ended, FileFinished):
            return ended
        await self._quarantine(part, ended)
        raise ended

    async def _try(self, part: PartialFile) -> FileFinished | IntegrityError:
        await self._receive(part)
        try:
            record = await self._conclude(part)
        except IntegrityError as error:
            return error
        return finished(record, Outcome.FETCHED, self.received_bytes)

    async def _quarantine(self, part: PartialFile, doubt: IntegrityError) -> int:
        """Move what was received out of the way; returns how many bytes."""
        path, discarded = self._file.path, part.present_bytes
        aside = self._run.store.quarantine(path)
        await self._run.on_disk(path, part.quarantine, aside)
        log.warning("file_quarantined", path=path, reason=doubt.reason)
        return discarded

    async def _conclude(self, part: PartialFile) -> FileRecord:
        run, file = self._run, self._file
        while part.unhashed_bytes > MAX_STEP_BYTES:
            await run.on_disk(file.path, part.hash_rest)
        published = await run.published.sha256_of(file, self._repr_sha256)
        slow = run.finishing_threads
        return await run.on_disk(file.path, self._finish, part, published, limiter=slow)

    def _finish(self, part: PartialFile, published_sha256: str | None) -> FileRecord:
        self._run.keep((self._file.path,))
        record = conclude(self._run.store, self._file, part, published_sha256)
        # Once more: a loader that asks for it now sees that its name stands, or is seen here.
        self._run.keep((self._file.path,))
        return record

    async def _receive(self, part: PartialFile) -> None:
        """All bytes of one representation are in the part file afterwards."""
        for restarts in range(_MAX_RESTARTS + 1):
            receiver = Receiver(self._run, self._file.path, part, plain=self._plain)
            try:
                await receiver.receive()
            except Restart as restart:
                # Twice: the file may not change at all, but come from servers that disagree.
                self._plain = self._plain or restart.plain or restarts > 0
                reason = restart.reason
            else:
                self._repr_sha256 = receiver.repr_sha256 or self._repr_sha256
                return
            finally:
                self.received_bytes += receiver.received_bytes
            discarded = part.present_bytes
            await self._run.on_disk(self._file.path, part.reset)
            log.info("file_restarted", path=self._file.path, reason=reason)
            if discarded:
                await self._run.emit(FileRestarted(self._file.path, discarded, reason))
        raise RemoteFileChangedError(self._file.path, "it changed on the server again and again")


def finished(record: FileRecord, outcome: Outcome, received_bytes: int) -> FileFinished:
    """The event for a file that has this record now."""
    return FileFinished(
        path=record.path,
        outcome=outcome,
        size_bytes=record.size_bytes,
        received_bytes=received_bytes,
        grade=EvidenceGrade[record.grade.upper()],
        sha256=record.sha256,
    )
