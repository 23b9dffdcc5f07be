"""The speed limit, on a clock of its own: no test waits."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.fetch.rate_limit import RateLimiter

BURST_SECONDS = 0.1


class Clock:
    """A time that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def take(self, limiter: RateLimiter, count_bytes: int) -> float:
        """How long it has to wait."""
        self.slept.clear()
        with pytest.raises(StopIteration):
            limiter.take(count_bytes).send(None)
        return sum(self.slept)


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anyio, "current_time", lambda: clock.now)
        patch.setattr(anyio, "sleep", clock.sleep)
        yield clock


def test_no_limit_no_waiting(clock: Clock) -> None:
    assert clock.take(RateLimiter(None), 10**12) == 0


def test_the_average_is_the_limit(clock: Clock) -> None:
    limiter = RateLimiter(1_000_000)
    begun = clock.now
    for _ in range(100):
        clock.now += clock.take(limiter, 50_000)
    assert clock.now - begun == pytest.approx(100 * 0.05 - BURST_SECONDS)


def test_time_that_was_not_used_is_lost(clock: Clock) -> None:
    limiter = RateLimiter(1_000_000)
    clock.take(limiter, 1)
    clock.now += 3600
    assert clock.take(limiter, 100_000) == 0, "the burst"
    assert clock.take(limiter, 100_000) == pytest.approx(0.1)


def test_a_chunk_larger_than_the_rate(clock: Clock) -> None:
    assert clock.take(RateLimiter(1000), 10_000) == pytest.approx(10 - BURST_SECONDS)


@given(
    rate=st.integers(1, 10**9),
    chunks=st.lists(st.integers(1, 1 << 18), min_size=1, max_size=40),
    pauses=st.lists(st.floats(0, 2), min_size=40, max_size=40),
    connections=st.integers(1, 5),
)
def test_over_any_time_no_more_passes_than_allowed(
    clock: Clock, rate: int, chunks: list[int], pauses: list[float], connections: int
) -> None:
    """Several connections, each waits for its turn and then for its next chunk."""
    limiter = RateLimiter(rate)
    ready = [clock.now] * connections
    passed: list[tuple[float, int]] = []
    for count_bytes, pause in zip(chunks, pauses, strict=False):
        clock.now = heapq.heappop(ready)
        at = clock.now + clock.take(limiter, count_bytes)
        passed.append((at, count_bytes))
        heapq.heappush(ready, at + pause)
    assert passed == sorted(passed, key=lambda one: one[0]), "first come, first served"
    for first, (begin, _) in enumerate(passed):
        total = 0
        for at, count_bytes in passed[first:]:
            total += count_bytes
            # What passes at the beginning was waited for before it.
            allowed = rate * (at - begin + BURST_SECONDS) + passed[first][1]
            assert total <= allowed * (1 + 1e-6) + 1
