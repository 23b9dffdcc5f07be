"""A run's context without a run, for the parts of the fetch path that only ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.progress import FetchEvent
from nersemble_async.fetch.run_context import RunContext
from tests.support.fetching import settings_for


@asynccontextmanager
async def run_context(url: str, root: Path, **given: Any) -> AsyncIterator[RunContext]:
    """What `Fetcher` makes anew for each run; its events are dropped."""

    async def drop(event: FetchEvent) -> None:
        del event

    async with Fetcher(settings_for(url, root, **given)) as fetcher:
        yield await fetcher._context(drop)
