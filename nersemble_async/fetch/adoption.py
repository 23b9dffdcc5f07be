"""Files that stand under their final name already: compared with the server, checked, recorded."""

from __future__ import annotations

import anyio

from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.cache.records import FileRecord
from nersemble_async.fetch.finishing import FileHasher, adopt, require_size
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.fetch.retrying import retried
from nersemble_async.fetch.run_context import RunContext


async def adopt_file(run: RunContext, file: PlannedFile) -> FileRecord:
    """Take over a file that the official toolkit, or somebody, put there; nothing is fetched.

    Raises:
        IntegrityError: its size is not the server's, or something contradicts its bytes.
        FetchError: the server could not be asked for the size.
    """
    identity = await retried(run, lambda: run.http.head(file.path))
    size = await run.on_disk(file.path, lambda: run.store.target(file.path).stat().st_size)
    require_size(file.path, size, identity)  # before hashing what cannot be right
    hasher = await run.on_disk(file.path, FileHasher, run.store.target(file.path))
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
