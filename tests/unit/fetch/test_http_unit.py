"""Requests in, checked answers and our own errors out; over real sockets."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.errors import (
    FetchError,
    MissingBenchmarkUrlError,
    ProtocolError,
    TransientFetchError,
)
from nersemble_async.fetch.headers import ContentRange
from nersemble_async.fetch.http import Body
from tests.support import faults
from tests.support.faulty_server import (
    Answer,
    Ending,
    Fault,
    FaultyServer,
    RemoteFile,
    Request,
    run_faulty_server,
)
from tests.support.http_clients import client, error_of, whole

PATH = "nvs/388/a.pcd"
BODY = bytes(range(256)) * 4000
FILE = RemoteFile.of(BODY)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with run_faulty_server() as running:
        running.put(PATH, BODY)
        yield running


# ---- requests -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_whole_file(server: FaultyServer) -> None:
    async with client(server.url) as http, http.get(PATH) as answer:
        assert (answer.status, answer.content_range, answer.encoded) == (200, None, False)
        assert answer.identity == RemoteIdentity(len(BODY), FILE.etag)
        assert await whole(answer.body) == BODY
    (asked,) = server.requests
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["user-agent"].startswith("nersemble-async/")
    assert not {"range", "if-range", "cookie", "authorization"} & asked.headers.keys()


@pytest.mark.asyncio
async def test_a_range(server: FaultyServer) -> None:
    wanted = ByteRange(10, 300)
    async with client(server.url) as http, http.get(PATH, wanted, FILE.etag) as answer:
        assert answer.status == 206
        assert answer.content_range == ContentRange(wanted, len(BODY))
        assert answer.identity == RemoteIdentity(len(BODY), FILE.etag)
        assert await whole(answer.body) == BODY[10:300]
    assert server.requests[0].range == "bytes=10-299"
    assert server.requests[0].if_range == FILE.etag


@pytest.mark.asyncio
async def test_if_range_only_with_a_range(server: FaultyServer) -> None:
    async with client(server.url) as http, http.get(PATH, None, FILE.etag) as answer:
        assert await whole(answer.body) == BODY
    assert server.requests[0].if_range is None


@pytest.mark.asyncio
async def test_a_range_behind_the_end(server: FaultyServer) -> None:
    async with client(server.url) as http, http.get(PATH, ByteRange(10**9, 10**9 + 1)) as answer:
        assert answer.status == 416
        assert answer.content_range == ContentRange(None, len(BODY))
        assert answer.identity.size_bytes == len(BODY)


@pytest.mark.asyncio
async def test_paths_arrive_as_they_are(server: FaultyServer) -> None:
    """No character of a path means anything in a URL; a plus is no space."""
    paths = ["svfr/EXP-3-cheeks+nose/a b.png", "nvs/ä#?%2F%.json", "nvs/a&b=c;d,e:f@g!$'()*.png"]
    async with client(server.url) as http:
        for path in paths:
            server.put(path, b"x")
            async with http.get(path) as answer:
                assert await whole(answer.body) == b"x"
    assert [request.path for request in server.requests] == paths


@pytest.mark.asyncio
async def test_connections_are_kept_where_bodies_were_read(server: FaultyServer) -> None:
    async with client(server.url, connections=1) as http:
        for _ in range(3):
            async with http.get(PATH) as answer:
                await whole(answer.body)
            await http.head(PATH)
        async with http.get(PATH) as answer:
            await answer.body.read()  # and the rest is left
        await http.head(PATH)
    used = [request.connection for request in server.requests]
    assert used == [1] * 7 + [2]


@pytest.mark.asyncio
async def test_cookies_are_not_kept(server: FaultyServer) -> None:
    server.always[PATH] = faults.headers(set_cookie="session=1")
    async with client(server.url) as http:
        for _ in range(2):
            await http.head(PATH)
    assert all("cookie" not in request.headers for request in server.requests)


@pytest.mark.asyncio
async def test_without_a_url_or_a_context() -> None:
    http = client(None)
    with pytest.raises(MissingBenchmarkUrlError):
        http.require_url()
    async with http:
        with pytest.raises(MissingBenchmarkUrlError):
            await http.head(PATH)
    with pytest.raises(RuntimeError, match="outside its context"):
        await client("http://127.0.0.1:9/secret").head(PATH)


# ---- HEAD ---------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "code",
    [
        400,
        405,
        pytest.param(
            501,
        ),
    ],
)
async def test_where_head_is_refused_a_byte_is_asked_for(server: FaultyServer, code: int) -> None:
    server.always[PATH] = faults.only_for("HEAD", faults.status(code, body=b""))
    async with client(server.url) as http:
        assert await http.head(PATH) == RemoteIdentity(len(BODY), FILE.etag)
    assert [request.range for request in server.asked(PATH)] == ["bytes=0-0"]


@pytest.mark.asyncio
async def test_head_of_an_empty_file(server: FaultyServer) -> None:
    server.put(PATH, b"")
    async with client(server.url) as http:
        assert (await http.head(PATH)).size_bytes == 0
        server.always[PATH] = faults.only_for("HEAD", faults.status(405, body=b""))
        assert (await http.head(PATH)).size_bytes == 0


@pytest.mark.asyncio
async def test_head_of_a_compressed_answer_tells_no_size(server: FaultyServer) -> None:
    server.always[PATH] = faults.gzipped
    async with client(server.url) as http:
        assert await http.head(PATH) == RemoteIdentity(None)


# ---- bodies -------------------------------------------------------------------------------------


def compressed(encoding: str, body: bytes) -> Fault:
    def fault(_request: Request, answer: Answer) -> Answer:
        answer = replace(answer, body=body)
        return answer.with_headers(content_encoding=encoding, content_length=str(len(body)))

    return fault


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("identity", BODY),
        pytest.param(
            "gzip",
            gzip.compress(BODY[:5]) + gzip.compress(BODY[5:]),
        ),
    ],
)
async def test_compressed_bodies(server: FaultyServer, encoding: str, body: bytes) -> None:
    server.always[PATH] = compressed(encoding, body)
    async with client(server.url) as http, http.get(PATH) as answer:
        assert await whole(answer.body) == BODY
        assert answer.encoded == (encoding != "identity")
        size = None if answer.encoded else len(BODY)
        assert answer.identity.size_bytes == size, "a compressed length says nothing"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("encoding", "body", "kind"),
    [
        ("br", BODY, ProtocolError),
        ("gzip", BODY, TransientFetchError),
        pytest.param(
            "gzip",
            gzip.compress(BODY)[:-100],
            TransientFetchError,
        ),
    ],
)
async def test_compressed_bodies_that_are_none(
    server: FaultyServer, encoding: str, body: bytes, kind: type[FetchError]
) -> None:
    server.always[PATH] = compressed(encoding, body)
    assert type(await error_of(server.url, PATH)) is kind


@pytest.mark.asyncio
@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.STALL])
async def test_what_came_before_the_end_is_handed_out(server: FaultyServer, ending: Ending) -> None:
    server.always[PATH] = faults.cut(100_000, ending)
    received = bytearray()

    async def receive(body: Body) -> None:
        while True:
            received.extend(await body.read())

    async with client(server.url, read_timeout=0.3) as http, http.get(PATH) as answer:
        for _ in range(2):  # it stays broken
            with pytest.raises(TransientFetchError) as caught:
                await receive(answer.body)
            assert caught.value.path == PATH
    assert received == BODY[:100_000]
