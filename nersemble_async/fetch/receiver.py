"""All missing bytes of one representation into its part file: ranges in parallel, retries."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import anyio

from nersemble_async.cache.block_checksums import BLOCK_BYTES
from nersemble_async.cache.extents import ByteRange
from nersemble_async.cache.partial_file import PartialFile
from nersemble_async.errors import CacheError, FetchError, TransientFetchError
from nersemble_async.fetch.answers import Accepted, Restart, accept_first, accept_next
from nersemble_async.fetch.byte_ranges import cut_ranges, first_span_bytes
from nersemble_async.fetch.http import Answer
from nersemble_async.fetch.progress import BytesReceived, FileRestarted, FileRetried, FileStarted
from nersemble_async.fetch.retry import RetryBudget
from nersemble_async.fetch.run_context import RunContext
from nersemble_async.log import get_logger

_MIN_WRITE_BYTES = 1 << 16
_HELD_SECONDS = 0.02
_MAX_HELD_SECONDS = 1.0

log = get_logger(__name__)


def _is_due(held_bytes: int, held_since: float) -> bool:
    """Whether a part of a block is written: soon, yet not with a journal line for each packet."""
    held_seconds = anyio.current_time() - held_since
    enough = held_bytes >= _MIN_WRITE_BYTES and held_seconds > _HELD_SECONDS
    return enough or held_seconds > _MAX_HELD_SECONDS


@dataclass(slots=True)
class _Cursor:
    """Where the work on one range stands."""

    position: int
    stop: int | None
    """None: to the end, wherever that is."""
    budget: RetryBudget
    furthest: int = 0
    """Only bytes beyond this are progress: a file that starts over and over makes none."""
    ended: bool = False
    """The body of a file of unknown size came to its end."""

    @property
    def done(self) -> bool:
        return self.ended or (self.stop is not None and self.position >= self.stop)

    def advance(self, count_bytes: int) -> None:
        self.position += count_bytes
        if self.position > self.furthest:
            self.furthest = self.position
            self.budget.progressed()


class Receiver:
    """Receives one file once; `receive` returns when the part file lacks nothing.

    Args:
        run: what the transfers of a run share.
        path: the file.
        part: locked and rechecked; its identity tells whether this goes on or begins.
        plain: one request for the whole, no ranges.
    """

    def __init__(self, run: RunContext, path: str, part: PartialFile, *, plain: bool) -> None:
        self._run = run
        self._path = path
        self._part = part
        self._plain = plain
        self._pending: deque[ByteRange] = deque()
        self._failure: FetchError | CacheError | Restart | None = None
        self._opened = anyio.Event()
        self._scope = anyio.CancelScope()
        self.received_bytes = 0
        self.repr_sha256: str | None = None

    async def receive(self) -> None:
        """Receive what is missing. Cancellation, like failure, keeps what has come.

        Raises:
            Restart: what is here is void.
            FetchError: for good, or the budget of retries is spent.
            DiskFullError: no room.
        """
        identity = self._part.identity
        if identity is not None and (self._plain or not identity.resumable):
            await self._run.on_disk(self._path, self._part.reset)
            identity = None
        async with anyio.create_task_group() as group:
            self._scope = group.cancel_scope
            if identity is None:
                first = self._first_cursor()
                group.start_soon(self._work, first)
                await self._opened.wait()
                missing = self._behind(first)
            else:
                started = FileStarted(self._path, identity.size_bytes, self._part.present_bytes)
                await self._run.emit(started)
                missing = self._part.missing()
            connections = self._run.connections
            self._pending.extend(cut_ranges(missing, connections, self._run.waiting))
            # The task of the first request goes on with the pending ranges too.
            for _ in range(min(len(self._pending), connections - (identity is None))):
                group.start_soon(self._work, None)
        if self._failure is not None:
            raise self._failure

    def _first_cursor(self) -> _Cursor:
        span = first_span_bytes(self._run.connections, self._run.waiting)
        return _Cursor(0, None if self._plain else span, RetryBudget(self._run.policy))

    def _behind(self, first: _Cursor) -> list[ByteRange]:
        """What the first request does not bring."""
        size = None if self._part.identity is None else self._part.identity.size_bytes
        if size is None or first.stop is None or first.stop >= size:
            return []
        return [ByteRange(first.stop, size)]

    async def _work(self, cursor: _Cursor | None) -> None:
        """Fetch ``cursor``, then pending ranges until there are none; a failure ends them all."""
        try:
            if cursor is not None:
                await self._fetch(cursor)
            while self._pending:
                wanted = self._pending.popleft()
                budget = RetryBudget(self._run.policy)
                await self._fetch(_Cursor(wanted.start, wanted.stop, budget))
        except (FetchError, CacheError, Restart) as failure:
            self._failure = self._failure or failure
            self._scope.cancel()

    async def _fetch(self, cursor: _Cursor) -> None:
        while not cursor.done:
            try:
                async with self._run.slots:
                    await self._request(cursor)
            except TransientFetchError as error:
                await self._pause(cursor, error)

    async def _pause(self, cursor: _Cursor, error: TransientFetchError) -> None:
        """Wait before the next try.

        Raises:
            TransientFetchError: the budget is spent.
        """
        wait = cursor.budget.next_wait(error.retry_after_seconds)
        if wait is None:
            raise error
        failures = cursor.budget.failures
        log.info("request_retried", path=self._path, failures=failures, reason=error.reason)
        self._run.retries += 1
        await self._run.emit(FileRetried(self._path, failures, wait, error.reason))
        await anyio.sleep(wait)
        identity = self._part.identity
        if identity is not None and (self._plain or not identity.resumable):
            # The next answer cannot be joined to what is here: begin again. (Then this is the
            # only request for the file, so nobody else writes.)
            discarded = self._part.present_bytes
            await self._run.on_disk(self._path, self._part.reset)
            self._plain = True
            cursor.position, cursor.stop = 0, None
            await self._run.emit(FileRestarted(self._path, discarded, "it cannot be resumed"))

    async def _request(self, cursor: _Cursor) -> None:
        known = self._part.identity
        wanted = None if cursor.stop is None else ByteRange(cursor.position, cursor.stop)
        if_range = None if known is None else known.validator
        async with self._run.http.get(self._path, wanted, if_range) as answer:
            if known is None or wanted is None:
                accepted = accept_first(self._path, answer, wanted)
                await self._open(answer, accepted, cursor)
            else:
                accepted = accept_next(answer, wanted, known)
            self.repr_sha256 = answer.sha256 or self.repr_sha256
            await self._stream(answer, accepted.stop, cursor)

    async def _open(self, answer: Answer, accepted: Accepted, cursor: _Cursor) -> None:
        """The size is known (or will not be): make room, let the other ranges begin."""
        await self._run.on_disk(self._path, self._part.begin, accepted.identity)
        size = accepted.identity.size_bytes
        whole = answer.content_range is None or cursor.stop is None
        cursor.stop = size if whole or size is None else min(cursor.stop or size, size)
        await self._run.emit(FileStarted(self._path, size, 0))
        self._opened.set()

    async def _stream(self, answer: Answer, stop: int | None, cursor: _Cursor) -> None:
        """Write the body from ``cursor.position`` on, a block at a time.

        Bytes are gathered into whole blocks: a hop to a thread, and each time that thread takes
        the interpreter's lock, costs more than the copy. On a slow link they are written sooner,
        so that a killed process has little to ask for again.
        """
        with self._run.block_buffer() as buffer:
            held_bytes = 0
            held_since = anyio.current_time()
            try:
                while chunk := await answer.body.read():
                    rest = memoryview(chunk)
                    if stop is not None:  # a body may be longer than announced: none of that
                        rest = rest[: stop - cursor.position - held_bytes]
                    await self._run.rate.take(len(rest))
                    while rest:
                        room = BLOCK_BYTES - cursor.position % BLOCK_BYTES - held_bytes
                        piece = rest[:room]
                        buffer[held_bytes : held_bytes + len(piece)] = piece
                        held_bytes += len(piece)
                        rest = rest[room:]
                        if len(piece) == room or _is_due(held_bytes, held_since):
                            await self._put(cursor, buffer[:held_bytes])
                            written, held_bytes, held_since = held_bytes, 0, anyio.current_time()
                            await self._run.emit(BytesReceived(self._path, written))
                    if cursor.position + held_bytes == stop:
                        break
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await self._put(cursor, buffer[:held_bytes])
                raise
            await self._put(cursor, buffer[:held_bytes])
        if held_bytes:
            await self._run.emit(BytesReceived(self._path, held_bytes))
        if stop is None:
            cursor.ended = True
        elif cursor.position < stop:
            raise TransientFetchError(self._path, "the connection ended before the file did")

    async def _put(self, cursor: _Cursor, data: memoryview) -> None:
        if data:
            await self._run.on_disk(self._path, self._part.write, cursor.position, data)
            cursor.advance(len(data))
            self.received_bytes += len(data)
            self._run.received_bytes += len(data)
