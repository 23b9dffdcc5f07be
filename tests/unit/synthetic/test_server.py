from __future__ import annotations

import base64
import hashlib
import http.client
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.synthetic.server import (
    ByteSpan,
    FolderServer,
    UnsatisfiableRangeError,
    parse_range,
    serve_folder,
)

BODY = bytes(range(256)) * 40
NAME = "nvs/388/EXP-3-cheeks+nose 78.bin"
QUOTED = "nvs/388/EXP-3-cheeks+nose%2078.bin"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask_blocking(url: str, path: str, method: str, headers: dict[str, str]) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request(method, f"{parts.path}/{path}", headers=headers)
        response = connection.getresponse()
        body = response.read()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)
    finally:
        connection.close()


async def ask(
    url: str, path: str = QUOTED, method: str = "GET", headers: dict[str, str] | None = None
) -> Answer:
    return await anyio.to_thread.run_sync(ask_blocking, url, path, method, headers or {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "served"
    file = root / NAME
    file.parent.mkdir(parents=True)
    file.write_bytes(BODY)
    (root / "nvs" / "metadata.json").write_text('{"sequences": {}}')
    (root / "nvs" / ".hidden").write_text("hidden")
    (root / ".nersemble_async").mkdir()
    (root / ".nersemble_async" / "records.jsonl").write_text("hidden")
    (tmp_path / "outside.txt").write_text("outside")
    (root / "nvs" / "link.txt").symlink_to(tmp_path / "outside.txt")
    return root


@pytest_asyncio.fixture
async def server(folder: Path) -> AsyncIterator[FolderServer]:
    async with serve_folder(folder) as running:
        yield running


@pytest.mark.asyncio
async def test_whole_file_with_validators_and_digest(server: FolderServer, folder: Path) -> None:
    answer = await ask(server.url)
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.headers["content-length"] == str(len(BODY))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"].startswith('"')
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    head = await ask(server.url, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("content-length", "etag", "last-modified", "repr-digest"):
        assert head.headers[name] == answer.headers[name]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=100-", 100, len(BODY)),
        ("bytes=-10", len(BODY) - 10, len(BODY)),
        ("bytes=10000-99999", 10000, len(BODY)),
    ],
)
async def test_a_range(server: FolderServer, asked: str, start: int, stop: int) -> None:
    answer = await ask(server.url, headers={"Range": asked})
    assert (answer.status, answer.body) == (206, BODY[start:stop])
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BODY)}"
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"


@pytest.mark.asyncio
@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "bytes=5-2", "bytes=-", "lines=0-1", "bytes"])
async def test_ranges_it_does_not_know_are_ignored(server: FolderServer, asked: str) -> None:
    answer = await ask(server.url, headers={"Range": asked})
    assert (answer.status, answer.body) == (200, BODY)


@pytest.mark.asyncio
async def test_a_range_behind_the_end_is_416(server: FolderServer) -> None:
    answer = await ask(server.url, headers={"Range": f"bytes={len(BODY)}-"})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(BODY)}"


@pytest.mark.asyncio
async def test_if_range(server: FolderServer, folder: Path) -> None:
    first = (await ask(server.url, method="HEAD")).headers
    for validator in (first["etag"], first["last-modified"]):
        answer = await ask(server.url, headers={"Range": "bytes=1-2", "If-Range": validator})
        assert (answer.status, answer.body) == (206, BODY[1:3])
    for validator in ('W/"x"', "W/" + first["etag"], "Thu, 01 Jan 1970 00:00:00 GMT", "no date"):
        answer = await ask(server.url, headers={"Range": "bytes=1-2", "If-Range": validator})
        assert (answer.status, answer.body) == (200, BODY)
    # Replaced by other bytes of the same size and time: only a content hash tells.
    status = (folder / NAME).stat()
    replacement = folder / "nvs" / "new.bin"
    replacement.write_bytes(BODY[::-1])
    os.utime(replacement, ns=(status.st_atime_ns, status.st_mtime_ns))
    replacement.replace(folder / NAME)
    answer = await ask(server.url, headers={"Range": "bytes=1-2", "If-Range": first["etag"]})
    assert (answer.status, answer.body) == (200, BODY[::-1])
    assert answer.headers["etag"] != first["etag"]


@pytest.mark.asyncio
async def test_an_empty_file(server: FolderServer, folder: Path) -> None:
    (folder / "nvs" / "empty").touch()
    answer = await ask(server.url, "nvs/empty")
    assert (answer.status, answer.body) == (200, b"")
    assert (await ask(server.url, "nvs/empty", headers={"Range": "bytes=0-"})).status == 416


