"""Ways to break a correct answer, for `FaultyServer.script`."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace

from tests.support.faulty_server import (
    Answer,
    Ending,
    Fault,
    FaultyServer,
    RemoteFile,
    Request,
    correct_answer,
)


def none(_request: Request, answer: Answer) -> Answer:
    """No fault: a place holder in a script."""
    return answer


def cut(
    after_bytes: int,
    ending: Ending = Ending.CLOSE,
    afterwards: Callable[[], None] | None = None,
) -> Fault:
    """Send so much of the body, then close, reset or stall."""

    def fault(_request: Request, answer: Answer) -> Answer:
        return replace(answer, send_bytes=after_bytes, ending=ending, afterwards=afterwards)

    return fault


def silence(ending: Ending = Ending.CLOSE) -> Fault:
    """Not even headers come."""
    return garbage(b"", ending)


def garbage(data: bytes, ending: Ending = Ending.CLOSE) -> Fault:
    """Something that is no HTTP."""
    return lambda _request, answer: replace(answer, head=False, body=data, ending=ending)


def status(code: int, retry_after: str | None = None, body: bytes = b"no") -> Fault:
    """Another status with a short body."""

    def fault(_request: Request, _answer: Answer) -> Answer:
        plain = Answer(code, {"content-length": str(len(body))}, body)
        return plain if retry_after is None else plain.with_headers(retry_after=retry_after)

    return fault


def redirect(location: str, code: int = 302) -> Fault:
    """Point elsewhere."""
    return lambda _request, _answer: Answer(
        code, {"location": location, "content-length": "0"}, b""
    )


def headers(**changes: str | None) -> Fault:
    """Set headers (``etag='W/"x"'``) or take them away (``etag=None``)."""
    return lambda _request, answer: answer.with_headers(**changes)


def ignore_range(server: FaultyServer) -> Fault:
    """200 with the whole file, whatever was asked."""

    def fault(request: Request, _answer: Answer) -> Answer:
        plain = {k: v for k, v in request.headers.items() if k not in ("range", "if-range")}
        answer = correct_answer(server.files.get(request.path), replace(request, headers=plain))
        return answer.with_headers(accept_ranges=None)

    return fault


def shorter_part(most_bytes: int) -> Fault:
    """A 206 that holds less than was asked, and says so correctly."""

    def fault(_request: Request, answer: Answer) -> Answer:
        if answer.status != 206:
            return answer
        span, total = answer.headers["content-range"].removeprefix("bytes ").split("/")
        first = int(span.split("-")[0])
        body = answer.body[:most_bytes]
        return replace(answer, body=body).with_headers(
            content_length=str(len(body)),
            content_range=f"bytes {first}-{first + len(body) - 1}/{total}",
        )

    return fault


def longer_part(server: FaultyServer) -> Fault:
    """A 206 from where it was asked to the end of the file, correctly labelled."""

    def fault(request: Request, answer: Answer) -> Answer:
        if answer.status != 206 or request.span is None:
            return answer
        open_end = {**request.headers, "range": f"bytes={request.span[0]}-"}
        return correct_answer(server.files[request.path], replace(request, headers=open_end))

    return fault


def shifted_part(start: int = 0, stop: int = 0, total: int = 0) -> Fault:
    """A Content-Range that lies by so much about where it starts, ends, and of how many bytes."""

    def fault(_request: Request, answer: Answer) -> Answer:
        if answer.status != 206:
            return answer
        span, size = answer.headers["content-range"].removeprefix("bytes ").split("/")
        first, last = map(int, span.split("-"))
        return answer.with_headers(
            content_range=f"bytes {first + start}-{last + stop}/{int(size) + total}"
        )

    return fault


def gzipped(request: Request, answer: Answer) -> Answer:
    """Compressed whether or not that was asked for, as some middleboxes do."""
    body = gzip.compress(answer.body)
    answer = replace(answer, body=body)
    etag = answer.headers.get("etag")
    return answer.with_headers(
        content_encoding="gzip",
        content_length=str(len(body)),
        content_range=None,
        etag=None if etag is None else f"W/{etag}",
    )


def chunked(_request: Request, answer: Answer) -> Answer:
    """Chunked transfer coding: no length is known beforehand."""
    step = 5000
    pieces = [answer.body[i : i + step] for i in range(0, len(answer.body), step)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return replace(answer, body=body).with_headers(content_length=None, transfer_encoding="chunked")


def until_close(_request: Request, answer: Answer) -> Answer:
    """No length and no chunks: the end of the connection is the end of the body."""
    return replace(answer, ending=Ending.CLOSE).with_headers(content_length=None)


def surplus(extra: bytes) -> Fault:
    """Bytes after the announced end of the body, then the connection closes."""
    return lambda _request, answer: replace(answer, body=answer.body + extra, ending=Ending.CLOSE)


def only_for(method: str, inner: Fault) -> Fault:
    """The fault for requests of one method."""
    return lambda request, answer: inner(request, answer) if request.method == method else answer


def only_ranges(inner: Fault) -> Fault:
    """The fault for requests with a Range."""
    return lambda request, answer: inner(request, answer) if request.range else answer


def change_file(server: FaultyServer, path: str, new: RemoteFile) -> Callable[[], None]:
    """For ``afterwards``: from now on the server has another file there."""

    def change() -> None:
        server.files[path] = new

    return change
