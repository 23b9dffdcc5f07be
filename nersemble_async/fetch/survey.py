"""A dry run: what a plan would fetch, with sizes asked from the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import anyio

from nersemble_async.cache.store import LocalFile, LocalState
from nersemble_async.errors import FetchError, ServerUnreachableError
from nersemble_async.fetch.plan import FetchPlan, PlannedFile
from nersemble_async.fetch.retrying import retried
from nersemble_async.fetch.run_context import RunContext
from nersemble_async.workers import run_blocking


@dataclass(frozen=True, slots=True)
class FileSurvey:
    """One planned file: what is here, and how large it is there."""

    file: PlannedFile
    state: LocalState
    local_bytes: int
    """Of it on disk already (of a part file: what its journal claims)."""
    size_bytes: int | None
    """Full size; None where the server could not or did not say."""
    error: FetchError | None = None
    """Why the server did not say."""

    @property
    def missing_bytes(self) -> int:
        """What a fetch would bring; 0 where the size is not known."""
        return max((self.size_bytes or 0) - self.local_bytes, 0)


@dataclass(frozen=True, slots=True)
class PlanSurvey:
    """Every file of the plan, in its order, and the room on disk."""

    files: tuple[FileSurvey, ...]
    free_bytes: int

    @property
    def missing_bytes(self) -> int:
        """What a fetch would bring altogether."""
        return sum(file.missing_bytes for file in self.files)

    @property
    def fits(self) -> bool:
        """Whether that is no more than the free room."""
        return self.missing_bytes <= self.free_bytes


async def survey_plan(
    run: RunContext, plan: FetchPlan, on_progress: Callable[[int, int], None] | None
) -> PlanSurvey:
    """Look at the disk, then ask for the sizes that are not known, as many at once as connections.

    Raises:
        MissingBenchmarkUrlError: a size has to be asked and there is no URL.
        ServerUnreachableError: there is no server to ask.
    """
    files = tuple(plan)
    local = await run_blocking(run.threads, run.store.look_at, [file.path for file in files])
    surveys: list[FileSurvey | None] = [
        FileSurvey(file, here.state, here.local_bytes, here.size_bytes)
        if here.size_bytes is not None
        else None
        for file, here in zip(files, local, strict=True)
    ]
    unknown = iter([index for index, survey in enumerate(surveys) if survey is None])
    asked = sum(survey is not None for survey in surveys)
    if asked < len(files):
        run.http.require_url()

    dead: ServerUnreachableError | None = None

    async def ask(indices: Iterator[int]) -> None:
        nonlocal asked, dead
        for index in indices:
            try:
                surveys[index] = await _ask(run, files[index], local[index])
            except ServerUnreachableError as error:
                dead = dead or error
                group.cancel_scope.cancel()
                return
            asked += 1
            if on_progress is not None:
                on_progress(asked, len(files))

    async with anyio.create_task_group() as group:
        for _ in range(run.connections):
            group.start_soon(ask, unknown)
    if dead is not None:
        raise dead
    free_bytes = await run_blocking(run.threads, run.store.free_bytes)
    return PlanSurvey(tuple(survey for survey in surveys if survey is not None), free_bytes)


async def _ask(run: RunContext, file: PlannedFile, here: LocalFile) -> FileSurvey:
    try:
        identity = await retried(run, lambda: run.http.head(file.path))
    except ServerUnreachableError:
        raise
    except FetchError as error:
        return FileSurvey(file, here.state, here.local_bytes, None, error)
    return FileSurvey(file, here.state, here.local_bytes, identity.size_bytes)
