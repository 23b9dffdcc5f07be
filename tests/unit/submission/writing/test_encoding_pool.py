"""Lanes: in order, side by side, bounded, and their errors."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from nersemble_async.submission.writing.encoding_pool import EncodingPool, Lane


@pytest.fixture
def pool() -> Iterator[EncodingPool]:
    made = EncodingPool(2)
    yield made
    made.close()


def test_each_lane_keeps_its_order(pool: EncodingPool) -> None:
    seen: list[list[int]] = [[] for _ in range(20)]
    lanes: list[Lane[int]] = [Lane(pool, handled.append) for handled in seen]
    for item in range(50):
        for lane in lanes:
            lane.put(item)
    for lane in lanes:
        lane.join()
    assert seen == [list(range(50))] * 20


def test_two_lanes_are_worked_on_at_once(pool: EncodingPool) -> None:
    together = threading.Barrier(2)
    lanes: list[Lane[int]] = [Lane(pool, lambda _: void(together.wait(30))) for _ in range(2)]
    for lane in lanes:
        lane.put(1)
    for lane in lanes:
        lane.join()
    assert not together.broken


def void(_: object) -> None:
    pass


def test_whoever_brings_waits_where_enough_wait(pool: EncodingPool) -> None:
    go_on = threading.Event()
    in_hand = threading.Event()
    brought: list[int] = []

    def handle(_: int) -> None:
        in_hand.set()
        go_on.wait(30)

    lane: Lane[int] = Lane(pool, handle)

    def bring() -> None:
        for item in range(10):
            lane.put(item)
            brought.append(item)

    bringing = threading.Thread(target=bring)
    bringing.start()
    assert in_hand.wait(30)
    assert len(brought) <= 4
    go_on.set()
    bringing.join(30)
    lane.join()
    assert brought == list(range(10))


def test_an_error_is_told_to_whoever_brings_the_next(pool: EncodingPool) -> None:
    handled: list[int] = []

    def handle(item: int) -> None:
        if item == 3:
            raise OSError("full")
        handled.append(item)

    lane: Lane[int] = Lane(pool, handle)

    def bring() -> None:
        for item in range(100):
            lane.put(item)

    with pytest.raises(OSError, match="full"):
        bring()
    with pytest.raises(OSError, match="full"):
        lane.join()
    assert handled == [0, 1, 2]
    other: Lane[int] = Lane(pool, handled.append)
    other.put(9)
    other.join()
    assert handled[-1] == 9


def test_what_waits_is_dropped(pool: EncodingPool) -> None:
    go_on = threading.Event()
    handled: list[int] = []

    def handle(item: int) -> None:
        go_on.wait(30)
        handled.append(item)

    lane: Lane[int] = Lane(pool, handle)
    for item in range(3):
        lane.put(item)
    dropping = threading.Thread(target=lane.drop)
    dropping.start()
    go_on.set()
    dropping.join(30)
    lane.join()
    assert handled == list(range(len(handled)))
    assert len(handled) <= 3


class InterruptedPool(EncodingPool):
    """Ctrl-C comes while work is handed to a thread: before or after the thread knows of it."""

    def __init__(self, *, knows: bool) -> None:
        super().__init__(2)
        self._knows = knows
        self._is_first = True

    def submit(self, work: Callable[[], None]) -> None:
        first, self._is_first = self._is_first, False
        if self._knows or not first:
            super().submit(work)
        if first:
            raise KeyboardInterrupt


@pytest.mark.parametrize("knows", [False, True])
def test_an_interrupted_lane_ends_and_can_be_gone_on_with(*, knows: bool) -> None:
    interrupted = InterruptedPool(knows=knows)
    seen: list[int] = []
    lane: Lane[int] = Lane(interrupted, seen.append)
    with pytest.raises(KeyboardInterrupt):
        lane.put(0)
    ended = threading.Thread(target=lane.drop, daemon=True)
    ended.start()
    ended.join(10)
    assert not ended.is_alive()
    for item in range(1, 9):
        lane.put(item)
    lane.join()
    interrupted.close()
    assert seen == list(range(1, 9))


ENDING = """
import threading
from nersemble_async.submission.writing.encoding_pool import EncodingPool, Lane

main_ended = threading.Event()

def bring():
    pool = EncodingPool(1)
    lane = Lane(pool, lambda _: main_ended.wait(30))
    try:
        lane.put(0)
        lane.put(1)
        begun.set()
        while True:
            lane.put(2)
    finally:
        lane.drop()

begun = threading.Event()
threading.Thread(target=bring).start()
begun.wait()
threading._register_atexit(main_ended.set)
"""


def test_a_thread_that_goes_on_when_the_interpreter_ends_is_told() -> None:
    """It waited for ever for threads that do no more."""
    ended = subprocess.run(
        [sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=60, check=False
    )
    assert "RuntimeError: cannot schedule new futures after" in ended.stderr
