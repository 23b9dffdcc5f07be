"""A loopback HTTP server for a folder, as careful as the client it is there to exercise.

Single byte ranges, strong ETags made from the content, ``If-Range``, ``Repr-Digest`` (RFC 9530)
and a generated ``{task}/SHA256SUMS``. Everything lies under a secret first path segment, so that
its base URL is the credential that the real server's is.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import anyio
from aiohttp import web

from nersemble_async.workers import make_limiter, run_blocking

CHUNK_BYTES = 256 * 1024
CHECKSUMS_NAME = "SHA256SUMS"

# aiohttp takes zero for "wait for ever".
_CLOSE_SECONDS = 0.01

_RANGE_PATTERN = re.compile(r"bytes=\s*(\d*)-(\d*)\s*")

OnBytes = Callable[[str, int], None]


class ByteSpan(NamedTuple):
    """Bytes ``start`` up to but without ``stop`` of a representation."""

    start: int
    stop: int


class UnsatisfiableRangeError(ValueError):
    """The range begins behind the end: to be answered with 416."""


def parse_range(header: str | None, size_bytes: int) -> ByteSpan | None:
    """The one range that ``header`` asks for, cut to the file; None where it is to be ignored.

    Malformed headers and lists of ranges are ignored, as RFC 9110 §14.2 allows.

    Raises:
        UnsatisfiableRangeError: nothing of the file lies in it.
    """
    match = _RANGE_PATTERN.fullmatch(header) if header is not None else None
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        span = ByteSpan(max(0, size_bytes - int(last)), size_bytes)
    else:
        if last and int(last) < int(first):
            return None
        span = ByteSpan(int(first), min(int(last) + 1, size_bytes) if last else size_bytes)
    if span.start >= span.stop:
        raise UnsatisfiableRangeError(header)
    return span


@dataclass(frozen=True, slots=True)
class _Representation:
    """What one file's headers say, read from one open file."""

    size_bytes: int
    modified: float
    sha256: bytes

    @property
    def etag(self) -> str:
        return f'"{self.sha256.hex()[:32]}"'

    @property
    def last_modified(self) -> str:
        return formatdate(self.modified, usegmt=True)

    def is_named_by(self, if_range: str | None) -> bool:
        """Whether an ``If-Range`` condition holds: exact date, or strong comparison of ETags."""
        if if_range is None:
            return True
        if '"' in if_range:
            return if_range.strip() == self.etag
        try:
            return parsedate_to_datetime(if_range).timestamp() == int(self.modified)
        except ValueError:
            return False