@pytest.mark.asyncio
async def test_checksums_are_what_sha256sum_writes(server: FolderServer, folder: Path) -> None:
    answer = await ask(server.url, "nvs/SHA256SUMS")
    assert answer.status == 200
    lines = dict(line.split("  ", 1)[::-1] for line in answer.body.decode().splitlines())
    assert lines == {
        "metadata.json": hashlib.sha256(b'{"sequences": {}}').hexdigest(),
        NAME.removeprefix("nvs/"): hashlib.sha256(BODY).hexdigest(),
    }
    assert (await ask(server.url, "svfr/SHA256SUMS")).status == 404
    assert (await ask(server.url, "nvs/388/SHA256SUMS")).status == 404
    (folder / "nvs" / "SHA256SUMS").write_text("one of its own")
    assert (await ask(server.url, "nvs/SHA256SUMS")).body == b"one of its own"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path",
    [
        "../outside.txt",
        "nvs/../../outside.txt",
        "%2e%2e/outside.txt",
        "nvs/..%2f..%2foutside.txt",
        "/etc/passwd",
        "nvs/link.txt",
        "nvs/.hidden",
        ".nersemble_async/records.jsonl",
        "nvs",
        "nvs/",
        "",
        "nvs/missing",
        "nvs/%00",
    ],
)
async def test_nothing_else_is_served(server: FolderServer, path: str) -> None:
    answer = await ask(server.url, path)
    assert answer.status in (400, 404)
    assert b"outside" not in answer.body
    assert b"hidden" not in answer.body


@pytest.mark.asyncio
async def test_the_url_is_the_credential(server: FolderServer) -> None:
    base, _, token = server.url.rpartition("/")
    for wrong in ("x", token[:-1], token + "x"):
        answer = await ask(f"{base}/{wrong}")
        assert answer.status == 404
        assert token.encode() not in answer.body
    assert token not in repr(server)
    assert (await ask(server.url, method="DELETE")).status == 404
    assert (await ask(server.url)).status == 200


@pytest.mark.asyncio
async def test_on_bytes_tells_all_bytes_and_a_cap_keeps_them_right(folder: Path) -> None:
    sent: list[tuple[str, int]] = []

    async with serve_folder(
        folder,
        token="token",
        bytes_per_second=50_000.0,
        on_bytes=lambda path, count: sent.append((path, count)),
    ) as server:
        assert server.url.endswith("/token")
        answer = await ask(server.url)
    assert answer.body == BODY
    assert {path for path, _ in sent} == {NAME}
    assert sum(count for _, count in sent) == len(BODY)
    assert max(count for _, count in sent) == 2500, "a twentieth of a second at a time"


@pytest.mark.asyncio
async def test_leaving_closes_open_connections(folder: Path) -> None:
    (folder / "nvs" / "large").write_bytes(bytes(8_000_000))
    waiting = anyio.Event()

    async with serve_folder(
        folder, bytes_per_second=1000.0, on_bytes=lambda _path, _count: waiting.set()
    ) as server:
        parts = urlsplit(server.url)
        client = socket.create_connection((server.host, server.port), timeout=10)
        client.sendall(f"GET {parts.path}/nvs/large HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with anyio.fail_after(10):
            await waiting.wait()

    def read_all() -> int:
        with client:
            count = 0
            while chunk := client.recv(65536):
                count += len(chunk)
            return count

    assert await anyio.to_thread.run_sync(read_all) < 8_000_000


@given(
    first=st.one_of(st.none(), st.integers(0, 30)),
    last=st.one_of(st.none(), st.integers(0, 30)),
    size_bytes=st.integers(0, 20),
)
def test_parse_range_is_what_slicing_gives(
    first: int | None, last: int | None, size_bytes: int
) -> None:
    data = bytes(range(size_bytes))
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    if first is None and last is None:
        expected: bytes | None = None
    elif first is None:
        expected = data[-last:] if last else b""
    elif last is not None and last < first:
        expected = None
    else:
        expected = data[first:] if last is None else data[first : last + 1]
    if expected is None:
        assert parse_range(header, size_bytes) is None
    elif not expected:
        with pytest.raises(UnsatisfiableRangeError):
            parse_range(header, size_bytes)
    else:
        span = parse_range(header, size_bytes)
        assert isinstance(span, ByteSpan)
        assert data[span.start : span.stop] == expected
