"""When to try again: exponential backoff with full jitter, a budget that progress resets.

Written here and not taken from a retry library: those wrap a call and count its failures, while
this budget is reset by bytes that came, and the wait may be set by the server's Retry-After.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_WAIT_SECONDS = 60.0
MAX_RETRY_AFTER_SECONDS = 600.0
"""A server that wants a longer pause is given up on; the next run goes on."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long."""

    retries: int
    """Tries in a row without progress, after the first."""
    base_seconds: float
    """The upper end of the first wait."""


class RetryBudget:
    """One request's tries. `progressed` gives the full budget back."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._progressed = False
        self.failures = 0
        """Tries in a row that failed without any progress."""

    def progressed(self) -> None:
        """Bytes came: earlier failures no longer count, nor does the end of this try."""
        self._progressed = True

    def next_wait(self, retry_after_seconds: float | None) -> float | None:
        """After a failed try: seconds to wait before the next one; None when the budget is spent.

        A Retry-After is obeyed where it is longer than the drawn wait, up to ten minutes.
        """
        self.failures = 0 if self._progressed else self.failures + 1
        self._progressed = False
        if self.failures > self._policy.retries:
            return None
        doublings = max(self.failures - 1, 0)
        ceiling = min(self._policy.base_seconds * 2.0**doublings, MAX_WAIT_SECONDS)
        wait = random.uniform(0.0, ceiling)  # noqa: S311 - jitter, not cryptography
        if retry_after_seconds is None:
            return wait
        if retry_after_seconds > MAX_RETRY_AFTER_SECONDS:
            return None
        return max(wait, retry_after_seconds)


def parse_retry_after(text: str | None, now_epoch_seconds: float) -> float | None:
    """Seconds from a Retry-After header in either form (RFC 9110 §10.2.3); None without one."""
    if text is None:
        return None
    text = text.strip()
    if text.isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
        if when.tzinfo is None:  # asctime's form names no zone: it is UTC (§5.6.7)
            when = when.replace(tzinfo=UTC)
        return max(when.timestamp() - now_epoch_seconds, 0.0)
    except (ValueError, OverflowError):
        return None
