"""How long a submission's videos have to be: from a file, the root, else from the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import BENCHMARKS, TASKS, Task
from nersemble_async.errors import (
    MetadataError,
    MissingBenchmarkUrlError,
    NersembleError,
    SelectionError,
)
from nersemble_async.settings import Settings
from nersemble_async.submission.metadata_source import find_metadata
from nersemble_async.workers import make_limiter, run_blocking

_MOST_RETRIES = 1
"""It is one small file, and the work can be done without it."""


@dataclass(frozen=True, slots=True)
class FoundMetadata:
    """A task's metadata.json, or why there is none."""

    metadata: TaskMetadata | None
    why_not: str | None = None
    """A sentence, where a task that has one lacks it."""


async def obtain_metadata(
    task: Task, settings: Settings, given: str | Path | TaskMetadata | None = None
) -> FoundMetadata:
    """The file that was given, else the root's, else the server's (which then is the root's).

    Raises:
        SelectionError: there is no such task.
        ConfigurationError: the file that was given is not there.
        MetadataError: the file that was given breaks its schema; names the field.
        OSError: the file that was given cannot be read.
    """
    limiter = make_limiter(1)
    found = await run_blocking(limiter, look_for_metadata, task, settings, given)
    if not is_to_be_fetched(task, found):
        return found
    # Imported here: a validation that asks no server needs no aiohttp, which takes 0.15 s.
    from nersemble_async.fetch.fetcher import Fetcher  # noqa: PLC0415
    from nersemble_async.fetch.plan import Selection  # noqa: PLC0415

    try:
        brief = settings.model_copy(update={"retries": min(settings.retries, _MOST_RETRIES)})
        async with Fetcher(brief) as fetcher:
            await fetcher.plan(Selection(tasks=(task,)))
    except NersembleError as error:
        return FoundMetadata(None, _why_not(task, error))
    return await run_blocking(limiter, look_for_metadata, task, settings, None)


def look_for_metadata(
    task: Task, settings: Settings, given: str | Path | TaskMetadata | None = None
) -> FoundMetadata:
    """The same without a request; blocking. Errors as in `obtain_metadata`."""
    if task not in TASKS:
        raise SelectionError(f"{task!r} is not a task; there are {', '.join(TASKS)}")
    try:
        return FoundMetadata(find_metadata(task, settings.root, given))
    except (MetadataError, OSError) as error:
        if given is not None:
            raise
        return FoundMetadata(None, f"the root's metadata.json is not usable: {error}")


def is_to_be_fetched(task: Task, found: FoundMetadata) -> bool:
    """Whether the server may know what is not known here."""
    is_open = found.metadata is None and found.why_not is None
    return is_open and BENCHMARKS[task].has_metadata


def _why_not(task: Task, error: NersembleError) -> str:
    if isinstance(error, MissingBenchmarkUrlError):
        return (
            f"there is no {BENCHMARKS[task].metadata_path} at hand and no URL to fetch it from: "
            "give the file (metadata=, --metadata) or a folder of fetched data (--root), or set "
            "NERSEMBLE_BENCHMARK_URL"
        )
    return f"{BENCHMARKS[task].metadata_path} could not be fetched: {error}"
