"""A short request (HEAD, a small text) with the run's retries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import anyio

from nersemble_async.errors import TransientFetchError
from nersemble_async.fetch.retry import RetryBudget
from nersemble_async.fetch.run_context import RunContext

T = TypeVar("T")


_BRIEF_RETRIES = 1
_BRIEF_WAIT_SECONDS = 5.0


async def retried(
    run: RunContext, request: Callable[[], Awaitable[T]], *, briefly: bool = False
) -> T:
    """Call ``request`` with a connection slot held until it succeeds or its budget is spent.

    Args:
        run: slots and retry policy.
        request: makes one request.
        briefly: nothing depends on it, so it must not hold up what does: one retry, soon.

    Raises:
        TransientFetchError: the last one.
        FetchError: as the request raises it.
    """
    policy = run.policy
    if briefly:
        policy = replace(policy, retries=min(policy.retries, _BRIEF_RETRIES))
    budget = RetryBudget(policy)
    while True:
        try:
            async with run.slots:
                return await request()
        except TransientFetchError as error:
            wait = budget.next_wait(error.retry_after_seconds)
            if wait is None or (briefly and wait > _BRIEF_WAIT_SECONDS):
                raise
        run.retries += 1
        await anyio.sleep(wait)
