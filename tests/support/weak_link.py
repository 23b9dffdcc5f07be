"""A TCP link to a real server that delays, and on which connections die before long."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_CHUNK_BYTES = 16 * 1024


@dataclass(slots=True)
class WeakLink:
    """The running link; made by `run_weak_link`. Its fields are for reading."""

    server_port: int
    delay_seconds: float
    dies_after_bytes: tuple[int, int] | None
    draw: random.Random
    port: int = 0
    connections: int = 0
    """Made so far."""
    most_at_once: int = 0
    deaths: int = 0
    _open: int = field(default=0, repr=False)

    def url(self, server_url: str) -> str:
        """The server's URL as it is reached over this link."""
        return server_url.replace(f":{self.server_port}/", f":{self.port}/", 1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, there and back, until either end leaves or it dies."""
        self.connections += 1
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.server_port)
            limit = (
                None if self.dies_after_bytes is None else self.draw.randint(*self.dies_after_bytes)
            )
            try:
                async with asyncio.TaskGroup() as group:
                    up = group.create_task(self._forward(reader, back, None))
                    await self._forward(there, writer, limit)
                    up.cancel()
            finally:
                back.close()
        except* OSError:
            pass  # one of the ends is gone
        finally:
            self._open -= 1
            writer.close()

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int | None
    ) -> None:
        while data := await source.read(_CHUNK_BYTES):
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            if limit is not None:
                data, limit = data[:limit], limit - len(data[:limit])
            sink.write(data)
            await sink.drain()
            if limit == 0:
                self.deaths += 1
                reset(sink)
                return


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection the hard way: with RST, as a failing router does."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def run_weak_link(
    server_port: int,
    *,
    delay_seconds: float = 0.0,
    dies_after_bytes: tuple[int, int] | None = None,
    seed: int = 0,
) -> Iterator[WeakLink]:
    """A link to a server on loopback, in a thread of its own.

    Args:
        server_port: where the server listens.
        delay_seconds: added to each piece of up to 16 KiB, in both directions; also a cap.
        dies_after_bytes: each connection is reset after so many bytes from the server, drawn
            between the two; None lets them live.
        seed: of the draws.
    """
    link = WeakLink(server_port, delay_seconds, dies_after_bytes, random.Random(seed))
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
        async with server:
            link.port = server.sockets[0].getsockname()[1]
            ready.set()
            await ended.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(timeout=20)
        yield link
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(timeout=20)
        assert not thread.is_alive()
