"""A submission zip against its benchmark: the checks of `submission`, with metadata for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import anyio.from_thread

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import Task
from nersemble_async.data_managers.submission_metadata import (
    FoundMetadata,
    is_to_be_fetched,
    look_for_metadata,
    obtain_metadata,
)
from nersemble_async.settings import Settings
from nersemble_async.submission.issues import SubmissionReport
from nersemble_async.submission.validation.validate import validate_zip
from nersemble_async.workers import make_limiter, run_blocking

OnProgress = Callable[[int, int], None]
"""Called with entries looked at and entries in all."""


async def validate_submission(
    path: str | Path,
    task: Task,
    *,
    metadata: str | Path | TaskMetadata | None = None,
    benchmark_folder: str | Path | None = None,
    deep: bool = False,
    on_progress: OnProgress | None = None,
    threads: int | None = None,
) -> SubmissionReport:
    """Everything that is wrong with a submission zip. What is in it never raises.

    Cancellation ends the checks at the next frame or mesh, and leaves no file behind.

    Args:
        path: the zip.
        task: whose submission it is.
        metadata: the benchmark's metadata.json, or what is known already; None: the root's, else
            the server's. Where it cannot be had, the report's `not_checked` says so.
        benchmark_folder: a folder of fetched data; None: as the environment says.
        deep: decode every frame of every video.
        on_progress: called in a worker thread; must not block.
        threads: videos looked at at a time; None: as many as there are cores.

    Raises:
        SelectionError: there is no such task.
        ConfigurationError, MetadataError: the metadata that was given cannot be used.
        OSError: the zip or the metadata that was given is not there, or cannot be read.
        DiskFullError: no room for one video in the folder for temporary files.
    """
    limiter = make_limiter(1)
    load = partial(Settings.load, benchmark_folder=benchmark_folder)
    settings = await run_blocking(limiter, load)
    found = await obtain_metadata(task, settings, metadata)

    def beat(done: int, total: int) -> None:
        anyio.from_thread.check_cancelled()
        if on_progress is not None:
            on_progress(done, total)

    work = partial(
        _validate, Path(path), task, found, settings, deep=deep, on_progress=beat, threads=threads
    )
    return await run_blocking(limiter, work)


def validate_submission_blocking(
    path: str | Path,
    task: Task,
    *,
    metadata: str | Path | TaskMetadata | None = None,
    benchmark_folder: str | Path | None = None,
    deep: bool = False,
    on_progress: OnProgress | None = None,
    threads: int | None = None,
) -> SubmissionReport:
    """`validate_submission` without an event loop; arguments and errors as there.

    Args:
        path: the zip.
        task: whose submission it is.
        metadata: see there.
        benchmark_folder: see there.
        deep: see there.
        on_progress: called in this thread; what it raises ends the validation.
        threads: see there.
    """
    settings = Settings.load(benchmark_folder=benchmark_folder)
    found = look_for_metadata(task, settings, metadata)
    if is_to_be_fetched(task, found):
        # In a thread of its own: the caller's may have an event loop, as in a notebook.
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(anyio.run, obtain_metadata, task, settings, metadata).result()
    return _validate(
        Path(path), task, found, settings, deep=deep, on_progress=on_progress, threads=threads
    )


def _validate(
    path: Path,
    task: Task,
    found: FoundMetadata,
    settings: Settings,
    *,
    deep: bool,
    on_progress: OnProgress | None,
    threads: int | None,
) -> SubmissionReport:
    report = validate_zip(
        path,
        task,
        found.metadata,
        root=settings.root if settings.root.is_dir() else None,
        deep=deep,
        on_progress=on_progress,
        threads=threads,
    )
    if found.why_not is None or not report.n_entries:
        return report
    return replace(report, not_checked=(*report.not_checked, found.why_not))
