"""Ctrl-C once: stop cleanly with state kept; twice: at once. SIGTERM counts as one Ctrl-C."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from nersemble_async.cli.output import leave_bars, print_error
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def stopping_on_signals() -> AsyncIterator[anyio.CancelScope]:
    """A scope around the body that the first SIGINT or SIGTERM cancels.

    After it, ask ``scope.cancelled_caught``. A second signal ends the process without any
    clean-up, which costs no data: what is on disk can be gone on from at any instant.
    What the body raises leaves as it is, not inside an ExceptionGroup.
    """
    failure: Exception | None = None
    with anyio.open_signal_receiver(*_SIGNALS) as signals, anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_on_signal, signals, scope)
            try:
                yield scope
            except Exception as error:  # noqa: BLE001 -- raised again outside of the group
                failure = error
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _cancel_on_signal(
    signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope
) -> None:
    async for _ in signals:
        # Plain handlers for the second one: they also work where the event loop is busy.
        for each in _SIGNALS:
            signal.signal(each, _leave_at_once)
        print_error("stopping; what is here is kept (once more: at once)")
        scope.cancel()


def _leave_at_once(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- a handler's signature
    leave_bars()
    os._exit(ExitCode.INTERRUPTED)
