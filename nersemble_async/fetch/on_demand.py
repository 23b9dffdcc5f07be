"""Single files for loaders: fetched when they are needed, pinned while they are used."""

from __future__ import annotations

import copy
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from nersemble_async.cache.eviction import READ_ONLY
from nersemble_async.cache.pins import FilePin
from nersemble_async.cache.store import LocalFile, LocalState
from nersemble_async.errors import CacheLockedError
from nersemble_async.fetch.cache_room import CacheRoom, NoRoomYetError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.fetch.progress import FetchEvent, FileStarted
from nersemble_async.fetch.published import load_published
from nersemble_async.fetch.run_context import RunContext
from nersemble_async.fetch.transfer import FileTransfer
from nersemble_async.log import get_logger
from nersemble_async.workers import run_blocking, single_leaf

_PIN_POLL_SECONDS = 0.01
_LOCKED_POLL_SECONDS = 0.1

log = get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Request:
    """A file that is being fetched, and who waits for it."""

    file: PlannedFile
    turn: int
    waiters: int = 0
    arrived: bool = False
    error: Exception | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class OnDemand:
    """Gives loaders single files; made by `Fetcher.open_on_demand`.

    A file that is on disk already, recorded or not, costs no request. A missing one is fetched
    ahead of everything that `Fetcher.fetch` has under way, checked and recorded as there; however
    many ask for it at once, it is fetched once. Files that were fetched so are *transient*: with
    `Settings.cache_limit` set, the least recently used of them that nobody uses are evicted before
    the next one's bytes arrive. Files that the user fetched, or that were there, never are.
    """

    def __init__(self, run: RunContext, group: TaskGroup, room: CacheRoom) -> None:
        self._run = run
        self._group = group
        self._room = room
        self._turns = itertools.count()
        self._requests: dict[str, _Request] = {}
        self._usual_bytes: dict[tuple[str, str], int] = {}
        self._ready = False
        run.emit = self._on_event

    @asynccontextmanager
    async def open_file(self, file: PlannedFile) -> AsyncIterator[Path]:
        """The file's path, fetched where it is missing; within, nobody evicts it.

        Cancelled, or left by everybody who waits for it, a fetch stops; what came of it is kept
        for the next time.

        Raises:
            MissingBenchmarkUrlError: it has to be fetched and there is no URL.
            FetchError: it could not be had; the same for everybody who waits for it.
            CacheError: the root cannot be written to, or there is no room within the limit.
        """
        turn = next(self._turns)
        pin = self._run.transient.pin(file.path)
        arrived = False
        try:
            found = await self._hold(file.path, pin)
            if not _is_here(found):
                await self._request(turn, file, found)
            arrived = True
            yield self._run.store.target(file.path)
        finally:
            with anyio.CancelScope(shield=True):
                await run_blocking(self._run.threads, self._let_go, file.path, pin, arrived)
            self._room.changed()

    async def fetch(self, file: PlannedFile) -> Path:
        """Have the file on disk and return its path; from then on it may be evicted again.

        Raises:
            As `open_file`.
        """
        async with self.open_file(file) as path:
            return path

    # ---- pins ---------------------------------------------------------------------------------

    async def _hold(self, path: str, pin: FilePin) -> LocalFile:
        """Pin the file, then look at it: what is there now stays."""
        while True:
            found = await self._run.on_disk(path, self._pin_and_look, path, pin)
            if found is not None:
                return found
            await anyio.sleep(_PIN_POLL_SECONDS)

    def _pin_and_look(self, path: str, pin: FilePin) -> LocalFile | None:
        try:
            if not pin.hold():
                return None
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
        found = self._run.store.look(path)
        if _is_here(found):
            self._run.transient.touch(path)
        return found

    def _let_go(self, path: str, pin: FilePin, arrived: bool) -> None:
        pin.release()
        if not arrived:
            self._run.transient.settle(path)

    # ---- who waits for what -------------------------------------------------------------------

    async def _request(self, turn: int, file: PlannedFile, found: LocalFile) -> None:
        """Return when the file, which is pinned, stands under its final name."""
        while True:
            request = self._requests.get(file.path)
            if request is None:
                if self._group.cancel_scope.cancel_called:  # nobody would ever serve it
                    raise RuntimeError("OnDemand is used outside its context")
                request = self._requests[file.path] = _Request(file, turn)
                self._group.start_soon(self._serve, request, found)
            await self._wait_for(request)
            if request.arrived:
                return
            # Everybody else had left it, and it had been stopped: begin anew.
            found = await self._run.on_disk(file.path, self._run.store.look, file.path)

    async def _wait_for(self, request: _Request) -> None:
        request.waiters += 1
        try:
            await request.ended.wait()
        finally:
            request.waiters -= 1
            if request.waiters == 0:  # nobody wants it any more
                request.scope.cancel()
                with anyio.CancelScope(shield=True):
                    await request.ended.wait()  # it lets go of the part file first
        if request.error is not None:
            # Each waiter has its own: they would write their tracebacks into one.
            raise copy.copy(request.error) from request.error.__cause__

    # ---- fetching -----------------------------------------------------------------------------

    async def _serve(self, request: _Request, found: LocalFile) -> None:
        path = request.file.path
        try:
            with request.scope:
                await self._bring(request, found)
                request.arrived = True
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            log.warning("file_failed", path=path, reason=str(error))
            request.error = error
        finally:
            del self._requests[path]
            request.ended.set()

    async def _bring(self, request: _Request, found: LocalFile) -> None:
        run, file = self._run, request.file
        run.http.require_url()
        if not self._ready:
            await run_blocking(run.threads, run.store.make_ready)
            self._ready = True
        if run.published.expect(file.task):
            self._group.start_soon(load_published, run, file.task)
        size = found.size_bytes or self._usual_bytes.get((file.task, file.asset), 0)
        while not _is_here(found):
            await self._room.reserve(request.turn, file.path, size)
            try:
                return await self._transfer(file, found)
            except NoRoomYetError as more:
                size = more.size_bytes
            except CacheLockedError:  # another process, or a fetch of this one, is at it
                await anyio.sleep(_LOCKED_POLL_SECONDS)
            found = await run.on_disk(file.path, run.store.look, file.path)
        return None

    async def _transfer(self, file: PlannedFile, found: LocalFile) -> None:
        self._room.transfer_begins()
        try:
            with single_leaf():
                done = await FileTransfer(self._run, file, found).fetch()
        finally:
            self._room.transfer_ends()
        size = done.size_bytes or 0
        asset = (file.task, file.asset)
        self._usual_bytes[asset] = max(self._usual_bytes.get(asset, 0), size)
        # Where the server had not said how long it is.
        await self._run.on_disk(file.path, self._run.transient.settle, file.path)

    async def _on_event(self, event: FetchEvent) -> None:
        """What a transfer tells: its size, before anything of it is written."""
        if isinstance(event, FileStarted) and event.size_bytes is not None:
            await self._room.resize(event.path, event.size_bytes)


def _is_here(found: LocalFile) -> bool:
    return found.state in (LocalState.COMPLETE, LocalState.UNRECORDED)


@asynccontextmanager
async def open_on_demand(run: RunContext, limit_bytes: int | None) -> AsyncIterator[OnDemand]:
    """`OnDemand` over a run of its own; leaving it stops every fetch that is under way.

    Args:
        run: at a loader's priority; its events go nowhere else.
        limit_bytes: of all transient files of the root together; None is unlimited.
    """
    await run_blocking(run.threads, run.transient.sweep)
    room = CacheRoom(run.transient, run.threads, limit_bytes)
    with single_leaf(), run.slots.shared.attach_loader():
        async with anyio.create_task_group() as group:
            try:
                yield OnDemand(run, group, room)
            finally:
                group.cancel_scope.cancel()
