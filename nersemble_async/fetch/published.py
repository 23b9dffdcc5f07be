"""Lists of digests: the user's, and the server's own, ``{task}/SHA256SUMS``, where there is one."""

from __future__ import annotations

from pathlib import Path

import aiofiles

from nersemble_async.errors import (
    AccessDeniedError,
    ConfigurationError,
    FetchError,
    ProtocolError,
    RemoteFileMissingError,
)
from nersemble_async.fetch.integrity import CHECKSUMS_NAME, parse_checksums
from nersemble_async.fetch.retrying import retried
from nersemble_async.fetch.run_context import RunContext
from nersemble_async.log import get_logger

_MAX_LIST_BYTES = 16 << 20

log = get_logger(__name__)


async def read_checksums(path: Path | None) -> dict[str, str]:
    """The user's list of digests by path; empty where none is given.

    Raises:
        ConfigurationError: it cannot be read or used.
    """
    if path is None:
        return {}
    try:
        async with aiofiles.open(path, encoding="utf-8") as file:
            text = await file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the checksums file {path} cannot be read: {error}") from error
    return parse_checksums(text, str(path))


async def load_published(run: RunContext, task: str) -> None:
    """Ask for a task's list and hand it to ``run.published``; no list is no error.

    A list that cannot be had or read is logged and passed over: the files are then graded by
    weaker evidence, and their grade says so.
    """
    digests: dict[str, str] | None = None
    path = f"{task}/{CHECKSUMS_NAME}"
    try:
        text = await retried(run, lambda: _read_text(run, path), briefly=True)
        digests = parse_checksums(text, path, prefix=f"{task}/")
    except (RemoteFileMissingError, AccessDeniedError):
        digests = {}
    except (FetchError, ConfigurationError) as error:
        log.warning("published_digests_unusable", task=task, reason=str(error))
    finally:
        if digests is None:
            run.published.failed(task)
        else:
            run.published.arrived(task, digests)


async def _read_text(run: RunContext, path: str) -> str:
    data = bytearray()
    async with run.http.get(path) as answer:
        while chunk := await answer.body.read():
            data += chunk
            if len(data) > _MAX_LIST_BYTES:
                raise ProtocolError(path, "it is too long for a list of digests")
    return data.decode("utf-8", errors="replace")
