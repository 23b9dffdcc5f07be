"""Waiting for what other tasks of the same loop bring about."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import anyio.lowlevel


async def wait_until(is_so: Callable[[], object]) -> None:
    """Let others run until it is so; that it never is, the test's timeout tells."""
    for _ in itertools.count():
        if is_so():
            return
        await anyio.lowlevel.checkpoint()
