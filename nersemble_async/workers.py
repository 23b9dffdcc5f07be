"""Blocking work in threads: one limiter, one way in; and what goes on at the same time.

A unit of work stays short (a MiB, a frame): a thread is never abandoned on cancellation, so
nothing is closed under a running call, and a cancelled task waits for its unit to end.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from functools import partial
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

T = TypeVar("T")
Args = TypeVarTuple("Args")


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_limiter(threads: int | None = None) -> anyio.CapacityLimiter:
    """A limiter for one run; made inside the event loop and passed to every `run_blocking`."""
    return anyio.CapacityLimiter(threads if threads is not None else (os.cpu_count() or 1) + 2)


async def run_blocking(
    limiter: anyio.CapacityLimiter, function: Callable[[*Args], T], *args: *Args
) -> T:
    """Call ``function(*args)`` in a worker thread and return what it returns.

    Cancellation is delivered after the function has returned (its result is then dropped).
    """
    return await anyio.to_thread.run_sync(function, *args, limiter=limiter)


async def enter_together(
    stack: AsyncExitStack, contexts: Iterable[AbstractAsyncContextManager[object]]
) -> None:
    """Enter contexts at the same time; the stack leaves them, whatever becomes of the others.

    The first that cannot be entered cancels those that are being entered, and its error is raised
    as it is.

    Args:
        stack: is left by the caller.
        contexts: begun in their order. None of them may hold a cancel scope or a task group open:
            each is entered in another task than it is left in.
    """
    await run_together(partial(stack.enter_async_context, context) for context in contexts)


async def run_together(jobs: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Do all at the same time; the first that fails cancels the others, its error is raised alone.

    What others fail of before they have ended is dropped, so that several that fail of the same
    raise no group.
    """
    errors: list[Exception] = []

    async def run(job: Callable[[], Awaitable[object]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 -- raised below, alone
            errors.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(run, job)
    if errors:
        raise errors[0]


@contextmanager
def single_leaf() -> Iterator[None]:
    """At the public border a group of one error becomes that error; several stay a group."""
    leaf: BaseException | None = None
    try:
        yield
    except BaseExceptionGroup as group:
        leaf = group
        while isinstance(leaf, BaseExceptionGroup) and len(leaf.exceptions) == 1:
            leaf = leaf.exceptions[0]
    if leaf is not None:
        raise leaf
