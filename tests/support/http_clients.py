"""Clients of one request, and what they raise."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from nersemble_async.errors import FetchError
from nersemble_async.fetch.http import Body, HttpClient


def client(url: str | None, **given: Any) -> HttpClient:
    """With few connections and a patience that no test needs."""
    secret = None if url is None else SecretStr(url)
    return HttpClient(secret, **{"connections": 4, "read_timeout": 20.0, **given})


async def whole(body: Body) -> bytes:
    """All of a body."""
    received = bytearray()
    while piece := await body.read():
        received += piece
    assert await body.read() == b"", "the end stays the end"
    return bytes(received)


async def error_of(url: str, path: str, method: str = "GET", **given: Any) -> FetchError:
    """What a request for a path raises, on its way or from its body."""

    async def ask() -> None:
        if method == "HEAD":
            await http.head(path)
            return
        async with http.get(path) as answer:
            await whole(answer.body)

    async with client(url, **given) as http:
        with pytest.raises(FetchError) as caught:
            await ask()
    return caught.value
