"""The only file that knows aiohttp: requests in, checked answers and our own errors out.

No exception of aiohttp leaves this file, nor is one kept as the cause or context of ours: their
texts and attributes hold the URL, and the URL is the credential.
"""

from __future__ import annotations

import os
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import quote

import aiohttp
import anyio
from pydantic import SecretStr
from yarl import URL

from nersemble_async import __version__
from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.errors import (
    AccessDeniedError,
    FetchError,
    MissingBenchmarkUrlError,
    ProtocolError,
    RemoteFileMissingError,
    ServerUnreachableError,
    TransientFetchError,
)
from nersemble_async.fetch.headers import (
    ContentRange,
    range_header,
    read_content_range,
    read_identity,
    read_repr_digest,
)
from nersemble_async.fetch.inflater import Inflater
from nersemble_async.fetch.retry import parse_retry_after

_READ_BUFFER_BYTES = 1 << 18
CLOSE_SECONDS = 5.0
_RETRIED_STATUSES = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer with status 200, 206 or 416, and its body."""

    status: int
    identity: RemoteIdentity
    """Of the whole representation, with strong validators only."""
    content_range: ContentRange | None
    """Of a 206 or 416; without any content where the header is missing or cannot be true."""
    sha256: str | None
    """Of the whole representation, from Repr-Digest (RFC 9530), hex."""
    encoded: bool
    """The body is compressed although identity was asked for; its length says nothing."""
    body: Body


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
            yield _answer(response, path)
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
            return _identity(response, response.content_length)
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
            failure = _translate(error, path)
        if response is None:
            raise failure or ProtocolError(path, "no answer")
        failure = _refusal(response, path, method)
        if failure is not None:
            response.close() if method == "GET" else response.release()
            raise failure
        return response


def _answer(response: aiohttp.ClientResponse, path: str) -> Answer:
    headers = response.headers
    content_range = None
    if response.status in (206, 416):
        content_range = read_content_range(headers.get("Content-Range"), response.content_length)
    size = response.content_length if content_range is None else content_range.size_bytes
    encoding = _encoding(response)
    encoded = encoding != "identity"
    return Answer(
        status=response.status,
        identity=_identity(response, size),
        content_range=content_range,
        sha256=None if encoded else read_repr_digest(headers.get("Repr-Digest")),
        encoded=encoded,
        body=Body(response, path, encoding),
    )


def _encoding(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("Content-Encoding", "").strip().lower() or "identity"


def _identity(response: aiohttp.ClientResponse, size: int | None) -> RemoteIdentity:
    """Nothing where the body is compressed: length and ETag are of something else then."""
    if _encoding(response) != "identity":
        return RemoteIdentity(None)
    return read_identity(response.headers, size)


class Body:
    """The bytes of an answer, piece by piece as they arrive; decompressed where need be."""

    def __init__(self, response: aiohttp.ClientResponse, path: str, encoding: str) -> None:
        self._content = response.content
        self._path = path
        self._failure: FetchError | None = None
        self._inflater = Inflater() if encoding in ("gzip", "x-gzip", "deflate") else None
        if encoding != "identity" and self._inflater is None:
            reason = f"the server sends it with an unknown encoding ({encoding})"
            self._failure = ProtocolError(path, reason)

    async def read(self) -> bytes:
        """The next bytes; none at the end.

        Raises:
            TransientFetchError: the connection broke; what came before it was handed out.
            ProtocolError: the body is compressed in a way that nobody asked for.
        """
        while self._failure is None:
            try:
                if self._inflater is not None and (piece := self._inflater.take()):
                    return piece
                # Not readany: it would copy what has arrived into one piece.
                piece, _ = await self._content.readchunk()
                ended = not piece and self._content.at_eof()
                if self._inflater is not None:
                    self._inflater.end() if ended else self._inflater.put(piece)
                    piece = b""
                if piece or ended:
                    return piece
            except (aiohttp.ClientError, OSError, TimeoutError, zlib.error) as error:
                self._failure = _translate(error, self._path)
                # aiohttp would drop what came before the connection broke; without it, a server
                # that cuts every answer short after some kilobytes would never get us anywhere.
                rest = self._content._read_nowait(-1)  # noqa: SLF001 - there is no public way
                if rest and self._inflater is None:
                    return rest
        raise self._failure


def _refusal(response: aiohttp.ClientResponse, path: str, method: str) -> FetchError | None:
    status = response.status
    if status in (200, 206, 416):
        return None
    told = f"the server answered {status}"
    if method == "HEAD" and status in (405, 501):
        return ProtocolError(path, f"{told} to HEAD")
    if status in (401, 403):
        return AccessDeniedError(
            path, f"{told}: access is refused; check NERSEMBLE_BENCHMARK_URL or ask for access anew"
        )
    if status in (404, 410):
        return RemoteFileMissingError(path, f"{told}: there is no such file")
    if status in _RETRIED_STATUSES or status >= 500:  # noqa: PLR2004 - a status code
        wait = parse_retry_after(response.headers.get("Retry-After"), time.time())
        return TransientFetchError(path, told, wait)
    return ProtocolError(path, told)


_FAULTS: tuple[tuple[tuple[type[BaseException], ...], type[FetchError], str], ...] = (
    (
        (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError),
        ProtocolError,
        "the base URL, or a redirect of the server, is no http URL",
    ),
    ((aiohttp.TooManyRedirects,), ProtocolError, "the server redirects in circles"),
    (
        (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError),
        ProtocolError,
        "the server's TLS certificate cannot be verified",
    ),
    (
        (aiohttp.ClientConnectorDNSError,),
        ServerUnreachableError,
        "the server's name cannot be resolved",
    ),
    (
        (aiohttp.ConnectionTimeoutError,),
        ServerUnreachableError,
        "no connection to the server came about in time",
    ),
    ((aiohttp.ClientConnectorError,), ServerUnreachableError, "no connection to the server"),
    (
        (aiohttp.ServerTimeoutError, TimeoutError),
        TransientFetchError,
        "no byte came within the read timeout",
    ),
    (
        (aiohttp.ClientPayloadError,),
        TransientFetchError,
        "the connection ended before the file did",
    ),
    ((zlib.error,), TransientFetchError, "the compressed body is damaged"),
    (
        (aiohttp.ServerDisconnectedError, ConnectionError),
        TransientFetchError,
        "the server closed the connection",
    ),
    (
        (aiohttp.ClientResponseError,),
        TransientFetchError,  # what is left on one connection is gone with it
        "the server's answer is not HTTP as it should be",
    ),
    ((OSError,), TransientFetchError, "the connection failed"),
)
"""The first that fits counts. None takes anything over from the error's text: it holds the URL."""


def _translate(error: BaseException, path: str) -> FetchError:
    for kinds, ours, reason in _FAULTS:
        if isinstance(error, kinds):
            number = getattr(error, "errno", None)
            why = f" ({os.strerror(number)})" if isinstance(number, int) and number > 0 else ""
            return ours(path, reason + why)
    return ProtocolError(path, f"the request failed ({type(error).__name__})")
