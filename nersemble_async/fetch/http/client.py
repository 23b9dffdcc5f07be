"""A connection pool to one base URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import quote

import aiohttp
import anyio
from pydantic import SecretStr
from yarl import URL

from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.errors import FetchError, MissingBenchmarkUrlError, ProtocolError
from nersemble_async.fetch.headers import range_header
from nersemble_async.fetch.http.answer import Answer, answer_of, identity_of
from nersemble_async.fetch.http.faults import refusal, translate
from nersemble_async.version import __version__

_READ_BUFFER_BYTES = 1 << 18
CLOSE_SECONDS = 5.0
"""How long closing the pool may take."""


class HttpClient:
    """A connection pool to one base URL; an async context manager.

    Args:
        base_url: the credential; kept private, never in an error. None may be made, not used.
        connections: the size of the pool; callers keep at most that many requests open.
        read_timeout: seconds without a byte, or without an answer, before a request fails.
    """

    def __init__(self, base_url: SecretStr | None, connections: int, read_timeout: float) -> None:
        self._base_url = base_url
        self._connections = connections
        self._read_timeout = read_timeout
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<HttpClient with {self._connections} connections>"

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._read_timeout, sock_read=self._read_timeout
        )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=75),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER_BYTES,
            trust_env=True,
            headers={
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": f"nersemble-async/{__version__}",
            },
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await self._session.close()

    def require_url(self) -> None:
        """Fail before any work where no request could be made.

        Raises:
            MissingBenchmarkUrlError: no base URL was given.
        """
        if self._base_url is None:
            raise MissingBenchmarkUrlError

    @asynccontextmanager
    async def get(
        self, path: str, wanted: ByteRange | None = None, if_range: str | None = None
    ) -> AsyncIterator[Answer]:
        """GET ``path``, or bytes of it. The connection is given back when the body was read.

        Raises:
            TransientFetchError, AccessDeniedError, RemoteFileMissingError, ProtocolError: on
                entering; TransientFetchError from the body too.
        """
        headers: dict[str, str] = {}
        if wanted is not None:
            headers["Range"] = range_header(wanted)
            if if_range is not None:
                headers["If-Range"] = if_range
        response = await self._send("GET", path, headers)
        try:
            yield answer_of(response, path)
        finally:
            # A body that was not read to its end closes the connection; a read one is kept.
            response.release() if response.content.at_eof() else response.close()

    async def head(self, path: str) -> RemoteIdentity:
        """Size and validators by HEAD; by a GET of one byte where the server refuses HEAD.

        Raises:
            TransientFetchError, AccessDeniedError, RemoteFileMissingError, ProtocolError.
        """
        try:
            response = await self._send("HEAD", path, {})
        except ProtocolError:  # HEAD is refused (405, 501): a byte of the file tells as much
            return await self.peek(path)
        try:
            return identity_of(response, response.content_length)
        finally:
            response.release()

    async def peek(self, path: str) -> RemoteIdentity:
        """Size and validators by a GET of one byte.

        Raises:
            TransientFetchError, AccessDeniedError, RemoteFileMissingError, ProtocolError.
        """
        async with self.get(path, ByteRange(0, 1)) as answer:
            return answer.identity

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        self.require_url()
        if self._session is None or self._base_url is None:
            raise RuntimeError("HttpClient is used outside its context")
        # "+" is legal in a path, but some servers take it for a space: %2B is not ambiguous.
        base = self._base_url.get_secret_value()
        response: aiohttp.ClientResponse | None = None
        failure: FetchError | None = None
        try:
            url = URL(f"{base}/{quote(path)}", encoded=True)
            response = await self._session.request(method, url, headers=headers)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            failure = translate(error, path)
        if response is None:
            raise failure or ProtocolError(path, "no answer")
        failure = refusal(response, path, method)
        if failure is not None:
            response.close() if method == "GET" else response.release()
            raise failure
        return response
