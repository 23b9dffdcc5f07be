"""A TCP proxy on loopback that stands for a link: a delay, a bandwidth, and nothing else.

``python benchmarks/delay_proxy.py UPSTREAM_PORT RTT_SECONDS BYTES_PER_SECOND LOG`` prints its port
and runs until it is terminated (0 bytes per second: no limit); `delayed` does that in a block.
Bytes come out in order, each half a round trip after they came in. A connection's set-up costs a
round trip too: the kernel accepts at once, so what the client sends is held as if it had left one
round trip after that. The bandwidth holds for all connections together, towards the client. Where
either side closes, the connection is over: no HTTP client closes only its sending half. TCP's slow
start is not modelled: it would add a round trip to a file beyond about 14 kB on a new connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

_CHUNK_BYTES = 128 << 10
_UNLIMITED_QUEUE_CHUNKS = 512
"""64 MiB, more than 1 GB/s fills in 50 ms."""
_SEND_BUFFER_BYTES = 64 << 10
"""Of the kernel, where bandwidth is limited: what waits there counts as delivered."""

_CLOSED = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


@dataclass(slots=True)
class Link:
    """When what comes at one time leaves again: pure arithmetic, in seconds of one clock."""

    rtt_seconds: float
    bytes_per_second: float | None = None
    """Towards the client; None is unlimited."""
    _busy_until_seconds: float = field(default=0.0, init=False)

    def leaves_upstream(self, now_seconds: float, accepted_at_seconds: float) -> float:
        """For the client's bytes, which cannot have left before the handshake was over."""
        left_at = max(now_seconds, accepted_at_seconds + self.rtt_seconds)
        return left_at + self.rtt_seconds / 2

    def leaves_downstream(self, now_seconds: float, count_bytes: int) -> float:
        """For the server's bytes, which queue behind those of all connections."""
        left_at = now_seconds
        if self.bytes_per_second is not None:
            started_at = max(now_seconds, self._busy_until_seconds)
            left_at = started_at + count_bytes / self.bytes_per_second
            self._busy_until_seconds = left_at
        return left_at + self.rtt_seconds / 2

    @property
    def queue_chunks(self) -> int:
        """How much of one connection may be on its way: little where the link is the bottleneck.

        So the server notices soon that the link is full, and sends no more than it carries.
        """
        if self.bytes_per_second is None:
            return _UNLIMITED_QUEUE_CHUNKS
        return 2 + int(self.bytes_per_second * self.rtt_seconds / 2 / _CHUNK_BYTES)


@dataclass(frozen=True, slots=True)
class RunningLink:
    """A proxy that runs in a process of its own."""

    port: int
    log: Path

    def take_delivered_bytes(self) -> int:
        """Towards clients, heads included, over connections that ended since the last call.

        A connection is in the log before its upstream side is closed.
        """
        counts = self.log.read_text("ascii").split()
        os.truncate(self.log, 0)
        return sum(map(int, counts))


@contextmanager
def delayed(
    upstream_port: int, rtt_seconds: float, bytes_per_second: float | None = None
) -> Iterator[RunningLink]:
    """Run the proxy in a process of its own."""
    with tempfile.NamedTemporaryFile(prefix="nersemble_link_") as log:
        numbers = (upstream_port, rtt_seconds, bytes_per_second or 0)
        command = [sys.executable, __file__, *map(str, numbers), log.name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            line = process.stdout.readline() if process.stdout is not None else b""
            if not line.strip().isdigit():
                raise RuntimeError("the delaying proxy does not start")
            yield RunningLink(int(line), Path(log.name))
        finally:
            process.terminate()
            process.communicate()


async def run_proxy(upstream_port: int, link: Link, log: Path) -> None:
    """Listen on a free loopback port, print it, and proxy until cancelled."""

    async def handle(client: anyio.abc.SocketStream) -> None:
        accepted_at = anyio.current_time()

        def leaves_upstream(now_seconds: float, _: int) -> float:
            return link.leaves_upstream(now_seconds, accepted_at)

        async with client, await anyio.connect_tcp("127.0.0.1", upstream_port) as server:
            up = _Direction(client, server, leaves_upstream, link.queue_chunks)
            down = _Direction(server, client, link.leaves_downstream, link.queue_chunks)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(up.carry, tasks.cancel_scope)
                tasks.start_soon(down.carry, tasks.cancel_scope)
            with log.open("a", encoding="ascii") as file:
                file.write(f"{down.delivered_bytes}\n")

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        if link.bytes_per_second is not None:
            raw = listener.extra(anyio.abc.SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        print(listener.extra(anyio.abc.SocketAttribute.local_port), flush=True)
        await listener.serve(handle)


@dataclass(slots=True)
class _Direction:
    """Bytes on their way from one end of a connection to the other."""

    source: anyio.abc.SocketStream
    target: anyio.abc.SocketStream
    leaves: Callable[[float, int], float]
    """From when a chunk came and its size to when it goes on."""
    queue_chunks: int
    delivered_bytes: int = 0

    async def carry(self, connection: anyio.CancelScope) -> None:
        """Until either end closes; then the whole connection is over."""
        queue_in, queue_out = anyio.create_memory_object_stream[tuple[float, bytes]](
            self.queue_chunks
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send, queue_out)
            await self._receive(queue_in)
        connection.cancel()

    async def _receive(self, queue: MemoryObjectSendStream[tuple[float, bytes]]) -> None:
        async with queue:
            # A reset is passed on as an end: the benchmark's tools make no difference.
            with contextlib.suppress(*_CLOSED):
                while True:
                    chunk = await self.source.receive(_CHUNK_BYTES)
                    await queue.send((self.leaves(anyio.current_time(), len(chunk)), chunk))

    async def _send(self, queue: MemoryObjectReceiveStream[tuple[float, bytes]]) -> None:
        async with queue:
            with contextlib.suppress(*_CLOSED):
                async for due, chunk in queue:
                    await anyio.sleep_until(due)
                    await self.target.send(chunk)
                    self.delivered_bytes += len(chunk)


if __name__ == "__main__":
    port_text, rtt_text, rate_text, log_text = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        anyio.run(
            run_proxy,
            int(port_text),
            Link(float(rtt_text), float(rate_text) or None),
            Path(log_text),
        )
