"""A running fetch as an async iterator of its events."""

from __future__ import annotations

from typing import Self

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from nersemble_async.fetch.progress import FetchEvent, FetchReport


class FetchRun:
    """A running fetch: iterate over it for its events; `report` is true at every instant."""

    def __init__(self, report: FetchReport, events: MemoryObjectReceiveStream[FetchEvent]) -> None:
        self.report = report
        self._events = events
        self.scope = anyio.CancelScope()
        """What `stop` cancels: the work, not the reader of its events."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FetchEvent:
        try:
            return await self._events.receive()
        except anyio.EndOfStream:
            pass
        raise StopAsyncIteration

    def stop(self) -> None:
        """End the run with its state kept; the events end and `report.cancelled` is set."""
        self.report.cancelled = True
        self.scope.cancel()
