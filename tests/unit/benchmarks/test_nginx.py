"""The server that the tools are measured against, and its count of what it sent."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

import pytest

from benchmarks import nginx
from tests.support.nginx import find_nginx


@pytest.fixture(autouse=True)
def _program() -> None:
    find_nginx()


def test_counts_bodies_of_corpus_files_only() -> None:
    log = "200 20 /nvs/a.pcd\n206 5 /nvs/a b.pcd\n404 153 /nvs/c.pcd\n200 9 /nvs/metadata.json\n"
    assert nginx.parse_access_log(log) == nginx.Sent(body_bytes=25, requests=4)


def test_counts_what_was_sent_since_the_last_question(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.pcd").write_bytes(b"x" * 1000)
    with nginx.serve(tmp_path / "root", tmp_path) as server:
        assert server.take_sent() == nginx.Sent(0, 0)
        for _ in range(2):
            with urllib.request.urlopen(f"{server.url}/a.pcd") as answer:
                assert len(answer.read()) == 1000
        assert server.take_sent() == nginx.Sent(2000, 2)
        request = urllib.request.Request(f"{server.url}/a.pcd", headers={"Range": "bytes=0-9"})
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 206
            answer.read()
        assert server.take_sent() == nginx.Sent(10, 1)


def test_counts_a_client_that_hung_up(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    size_bytes = 50_000_000
    with (tmp_path / "root" / "a.pcd").open("wb") as file:
        file.truncate(size_bytes)
    rate_bytes = 1_000_000
    with nginx.serve(tmp_path / "root", tmp_path, connection_rate_bytes=rate_bytes) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET /a.pcd HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        sent = server.take_sent()
    assert sent.requests == 1
    assert 0 < sent.body_bytes < size_bytes


def test_serves_folders_with_blanks(tmp_path: Path) -> None:
    root = tmp_path / "two words"
    root.mkdir()
    (root / "a.pcd").write_bytes(b"x")
    with nginx.serve(root, root) as server, urllib.request.urlopen(f"{server.url}/a.pcd") as answer:
        assert answer.read() == b"x"


def test_says_why_it_does_not_start(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="does not start"),
        nginx.serve(tmp_path / 'a"quote', tmp_path),
    ):
        pass
