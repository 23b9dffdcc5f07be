"""A raw TCP server that breaks HTTP on purpose, request by request, as a script says.

Without a script it is a correct server of bytes in memory: single ranges, strong ETags, If-Range.
A fault is a function that changes one correct `Answer`; `faults.py` holds them.
"""

from __future__ import annotations

import hashlib
import secrets
import select
import socket
import struct
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Self
from urllib.parse import unquote

_REASONS = {200: "OK", 206: "Partial Content", 404: "Not Found", 416: "Range Not Satisfiable"}
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


class Ending(Enum):
    """What becomes of the connection after an answer's last byte."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()
    """A TCP reset, which may overtake bytes that were sent before it."""
    STALL = auto()
    """Nothing more comes, until the client leaves or the server ends."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    """Relative to the base URL, percent-decoded."""
    headers: dict[str, str]
    """Names in lower case."""
    connection: int

    @property
    def range(self) -> str | None:
        return self.headers.get("range")

    @property
    def if_range(self) -> str | None:
        return self.headers.get("if-range")

    @property
    def span(self) -> tuple[int, int | None] | None:
        """First byte and last byte asked for (the last is None where it is open)."""
        if self.range is None:
            return None
        first, _, last = self.range.removeprefix("bytes=").partition("-")
        return int(first), int(last) if last else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out, byte for byte."""

    status: int
    headers: dict[str, str]
    body: bytes
    send_bytes: int | None = None
    """How much of the body is sent; None is all of it."""
    ending: Ending = Ending.KEEP
    head: bool = True
    """False sends the body alone: nothing, or what is no HTTP."""
    afterwards: Callable[[], None] | None = None
    """Called when the bytes are out, before the ending."""

    def with_headers(self, **headers: str | None) -> Answer:
        """The answer with headers set (``content_range=…``) or, given None, taken away."""
        changed = dict(self.headers)
        for name, value in headers.items():
            changed.pop(name.replace("_", "-"), None)
            if value is not None:
                changed[name.replace("_", "-")] = value
        return replace(self, headers=changed)


Fault = Callable[[Request, Answer], Answer]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the server has it."""

    body: bytes
    etag: str | None
    last_modified: str | None = None

    @classmethod
    def of(cls, body: bytes) -> Self:
        """With a strong ETag made from the content."""
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def correct_answer(file: RemoteFile | None, request: Request) -> Answer:
    """What a server that follows RFC 9110 says."""
    if file is None:
        return Answer(404, {"content-length": "9"}, b"not found")
    headers = {"accept-ranges": "bytes"}
    if file.etag is not None:
        headers["etag"] = file.etag
    if file.last_modified is not None:
        headers["last-modified"] = file.last_modified
        headers["date"] = "Mon, 02 Nov 2026 10:00:00 GMT"
    size = len(file.body)
    body, status = file.body, 200
    condition = request.if_range
    holds = condition is None or (
        condition in (file.etag, file.last_modified) and not condition.startswith("W/")
    )
    if request.method == "GET" and request.span is not None and holds:
        first, last = request.span
        if first >= size:
            headers |= {"content-range": f"bytes */{size}", "content-length": "0"}
            return Answer(416, headers, b"")
        last = size - 1 if last is None else min(last, size - 1)
        body, status = file.body[first : last + 1], 206
        headers["content-range"] = f"bytes {first}-{last}/{size}"
    headers["content-length"] = str(len(body))
    return Answer(status, headers, body)


@dataclass(slots=True)
class _Stop:
    """A pipe whose reading end becomes ready when the server ends."""

    reader: socket.socket = field(init=False)
    writer: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self.reader, self.writer = socket.socketpair()

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


class FaultyServer:
    """The running server; made by `run_faulty_server`. Thread-safe.

    Attributes:
        files: what there is, by relative path; may be changed at any time.
        script: faults for the coming requests of a path, one after another; then none.
        always: a fault for every request of a path that its script leaves over.
        requests: everything that was asked, in order.
        stalled: set when an answer has stalled.
    """

    def __init__(self) -> None:
        self.files: dict[str, RemoteFile] = {}
        self.script: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.always: dict[str, Fault] = {}
        self.requests: list[Request] = []
        self.stalled = threading.Event()
        self.token = secrets.token_urlsafe(16)
        self._lock = threading.Lock()
        self._stop = _Stop()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """The base URL, with a secret segment as the real one has."""
        return f"http://127.0.0.1:{self.port}/{self.token}"

    def put(self, path: str, body: bytes, *faults: Fault) -> None:
        """Have a file, and faults for its first requests."""
        self.files[path] = RemoteFile.of(body)
        self.script[path].extend(faults)

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        """The requests that a path saw."""
        with self._lock:
            return [r for r in self.requests if r.path == path and r.method == method]

    def gets(self) -> Counter[str]:
        """How many GETs each path saw."""
        with self._lock:
            return Counter(r.path for r in self.requests if r.method == "GET")

    def _accept(self) -> None:
        number = 0
        while True:
            ready, _, _ = select.select([self._listener, self._stop.reader], [], [])
            if self._stop.reader in ready:
                return
            client, _ = self._listener.accept()
            number += 1
            thread = threading.Thread(target=self._serve, args=(client, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, number: int) -> None:
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                while (request := self._read(client, number)) is not None:
                    if not self._reply(client, request):
                        return
            except OSError:
                return  # the client left

    def _readable(self, client: socket.socket) -> bool:
        """Wait for bytes (or the end) from the client; False where the server ends first."""
        ready, _, _ = select.select([client, self._stop.reader], [], [])
        return self._stop.reader not in ready

    def _read(self, client: socket.socket, number: int) -> Request | None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not self._readable(client):
                return None
            received = client.recv(65536)
            if not received:
                return None
            head += received
        first, *lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        path = unquote(target.removeprefix(f"/{self.token}/"))
        request = Request(method, path, headers, number)
        with self._lock:
            self.requests.append(request)
        return request

    def _reply(self, client: socket.socket, request: Request) -> bool:
        """Answer; whether the connection goes on."""
        with self._lock:
            answer = correct_answer(self.files.get(request.path), request)
            script = self.script[request.path]
            fault = script.popleft() if script else self.always.get(request.path)
        if fault is not None:
            answer = fault(request, answer)
        if answer.head:
            reason = _REASONS.get(answer.status, "Whatever")
            lines = [f"HTTP/1.1 {answer.status} {reason}"]
            lines += [f"{name}: {value}" for name, value in answer.headers.items()]
            client.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if request.method != "HEAD" or not answer.head:
            client.sendall(answer.body[: answer.send_bytes])
        if answer.afterwards is not None:
            answer.afterwards()
        if answer.ending is Ending.RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif answer.ending is Ending.STALL:
            self.stalled.set()
            self._readable(client)
        return answer.ending is Ending.KEEP

    def _end(self, accepting: threading.Thread) -> None:
        self._stop.writer.send(b"x")
        for thread in [accepting, *self._threads]:
            thread.join(timeout=20)
            assert not thread.is_alive(), "a connection of the faulty server does not end"
        self._listener.close()
        self._stop.close()


@contextmanager
def run_faulty_server() -> Iterator[FaultyServer]:
    """A server on a free loopback port, until the context ends."""
    server = FaultyServer()
    accepting = threading.Thread(target=server._accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        server._end(accepting)
