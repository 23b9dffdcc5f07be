"""An answer: what its head says of the file, and its body."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import aiohttp

from nersemble_async.cache.journal import RemoteIdentity
from nersemble_async.errors import FetchError, ProtocolError
from nersemble_async.fetch.headers import (
    ContentRange,
    read_content_range,
    read_identity,
    read_repr_digest,
)
from nersemble_async.fetch.http.faults import translate
from nersemble_async.fetch.inflater import Inflater


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


def answer_of(response: aiohttp.ClientResponse, path: str) -> Answer:
    """What aiohttp's response says of the file, headers that contradict themselves left out."""
    headers = response.headers
    content_range = None
    if response.status in (206, 416):
        content_range = read_content_range(headers.get("Content-Range"), response.content_length)
    size = response.content_length if content_range is None else content_range.size_bytes
    encoding = _encoding(response)
    encoded = encoding != "identity"
    return Answer(
        status=response.status,
        identity=identity_of(response, size),
        content_range=content_range,
        sha256=None if encoded else read_repr_digest(headers.get("Repr-Digest")),
        encoded=encoded,
        body=Body(response, path, encoding),
    )


def _encoding(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("Content-Encoding", "").strip().lower() or "identity"


def identity_of(response: aiohttp.ClientResponse, size: int | None) -> RemoteIdentity:
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
                self._failure = translate(error, self._path)
                # aiohttp would drop what came before the connection broke; without it, a server
                # that cuts every answer short after some kilobytes would never get us anywhere.
                rest = self._content._read_nowait(-1)  # noqa: SLF001 - there is no public way
                if rest and self._inflater is None:
                    return rest
        raise self._failure
