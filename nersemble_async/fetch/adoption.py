"""Files that stand under their final name already: compared with the server, checked, recorded."""

from __future__ import annotations

import anyio

from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.records import FileRecord
from nersemble_async.cache.store import LocalFile, LocalState
from nersemble_async.errors import IntegrityError
from nersemble_async.fetch.finishing import FileHasher, adopt, require_size
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.fetch.progress import FileRestarted
from nersemble_async.fetch.retrying import retried
from nersemble_async.fetch.run_context import RunContext
from nersemble_async.log import get_logger

log = get_logger(__name__)


async def adopt_file(run: RunContext, file: PlannedFile) -> FileRecord | None:
    """Take over a file that the official toolkit, or somebody, put there; nothing is fetched.

    Works under the file's lock, so that it judges and moves nothing that another process has
    just made right.

    Returns:
        Its record; None where it was not right (it is in the quarantine then) or is gone.

    Raises:
        CacheLockedError: another process is at it.
        FetchError: the server could not be asked for the size.
        CacheError: it changed while it was read.
    """
    part = await run.on_disk(file.path, run.store.open_partial, file.path)
    try:
        local = await run.on_disk(file.path, _look_anew, run, file.path)
        if local.state is not LocalState.UNRECORDED:
            return local.record if local.state is LocalState.COMPLETE else None
        try:
            return await _adopt(run, file)
        except IntegrityError as error:
            doubt = error
        log.warning("file_quarantined", path=file.path, reason=doubt.reason)
        await run.on_disk(file.path, run.store.set_aside, file.path)
    finally:
        with anyio.CancelScope(shield=True):
            await run.on_disk(file.path, part.close)
    await run.emit(FileRestarted(file.path, local.local_bytes, doubt.reason))
    return None


def _look_anew(run: RunContext, path: str) -> LocalFile:
    run.store.records.refresh()
    return run.store.look(path)


async def _adopt(run: RunContext, file: PlannedFile) -> FileRecord:
    target = run.store.target(file.path)
    stat = await run.on_disk(file.path, target.stat)
    identity = await retried(run, lambda: run.http.head(file.path))
    if identity.size_bytes not in (None, stat.st_size):
        # Some servers answer HEAD wrongly: a file is not doubted before a GET says so too.
        identity = await retried(run, lambda: run.http.peek(file.path))
    require_size(file.path, stat.st_size, identity)  # before hashing what cannot be right
    hasher = await run.on_disk(file.path, FileHasher, target)
    try:
        while await run.on_disk(file.path, hasher.step):
            pass
        published = await run.published.sha256_of(file, None)
        return await run.on_disk(file.path, adopt, run.store, file, hasher, identity, published)
    finally:
        with anyio.CancelScope(shield=True):
            await run.on_disk(file.path, hasher.close)


async def remote_unchanged(run: RunContext, record: FileRecord) -> bool:
    """Whether the server's size and validators are still those that were recorded.

    Raises:
        FetchError: the server could not be asked.
    """
    now = await retried(run, lambda: run.http.head(record.path))
    then = RemoteIdentity(record.size_bytes, record.etag, record.last_modified)
    if then.validator is None or now.validator is None:
        return now.size_bytes in (None, then.size_bytes)
    return then.same_representation(now)
