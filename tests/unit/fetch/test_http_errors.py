"""What a server's refusals and faults are called; no error holds the URL."""

from __future__ import annotations

import ssl
import traceback
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from nersemble_async.errors import (
    AccessDeniedError,
    FetchError,
    ProtocolError,
    RemoteFileMissingError,
    ServerUnreachableError,
    TransientFetchError,
)
from nersemble_async.fetch.http.faults import translate
from tests.support import faults
from tests.support.faulty_server import (
    Ending,
    Fault,
    FaultyServer,
    run_faulty_server,
)
from tests.support.http_clients import client, error_of

PATH = "nvs/388/a.pcd"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with run_faulty_server() as running:
        running.put(PATH, bytes(100_000))
        yield running


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, AccessDeniedError),
        (403, AccessDeniedError),
        (404, RemoteFileMissingError),
        (410, RemoteFileMissingError),
        (408, TransientFetchError),
        (425, TransientFetchError),
        (429, TransientFetchError),
        (500, TransientFetchError),
        (503, TransientFetchError),
        (599, TransientFetchError),
    ],
)
async def test_statuses(
    server: FaultyServer, code: int, kind: type[FetchError], method: str
) -> None:
    server.always[PATH] = faults.status(code, body=b"")
    error = await error_of(server.url, PATH, method)
    assert type(error) is kind
    assert str(error).startswith(f"{PATH}: the server answered {code}")


@pytest.mark.asyncio
@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("soon", None), (None, None)])
async def test_retry_after(server: FaultyServer, text: str | None, seconds: float | None) -> None:
    server.always[PATH] = faults.status(503, retry_after=text)
    error = await error_of(server.url, PATH)
    assert isinstance(error, TransientFetchError)
    assert error.retry_after_seconds == seconds


# ---- no error holds the URL ---------------------------------------------------------------------


def assert_silent(error: BaseException, *secrets: str) -> None:
    """Neither the error nor anything that hangs on it."""
    assert error.__cause__ is None
    assert error.__context__ is None or isinstance(error.__context__, FetchError)
    told = "".join(traceback.format_exception(error)) + repr(error) + str(error.args)
    for secret in secrets:
        assert secret not in told


FAULTS: list[tuple[str, Fault, type[FetchError]]] = [
    ("reset", faults.silence(Ending.RESET), TransientFetchError),
    ("closed", faults.silence(Ending.CLOSE), TransientFetchError),
    ("silent", faults.silence(Ending.STALL), TransientFetchError),
    ("cut", faults.cut(1000), TransientFetchError),
    ("circle", lambda q, a: faults.redirect(q.path.split("/")[-1])(q, a), ProtocolError),
    ("redirect to a file", faults.redirect("file:///etc/passwd"), ProtocolError),
    ("bad length", faults.headers(content_length="-5"), TransientFetchError),
    ("bad chunks", faults.headers(transfer_encoding="chunked"), TransientFetchError),
    ("refused", faults.status(403), AccessDeniedError),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "kind"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS]
)
async def test_faults_of_a_server(
    server: FaultyServer, fault: Fault, kind: type[FetchError]
) -> None:
    server.always[PATH] = fault
    server.always["a.pcd"] = fault
    error = await error_of(server.url, PATH, read_timeout=0.3)
    assert isinstance(error, kind)
    assert_silent(error, server.token, str(server.port), "127.0.0.1")


@pytest.mark.asyncio
async def test_nobody_there() -> None:
    with run_faulty_server() as gone:
        url, secrets = gone.url, (gone.token, str(gone.port), "127.0.0.1")
    for method in ("GET", "HEAD"):
        error = await error_of(url, PATH, method)
        assert type(error) is ServerUnreachableError
        assert_silent(error, *secrets)


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["ftp://host/secret", "http://:80secret", "x"])
async def test_what_is_no_url(url: str) -> None:
    assert_silent(await error_of(url, PATH, "HEAD"), "secret")


KEY = cast("Any", SimpleNamespace(host="secret", port=443, ssl=True, is_ssl=True))
INFO = aiohttp.RequestInfo(
    URL("http://secret/"), "GET", CIMultiDictProxy(CIMultiDict()), URL("http://secret/")
)
RAISED: list[tuple[BaseException, type[FetchError]]] = [
    (aiohttp.InvalidURL("http://secret/"), ProtocolError),
    (aiohttp.NonHttpUrlRedirectClientError("secret"), ProtocolError),
    (aiohttp.TooManyRedirects(INFO, (), message="secret"), ProtocolError),
    (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("secret")), ProtocolError),
    (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "secret")), ServerUnreachableError),
    (aiohttp.ConnectionTimeoutError("secret"), ServerUnreachableError),
    (aiohttp.ClientConnectorError(KEY, OSError(111, "secret")), ServerUnreachableError),
    (aiohttp.SocketTimeoutError("secret"), TransientFetchError),
    (TimeoutError("secret"), TransientFetchError),
    (aiohttp.ClientPayloadError("secret"), TransientFetchError),
    (zlib.error("secret"), TransientFetchError),
    (aiohttp.ServerDisconnectedError("secret"), TransientFetchError),
    (aiohttp.ClientOSError(104, "secret"), TransientFetchError),
    (ConnectionResetError(104, "secret"), TransientFetchError),
    (aiohttp.ClientResponseError(INFO, (), status=400, message="secret"), TransientFetchError),
    (OSError(5, "secret"), TransientFetchError),
    (aiohttp.ClientError("secret"), ProtocolError),
    (ValueError("secret"), ProtocolError),
]


@pytest.mark.parametrize(
    ("raised", "kind"), RAISED, ids=[type(raised).__name__ for raised, _ in RAISED]
)
def test_every_kind_of_error_is_translated(raised: BaseException, kind: type[FetchError]) -> None:
    error = translate(raised, PATH)
    assert type(error) is kind
    assert error.path == PATH
    assert_silent(error, "secret")


@given(st.text(min_size=8, alphabet="abcdefghij"))
def test_a_client_does_not_show_its_url(secret: str) -> None:
    http = client(f"https://{secret}.example/{secret}")
    assert secret not in repr(http)
    assert secret not in str(vars(http))
