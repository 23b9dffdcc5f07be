"""One speed limit for all connections of a run: a token bucket."""

from __future__ import annotations

import anyio


class RateLimiter:
    """Lets at most ``bytes_per_second`` pass, with a burst of a tenth of a second; None: no limit.

    Not reading is what slows the server down: TCP's flow control does the rest.
    """

    def __init__(self, bytes_per_second: int | None) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0

    async def take(self, count_bytes: int) -> None:
        """Wait until ``count_bytes`` may pass. Cancellation gives nothing back (it is over)."""
        if self._rate is None:
            return
        now = anyio.current_time()
        self._free_at = max(self._free_at, now - 0.1) + count_bytes / self._rate
        if self._free_at > now:
            await anyio.sleep(self._free_at - now)
