"""Blocking work in threads: limited, never abandoned; and errors of a task group unwrapped."""

from __future__ import annotations

import os
import threading

import anyio
import pytest

from nersemble_async.workers import make_limiter, run_blocking, run_together, single_leaf


@pytest.mark.asyncio
async def test_it_runs_elsewhere_and_returns() -> None:
    limiter = make_limiter(1)

    def work(number: int, text: str) -> tuple[int, str, int]:
        return number, text, threading.get_ident()

    number, text, thread = await run_blocking(limiter, work, 5, "x")
    assert (number, text) == (5, "x")
    assert thread != threading.get_ident()


@pytest.mark.asyncio
async def test_errors_come_back() -> None:
    def fail() -> None:
        raise KeyError("inside")

    limiter = make_limiter(1)
    for _ in range(3):  # and the thread is free again
        with pytest.raises(KeyError, match="inside"):
            await run_blocking(limiter, fail)
    assert limiter.borrowed_tokens == 0


@pytest.mark.asyncio
async def test_no_more_at_once_than_the_limit() -> None:
    limiter = make_limiter(3)
    lock = threading.Lock()
    # Three have to be in it at once, or the barrier breaks; a fourth would be counted.
    barrier = threading.Barrier(3)
    inside = most = 0

    def work() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        barrier.wait(timeout=30)
        with lock:
            inside -= 1
        barrier.wait(timeout=30)

    async with anyio.create_task_group() as group:
        for _ in range(9):
            group.start_soon(run_blocking, limiter, work)
    assert most == 3


@pytest.mark.asyncio
async def test_limiters_are_of_one_run() -> None:
    one, other = make_limiter(), make_limiter()
    assert one is not other
    assert one.total_tokens == (os.cpu_count() or 1) + 2
    assert make_limiter(7).total_tokens == 7


@pytest.mark.asyncio
async def test_a_thread_is_not_abandoned() -> None:
    """What it works on may be closed only after it has ended."""
    started, go_on = anyio.Event(), threading.Event()
    told: list[str] = []

    def work() -> None:
        anyio.from_thread.run_sync(started.set)
        assert go_on.wait(timeout=30)
        told.append("work has ended")

    async def call() -> None:
        try:
            await run_blocking(make_limiter(1), work)
        finally:
            told.append("its caller goes on")

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await started.wait()
        group.cancel_scope.cancel()
        assert told == []
        go_on.set()
    assert told == ["work has ended", "its caller goes on"]


# ---- single_leaf --------------------------------------------------------------------------------


def grouped(error: BaseException, depth: int) -> BaseException:
    for _ in range(depth):
        error = BaseExceptionGroup("", [error])
    return error


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt])
def test_one_error_comes_out_as_itself(depth: int, kind: type[BaseException]) -> None:
    error = kind("x")
    with pytest.raises(kind) as caught, single_leaf():
        raise grouped(error, depth)
    assert caught.value is error


def test_several_stay_a_group() -> None:
    errors = ExceptionGroup("several", [KeyError("x"), ValueError("y")])
    with pytest.RaisesGroup(KeyError, ValueError) as caught, single_leaf():
        raise grouped(errors, 2)
    assert caught.value is errors


def test_no_error_is_no_error() -> None:
    with single_leaf():
        pass


@pytest.mark.asyncio
async def test_of_several_that_fail_at_once_the_first_is_told() -> None:
    both = threading.Barrier(2)
    ended: list[str] = []

    def fail() -> None:
        both.wait(20)
        raise KeyError("the same of both")

    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    limiter = make_limiter(2)
    failing = [lambda: run_blocking(limiter, fail)] * 2
    with pytest.raises(KeyError, match="the same of both"):
        await run_together([wait, *failing])
    assert ended == ["cancelled"]
