"""The public face of fetching: `Fetcher`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import anyio

from nersemble_async.cache.eviction import TransientFiles
from nersemble_async.cache.store import LocalState, Store
from nersemble_async.errors import MetadataError, NersembleError
from nersemble_async.fetch.connection_slots import ConnectionSlots, Priority
from nersemble_async.fetch.http import CLOSE_SECONDS, HttpClient
from nersemble_async.fetch.integrity import PublishedDigests
from nersemble_async.fetch.on_demand import OnDemand, open_on_demand
from nersemble_async.fetch.plan import (
    FetchPlan,
    PlannedFile,
    Selection,
    metadata_files,
    plan_fetch,
    plan_known_files,
)
from nersemble_async.fetch.planning import EVERYTHING, read_metadata, without
from nersemble_async.fetch.progress import FetchEvent, FetchReport
from nersemble_async.fetch.published import read_checksums
from nersemble_async.fetch.rate_limit import RateLimiter
from nersemble_async.fetch.retry import RetryPolicy
from nersemble_async.fetch.run_context import Emit, RunContext
from nersemble_async.fetch.scheduler import FetchOptions, Scheduler
from nersemble_async.fetch.status import StatusReport, look_at_root
from nersemble_async.fetch.stream import FetchRun
from nersemble_async.fetch.survey import PlanSurvey, survey_plan
from nersemble_async.fetch.verify import VerifyReport, verify_files
from nersemble_async.settings import Settings
from nersemble_async.workers import make_limiter, run_blocking, single_leaf

_EVENT_BUFFER = 256


class Fetcher:
    """Fetches files of the benchmark into a root folder; an async context manager.

    ::

        async with Fetcher(Settings.load()) as fetcher:
            plan = await fetcher.plan(Selection(tasks=("nvs",)))
            async with fetcher.open_fetch(plan) as run:
                async for event in run:
                    ...
            print(run.report.outcomes)

    Everything can be cancelled at any await: what was received is kept and a later run, of this
    or another process, goes on from there. The URL is needed only where a request is made.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings if settings is not None else Settings.load()
        self._store: Store | None = None
        self._http = HttpClient(
            self.settings.benchmark_url, self.settings.connections, self.settings.read_timeout
        )
        self._slots = ConnectionSlots(self.settings.connections)
        self._rate = RateLimiter(self.settings.max_rate)
        self._threads: anyio.CapacityLimiter | None = None
        self._published = PublishedDigests()

    async def __aenter__(self) -> Self:
        self._threads = make_limiter()
        self._store = await run_blocking(self._threads, Store, self.settings.root)
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await self._http.__aexit__(kind, error, traceback)

    # ---- planning -----------------------------------------------------------------------------

    async def plan(
        self, selection: Selection, *, refresh: bool = False, offline: bool = False
    ) -> FetchPlan:
        """The files of a selection; fetches each task's metadata.json where it is not on disk.

        Args:
            selection: what is wanted.
            refresh: fetch metadata.json anew although it is there.
            offline: make no request: read what is on disk, else go by documented lengths.

        Raises:
            SelectionError: it names something that does not exist.
            MissingBenchmarkUrlError, FetchError: no selected task can be planned, since its
                metadata.json cannot be had. (One of several: the plan holds the others' files.)
            MetadataError: metadata.json is not what it should be.
        """
        wanted = metadata_files(selection)
        failed: dict[PlannedFile, NersembleError] = {}
        if not offline:
            report = await self.fetch(FetchPlan(wanted), overwrite=refresh)
            if report.stopped is not None:
                raise report.stopped
            errors = {file.path: file.error for file in report.failures}
            failed = {file: error for file in wanted if (error := errors.get(file.path))}
        if failed:
            selection = without(selection, failed)
        store, threads = self._opened()
        metadata = {
            file.task: await read_metadata(store, threads, file, offline=offline)
            for file in wanted
            if file not in failed
        }
        # A file that could not be had stays in the plan: a run tries it again and reports it.
        return FetchPlan((*failed, *plan_fetch(selection, metadata)))

    # ---- fetching -----------------------------------------------------------------------------

    async def fetch(
        self,
        plan: FetchPlan,
        *,
        overwrite: bool = False,
        check_remote: bool = False,
        fail_fast: bool = False,
        on_event: Callable[[FetchEvent], None] | None = None,
    ) -> FetchReport:
        """Bring every file of ``plan`` and report. A file that fails does not stop the others.

        Args:
            plan: from `plan`, or made by hand.
            overwrite: fetch complete files anew too.
            check_remote: ask the server whether complete files are still the same there.
            fail_fast: end with the first file that fails.
            on_event: called in the event loop for each event; must not block.

        Raises:
            MissingBenchmarkUrlError: something has to be fetched and there is no URL.
            ConfigurationError: the checksums file cannot be used.
            CacheError: the root cannot be written to.
        """
        report = FetchReport()

        async def emit(event: FetchEvent) -> None:
            if on_event is not None:
                on_event(event)

        options = FetchOptions(overwrite, check_remote, fail_fast)
        run = await self._context(emit)
        with single_leaf():
            await Scheduler(run, plan, options, report).execute()
        return report

    @asynccontextmanager
    async def open_fetch(
        self,
        plan: FetchPlan,
        *,
        overwrite: bool = False,
        check_remote: bool = False,
        fail_fast: bool = False,
    ) -> AsyncIterator[FetchRun]:
        """`fetch` as a stream of events. A slow consumer slows the transfers; no buffer grows.

        Leaving the context before the events end stops the run with its state kept.
        """
        send, receive = anyio.create_memory_object_stream[FetchEvent](_EVENT_BUFFER)
        options = FetchOptions(overwrite, check_remote, fail_fast)
        run = await self._context(send.send)
        fetch_run = FetchRun(FetchReport(), receive)

        async def produce() -> None:
            with send, fetch_run.scope:
                await Scheduler(run, plan, options, fetch_run.report).execute()

        with single_leaf(), receive:
            async with anyio.create_task_group() as group:
                group.start_soon(produce)
                try:
                    yield fetch_run
                finally:
                    group.cancel_scope.cancel()

    @asynccontextmanager
    async def open_on_demand(self) -> AsyncIterator[OnDemand]:
        """For loaders: single files, fetched when they are needed, ahead of what `fetch` brings.

        What is fetched so stays within `Settings.cache_limit`; see `OnDemand`.
        """
        run = await self._context(_ignore, Priority.LOADER)
        async with open_on_demand(run, self.settings.cache_limit) as on_demand:
            yield on_demand

    # ---- looking ------------------------------------------------------------------------------

    async def survey(
        self, plan: FetchPlan, *, on_progress: Callable[[int, int], None] | None = None
    ) -> PlanSurvey:
        """What `fetch` would do: sizes asked from the server for what is not complete.

        Args:
            plan: from `plan`.
            on_progress: called with files looked at and files in all.
        """
        run = await self._context(_ignore)
        with single_leaf():
            return await survey_plan(run, plan, on_progress)

    async def status(self, plan: FetchPlan) -> StatusReport:
        """What is on disk, per task and asset, and files there that the benchmark knows not of."""
        store, threads = self._opened()
        return await look_at_root(store, threads, plan, await self._everything())

    async def verify(
        self,
        plan: FetchPlan | None = None,
        *,
        repair: bool = False,
        on_event: Callable[[FetchEvent], None] | None = None,
    ) -> VerifyReport:
        """Hash files anew and compare them with their records; optionally mend what is damaged.

        Args:
            plan: which files; None means every recorded one.
            repair: fetch damaged ranges and missing files again.
            on_event: `BytesReceived` for bytes hashed, then the events of the repair.

        Raises:
            MissingBenchmarkUrlError: a repair is asked for and there is no URL.
        """
        store, threads = self._opened()
        if repair:
            self._http.require_url()  # before hours of hashing
        if plan is None:
            everything = (await self._everything()).by_path()
            recorded = store.records.all()
            plan = FetchPlan(tuple(everything[path] for path in recorded if path in everything))
        with single_leaf():
            report = await verify_files(store, threads, plan, on_event)
        if repair and report.repairable:
            prepared = set(await report.prepare_repair(store, threads))
            mending = FetchPlan(tuple(file for file in plan if file.path in prepared))
            report.repaired = await self.fetch(mending, on_event=on_event)
        return report

    async def checksums(self) -> list[tuple[str, str]]:
        """(path, sha-256) of every recorded file that is still as it was recorded, sorted."""
        store, threads = self._opened()

        def collect() -> list[tuple[str, str]]:
            return [
                (path, record.sha256)
                for path, record in sorted(store.records.all().items())
                if store.look(path).state is LocalState.COMPLETE
            ]

        return await run_blocking(threads, collect)

    # ---- within -------------------------------------------------------------------------------

    def _opened(self) -> tuple[Store, anyio.CapacityLimiter]:
        if self._store is None or self._threads is None:
            raise RuntimeError("use it as: async with Fetcher(...) as fetcher")
        return self._store, self._threads

    async def _everything(self) -> FetchPlan:
        """The whole benchmark as far as it is known without a request."""
        try:
            return await self.plan(EVERYTHING, offline=True)
        except MetadataError:  # damaged: `verify` is to find that out, not to fall over it
            return plan_known_files(EVERYTHING)

    async def _context(self, emit: Emit, priority: Priority = Priority.BACKGROUND) -> RunContext:
        store, threads = self._opened()
        settings = self.settings
        self._published.give(await read_checksums(settings.checksums))
        await run_blocking(threads, store.records.refresh)
        return RunContext(
            store=store,
            http=self._http,
            threads=threads,
            finishing_threads=make_limiter(settings.connections),
            slots=self._slots.of(priority),
            connections=settings.connections,
            rate=self._rate,
            policy=RetryPolicy(settings.retries, settings.retry_base_seconds),
            published=self._published,
            emit=emit,
            transient=TransientFiles(store),
            on_purpose=priority is Priority.BACKGROUND,
        )


async def _ignore(event: FetchEvent) -> None:
    del event
