"""A short request (HEAD, a small text) with the run's retries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from nersemble_async.errors import TransientFetchError
from nersemble_async.fetch.retry import RetryBudget
from nersemble_async.fetch.run_context import RunContext

T = TypeVar("T")


async def retried(run: RunContext, request: Callable[[], Awaitable[T]]) -> T:
    """Call ``request`` with a connection slot held until it succeeds or its budget is spent.

    Raises:
        TransientFetchError: the last one.
        FetchError: as the request raises it.
    """
    budget = RetryBudget(run.policy)
    while True:
        try:
            async with run.slots:
                return await request()
        except TransientFetchError as error:
            wait = budget.next_wait(error.retry_after_seconds)
            if wait is None:
                raise
        run.retries += 1
        await anyio.sleep(wait)
