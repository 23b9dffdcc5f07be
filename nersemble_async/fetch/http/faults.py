"""Our errors for what aiohttp raises and for statuses that refuse; none holds a URL."""

from __future__ import annotations

import os
import ssl
import time
import zlib

import aiohttp

from nersemble_async.errors import (
    AccessDeniedError,
    FetchError,
    ProtocolError,
    RemoteFileMissingError,
    ServerUnreachableError,
    TransientFetchError,
)
from nersemble_async.fetch.retry import parse_retry_after

_RETRIED_STATUSES = frozenset({408, 425, 429})


def refusal(response: aiohttp.ClientResponse, path: str, method: str) -> FetchError | None:
    """Our error for a status that brings no file; None for 200, 206 and 416."""
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


def translate(error: BaseException, path: str) -> FetchError:
    """Our error for one of aiohttp's or the system's."""
    for kinds, ours, reason in _FAULTS:
        if isinstance(error, kinds):
            number = getattr(error, "errno", None)
            why = f" ({os.strerror(number)})" if isinstance(number, int) and number > 0 else ""
            return ours(path, reason + why)
    return ProtocolError(path, f"the request failed ({type(error).__name__})")
