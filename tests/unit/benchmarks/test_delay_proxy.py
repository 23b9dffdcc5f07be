"""The delaying link: its arithmetic, and that bytes come through it whole."""

from __future__ import annotations

import socket
import threading

import pytest

from benchmarks.delay_proxy import Link, delayed

LINK = Link(rtt_seconds=0.05)


@pytest.mark.parametrize(
    ("sent_at", "leaves_at"),
    [
        (10.0, 10.075),  # at once: after the handshake that the kernel skipped
        (10.04, 10.075),
        (11.0, 11.025),
    ],
)
def test_first_bytes_wait_for_the_handshake(sent_at: float, leaves_at: float) -> None:
    assert LINK.leaves_upstream(sent_at, accepted_at_seconds=10.0) == pytest.approx(leaves_at)


def test_answers_take_half_a_round_trip() -> None:
    assert LINK.leaves_downstream(11.0, 1 << 30) == pytest.approx(11.025)


def test_a_first_answer_takes_two_round_trips_and_a_later_one_takes_one() -> None:
    first = LINK.leaves_downstream(LINK.leaves_upstream(10.0, 10.0), 1)
    later = LINK.leaves_downstream(LINK.leaves_upstream(11.0, 10.0), 1)
    assert first == pytest.approx(10.0 + 2 * LINK.rtt_seconds)
    assert later == pytest.approx(11.0 + LINK.rtt_seconds)


def test_all_connections_share_the_bandwidth() -> None:
    link = Link(rtt_seconds=0.5, bytes_per_second=100)
    assert link.leaves_downstream(10.0, 100) == pytest.approx(11.25)
    assert link.leaves_downstream(10.5, 50) == pytest.approx(11.75)
    assert link.leaves_downstream(20.0, 100) == pytest.approx(21.25)


def test_a_limited_link_holds_what_is_on_its_way_and_little_more() -> None:
    assert Link(0.0, 125e6).queue_chunks == 2
    assert Link(0.1, 125e6).queue_chunks * (128 << 10) >= 125e6 * 0.05
    assert Link(0.05).queue_chunks > 100


def echo(listener: socket.socket, connections: int) -> None:
    for _ in range(connections):
        connection, _ = listener.accept()
        with connection:
            while chunk := connection.recv(1 << 16):
                connection.sendall(chunk)


@pytest.mark.parametrize("rate", [None, 40e6])
def test_carries_large_bodies_in_order_and_counts_them(rate: float | None) -> None:
    payload = b"".join(number.to_bytes(4, "big") for number in range(1_000_000))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=echo, args=(listener, 2))
        server.start()
        with delayed(listener.getsockname()[1], 0.01, rate) as link:
            for data in (payload, b"second connection"):
                with socket.create_connection(("127.0.0.1", link.port), timeout=30) as client:
                    sender = threading.Thread(target=client.sendall, args=(data,))
                    sender.start()
                    received = bytearray()
                    while len(received) < len(data):
                        received += client.recv(1 << 16)
                    sender.join()
                assert bytes(received) == data
            server.join()  # it saw both ends, which the proxy passes on once it has counted
            assert link.take_delivered_bytes() == len(payload) + len(b"second connection")
            assert link.take_delivered_bytes() == 0


def test_passes_on_that_the_server_closed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        delayed(listener.getsockname()[1], 0.01) as link,
        socket.create_connection(("127.0.0.1", link.port), timeout=30) as client,
    ):
        connection, _ = listener.accept()
        connection.sendall(b"last words")
        connection.close()
        received = bytearray()
        while chunk := client.recv(100):
            received += chunk
        assert received == b"last words"
