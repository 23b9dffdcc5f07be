"""A TCP proxy on loopback that adds a link's delay and nothing else.

``python benchmarks/delay_proxy.py UPSTREAM_PORT RTT_SECONDS`` prints its port and runs until it is
terminated; `delayed` does that in a block. Bytes come out in order, each half a round trip after
they came in, at any rate. A connection's set-up costs a round trip too: the kernel accepts at
once, so what the client sends is held as if it had left one round trip after that. TCP's slow
start is not modelled: it would add a round trip to a file beyond about 14 kB on a new connection.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

_CHUNK_BYTES = 64 << 10
_QUEUE_CHUNKS = 1024
"""Read but not yet written, per direction: 64 MiB, more than 1 GB/s fills in 50 ms."""

_CLOSED = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


@dataclass(frozen=True, slots=True)
class Link:
    """When what comes at one time leaves again: pure arithmetic, in seconds of one clock."""

    rtt_seconds: float
    accepted_at_seconds: float

    def leaves_upstream(self, now_seconds: float) -> float:
        """For the client's bytes, which cannot have left before the handshake was over."""
        left_at = max(now_seconds, self.accepted_at_seconds + self.rtt_seconds)
        return left_at + self.rtt_seconds / 2

    def leaves_downstream(self, now_seconds: float) -> float:
        """For the server's bytes."""
        return now_seconds + self.rtt_seconds / 2


@contextmanager
def delayed(upstream_port: int, rtt_seconds: float) -> Iterator[int]:
    """Run the proxy in a process of its own; gives the port to connect to."""
    command = [sys.executable, __file__, str(upstream_port), str(rtt_seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        line = process.stdout.readline() if process.stdout is not None else b""
        if not line.strip().isdigit():
            raise RuntimeError("the delaying proxy does not start")
        yield int(line)
    finally:
        process.terminate()
        process.communicate()


async def run_proxy(upstream_port: int, rtt_seconds: float) -> None:
    """Listen on a free loopback port, print it, and proxy until cancelled."""

    async def handle(client: anyio.abc.SocketStream) -> None:
        link = Link(rtt_seconds, anyio.current_time())
        async with (
            client,
            await anyio.connect_tcp("127.0.0.1", upstream_port) as server,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_carry, client, server, link.leaves_upstream)
            tasks.start_soon(_carry, server, client, link.leaves_downstream)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        print(listener.extra(anyio.abc.SocketAttribute.local_port), flush=True)
        await listener.serve(handle)


async def _carry(
    source: anyio.abc.SocketStream,
    target: anyio.abc.SocketStream,
    leaves: Callable[[float], float],
) -> None:
    """One direction, to its end; ``leaves`` gives a chunk's time of departure."""
    queue_in, queue_out = anyio.create_memory_object_stream[tuple[float, bytes]](_QUEUE_CHUNKS)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_send, queue_out, target)
        await _receive(source, queue_in, leaves)


async def _receive(
    source: anyio.abc.SocketStream,
    queue: MemoryObjectSendStream[tuple[float, bytes]],
    leaves: Callable[[float], float],
) -> None:
    async with queue:
        try:
            while True:
                chunk = await source.receive(_CHUNK_BYTES)
                await queue.send((leaves(anyio.current_time()), chunk))
        except _CLOSED:
            # A reset is passed on as an end: the benchmark's tools make no difference.
            return


async def _send(
    queue: MemoryObjectReceiveStream[tuple[float, bytes]], target: anyio.abc.SocketStream
) -> None:
    async with queue:
        try:
            async for due, chunk in queue:
                await anyio.sleep_until(due)
                await target.send(chunk)
            await target.send_eof()
        except (*_CLOSED, OSError):
            return


if __name__ == "__main__":
    rtt = float(sys.argv[2])
    if not math.isfinite(rtt) or rtt < 0:
        sys.exit("RTT_SECONDS is a number of seconds, such as 0.05")
    try:
        anyio.run(run_proxy, int(sys.argv[1]), rtt)
    except KeyboardInterrupt:
        sys.exit(130)
