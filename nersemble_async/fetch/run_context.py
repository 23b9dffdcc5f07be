"""What all transfers of one run share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar, TypeVarTuple

import anyio

from nersemble_async.cache.block_checksums import BLOCK_BYTES
from nersemble_async.cache.disk import disk_error
from nersemble_async.cache.eviction import TransientFiles
from nersemble_async.cache.store import Store
from nersemble_async.fetch.connection_slots import PrioritySlots
from nersemble_async.fetch.http import HttpClient
from nersemble_async.fetch.integrity import PublishedDigests
from nersemble_async.fetch.progress import FetchEvent
from nersemble_async.fetch.rate_limit import RateLimiter
from nersemble_async.fetch.retry import RetryPolicy
from nersemble_async.workers import run_blocking

T = TypeVar("T")
Args = TypeVarTuple("Args")

Emit = Callable[[FetchEvent], Awaitable[None]]
"""Takes an event; may wait (a slow consumer slows the transfers, no buffer grows)."""


@dataclass(slots=True)
class RunContext:
    """Made anew for each run, inside the event loop."""

    store: Store
    http: HttpClient
    threads: anyio.CapacityLimiter
    """For blocking work on bytes that arrive."""
    finishing_threads: anyio.CapacityLimiter
    """For the last steps of a file: an fsync may take seconds, and must not hold up the rest."""
    slots: PrioritySlots
    """One for each connection of the `Fetcher`; whoever talks to the server holds one."""
    connections: int
    rate: RateLimiter
    policy: RetryPolicy
    published: PublishedDigests
    emit: Emit
    transient: TransientFiles
    on_purpose: bool = True
    """The user asked for these files: they are to be kept. False: a loader did."""
    unbegun_files: int = 0
    """Files of the plan that nobody has begun."""
    received_bytes: int = 0
    """Over all files, for telling a dead server from one bad file."""
    retries: int = 0
    _buffers: list[memoryview] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """How many requests could be made at once if there were connections for them.

        None, where a loader shares them: the fewer are waiting, the shorter requests are cut, and
        the sooner a loader's gets its connection.
        """
        shared = self.slots.shared
        return 0 if shared.has_loaders else self.unbegun_files + shared.tasks_waiting

    def keep(self, paths: Iterable[str]) -> None:
        """These were asked for, so they are not evicted, unless it was a loader. Blocking."""
        if self.on_purpose:
            self.transient.keep(paths)

    async def on_disk(
        self,
        path: str,
        function: Callable[[*Args], T],
        *args: *Args,
        limiter: anyio.CapacityLimiter | None = None,
    ) -> T:
        """Blocking work on one file in a thread.

        Raises:
            DiskFullError, CacheError: for an OSError of the system.
        """
        try:
            return await run_blocking(limiter or self.threads, function, *args)
        except OSError as error:
            raise disk_error(path, error) from error

    @contextmanager
    def block_buffer(self) -> Iterator[memoryview]:
        """A block of memory to gather bytes in; there are never more of them than connections."""
        buffer = self._buffers.pop() if self._buffers else memoryview(bytearray(BLOCK_BYTES))
        try:
            yield buffer
        finally:
            self._buffers.append(buffer)