class _Digests:
    """sha-256 of files, computed once for each path, inode, size and time of change.

    Two threads may compute the same one at the same moment: the result is the same.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], bytes]] = {}

    def of(self, path: Path, file: BufferedReader) -> _Representation:
        """Describe the open ``file``; blocking. Leaves its position at the start."""
        status = os.fstat(file.fileno())
        identity = (status.st_ino, status.st_size, status.st_mtime_ns)
        known = self._known.get(path)
        if known is None or known[0] != identity:
            known = (identity, hashlib.file_digest(file, "sha256").digest())
            self._known[path] = known
            file.seek(0)
        return _Representation(status.st_size, status.st_mtime, known[1])


class FolderServer:
    """The running server of a folder without links in its path; made by `serve_folder`.

    Its repr does not show the URL.
    """

    def __init__(
        self, root: Path, token: str, bytes_per_second: float | None, on_bytes: OnBytes | None
    ) -> None:
        self._root = root
        self._token = token
        self._on_bytes = on_bytes
        self._digests = _Digests()
        self._threads = make_limiter()
        self.bytes_per_second = bytes_per_second
        """Cap of each response; None is uncapped. May be changed while the server runs."""
        self.host = ""
        self.port = 0

    def __repr__(self) -> str:
        return f"FolderServer(port={self.port})"

    @property
    def url(self) -> str:
        """The base URL, with the secret segment and without a trailing slash."""
        return f"http://{self.host}:{self.port}/{self._token}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if not secrets.compare_digest(
            request.match_info["token"].encode(), self._token.encode()
        ) or request.method not in ("GET", "HEAD"):
            raise web.HTTPNotFound
        relative = request.match_info["path"]
        opened = await run_blocking(self._threads, self._open, relative)
        if opened is None:
            task, _, name = relative.rpartition("/")
            if name != CHECKSUMS_NAME or not task:
                raise web.HTTPNotFound
            sums = await run_blocking(self._threads, self._checksums, task)
            if sums is None:
                raise web.HTTPNotFound
            return web.Response(text=sums)
        file, representation = opened
        try:
            return await self._answer_file(request, relative, file, representation)
        finally:
            file.close()

    async def _answer_file(
        self, request: web.Request, relative: str, file: BufferedReader, whole: _Representation
    ) -> web.StreamResponse:
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": whole.etag,
            "Last-Modified": whole.last_modified,
            "Repr-Digest": f"sha-256=:{base64.b64encode(whole.sha256).decode()}:",
        }
        span = None
        if request.method == "GET" and whole.is_named_by(request.headers.get("If-Range")):
            try:
                span = parse_range(request.headers.get("Range"), whole.size_bytes)
            except UnsatisfiableRangeError:
                headers["Content-Range"] = f"bytes */{whole.size_bytes}"
                return web.Response(status=416, headers=headers)
        if span is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{whole.size_bytes}"
        response = web.StreamResponse(status=200 if span is None else 206, headers=headers)
        span = span or ByteSpan(0, whole.size_bytes)
        response.content_type = mimetypes.guess_type(relative)[0] or "application/octet-stream"
        response.content_length = span.stop - span.start
        await response.prepare(request)
        if request.method == "GET":
            await self._send(response, relative, file, span)
        await response.write_eof()
        return response

    async def _send(
        self, response: web.StreamResponse, relative: str, file: BufferedReader, span: ByteSpan
    ) -> None:
        await run_blocking(self._threads, file.seek, span.start)
        started = time.monotonic()
        position = span.start
        while position < span.stop:
            rate = self.bytes_per_second
            most = CHUNK_BYTES if rate is None else min(CHUNK_BYTES, max(1, int(rate / 20)))
            chunk = await run_blocking(self._threads, file.read, min(most, span.stop - position))
            if not chunk:
                # Cut while it was served: closing early tells the client, padding would lie.
                raise ConnectionResetError
            await response.write(chunk)
            position += len(chunk)
            if self._on_bytes is not None:
                self._on_bytes(relative, len(chunk))
            if rate is not None:
                due = started + (position - span.start) / rate
                await anyio.sleep(max(0.0, due - time.monotonic()))

    def _open(self, relative: str) -> tuple[BufferedReader, _Representation] | None:
        """Open and describe a visible file of the folder, None where there is none; blocking."""
        path = self._inside(relative)
        if path is None or not path.is_file():
            return None
        file = path.open("rb")
        try:
            return file, self._digests.of(path, file)
        except BaseException:
            file.close()
            raise

    def _inside(self, relative: str) -> Path | None:
        """The real path of ``relative``, None where it is hidden or leads out of the folder."""
        if "\0" in relative or any(part.startswith(".") for part in relative.split("/")):
            return None
        path = (self._root / relative.lstrip("/")).resolve()
        return path if path.is_relative_to(self._root) else None

    def _checksums(self, task: str) -> str | None:
        """``sha256sum`` lines of all visible files of ``task``, paths relative to it; blocking."""
        folder = self._inside(task)
        if folder is None or folder.parent != self._root or not folder.is_dir():
            return None
        lines = []
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder).as_posix()
            opened = self._open(f"{task}/{relative}")
            if opened is not None:
                file, representation = opened
                file.close()
                lines.append(f"{representation.sha256.hex()}  {relative}\n")
        return "".join(lines)


@asynccontextmanager
async def serve_folder(
    root: Path,
    *,
    token: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    bytes_per_second: float | None = None,
    on_bytes: OnBytes | None = None,
) -> AsyncIterator[FolderServer]:
    """Serve ``root`` until the context ends; open connections are then closed at once.

    Args:
        root: the folder; files whose path has a component with a leading dot are not served.
        token: the secret first path segment; random where it is None.
        host: the address to listen on.
        port: 0 takes a free one.
        bytes_per_second: cap of each response.
        on_bytes: called in the event loop after each chunk that was handed to the socket, with
            the path relative to ``root`` and the chunk's size in bytes.
    """
    real_root = await run_blocking(make_limiter(), root.resolve)
    server = FolderServer(real_root, token or secrets.token_urlsafe(16), bytes_per_second, on_bytes)
    application = web.Application()
    application.router.add_route("*", "/{token}/{path:.*}", server._answer)  # noqa: SLF001 - same file
    runner = web.AppRunner(
        application, access_log=None, handler_cancellation=True, shutdown_timeout=_CLOSE_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        server.host, server.port = runner.addresses[0][:2]
        yield server
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()
