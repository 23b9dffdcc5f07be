"""`LocalAssets` for an event loop: blocking work in threads, missing files fetched on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, TypeVarTuple

import anyio
from anyio.lowlevel import RunVar

from nersemble_async.data_managers.local_assets import LocalAssets
from nersemble_async.data_managers.participant_files import ParticipantFiles, root_folder
from nersemble_async.data_managers.timeline import Timeline
from nersemble_async.errors import ConfigurationError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.workers import enter_together, make_limiter, run_blocking

if TYPE_CHECKING:
    from nersemble_async.benchmark.layout import Task
    from nersemble_async.fetch.fetcher import Fetcher
    from nersemble_async.fetch.on_demand import OnDemand
    from nersemble_async.loaders.frame_cache import FrameCache

T = TypeVar("T")
Args = TypeVarTuple("Args")

_LIMITERS: RunVar[anyio.CapacityLimiter] = RunVar("nersemble_async.data_managers")
"""One of each event loop: however many loads are awaited at once, so many threads work."""


_CLOSE_SECONDS = 10.0


class AssetAccess:
    """What an async manager stands on; without a fetcher it has nothing to close but open videos.

    Args:
        benchmark_folder: the root; None: the fetcher's, else as the settings say (which reads the
            .env file).
        task: which benchmark.
        participant_id: whose assets.
        fetcher: brings what is not on disk, while `AssetAccess` is entered.
        frame_cache: where single frames are looked for first.

    Raises:
        SelectionError: there is no such participant.
        ConfigurationError: the fetcher's root is another folder.
    """

    def __init__(
        self,
        benchmark_folder: str | Path | None,
        task: Task,
        participant_id: int,
        *,
        fetcher: Fetcher | None,
        frame_cache: FrameCache | None,
    ) -> None:
        if benchmark_folder is None and fetcher is not None:
            benchmark_folder = fetcher.settings.root
        self.files = ParticipantFiles(root_folder(benchmark_folder), task, participant_id)
        self.assets = LocalAssets(self.files, frame_cache=frame_cache)
        self._fetcher = fetcher
        self._on_demand: OnDemand | None = None
        self._stack = AsyncExitStack()
        self._has_metadata = False
        if fetcher is not None and self.files.root != fetcher.settings.root:
            raise ConfigurationError(
                f"the fetcher fetches into {fetcher.settings.root}, but assets are to be loaded "
                f"from {self.files.root}; give both the same folder, or None for the fetcher's"
            )

    async def __aenter__(self) -> Self:
        if self._fetcher is not None:
            self._on_demand = await self._stack.enter_async_context(self._fetcher.open_on_demand())
        return self

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        return self._leave(kind, error, traceback)

    async def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._on_demand = None
        try:
            # It shields what it has to; a scope around it would not nest with those within.
            await self._stack.__aexit__(kind, error, traceback)
        finally:
            with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
                await self.run(self.assets.close)

    @property
    def fetches(self) -> bool:
        """Whether what is not on disk is fetched."""
        return self._fetcher is not None

    async def run(self, function: Callable[[*Args], T], *args: *Args) -> T:
        """Call a blocking function in a thread."""
        return await run_blocking(self.limiter, function, *args)

    @property
    def limiter(self) -> anyio.CapacityLimiter:
        """Of the threads of this event loop."""
        try:
            return _LIMITERS.get()
        except LookupError:
            limiter = make_limiter()
            _LIMITERS.set(limiter)
            return limiter

    # ---- files --------------------------------------------------------------------------------

    @asynccontextmanager
    async def open_file(self, file: PlannedFile) -> AsyncIterator[Path]:
        """The file's path, fetched first where there is a fetcher; within, nobody evicts it.

        Raises:
            NotCachedError: it is not on disk and there is no fetcher.
            FetchError, CacheError: it cannot be fetched.
            ConfigurationError: there is a fetcher, but nobody entered the manager.
        """
        on_demand = self._entered()
        if on_demand is None:
            yield await self.run(self.assets.require, file)
        else:
            async with on_demand.open_file(file) as path:
                yield path

    @asynccontextmanager
    async def open_files(self, files: Iterable[PlannedFile]) -> AsyncIterator[None]:
        """`open_file` of each, all held until the context is left; missing ones come together.

        The fetcher's connections bound how many are on their way. Where one cannot be had, the
        others are given up.
        """
        async with AsyncExitStack() as stack:
            if self._entered() is None:  # the first that is missing is told, each time the same
                for file in files:
                    await stack.enter_async_context(self.open_file(file))
            else:
                await enter_together(stack, map(self.open_file, files))
            yield

    async def load(self, file: PlannedFile, function: Callable[[*Args], T], *args: *Args) -> T:
        """What a blocking function of `LocalAssets` makes of the file; errors as `open_file`."""
        if self._entered() is None:
            return await self.run(function, *args)  # it says itself what is not there
        await self.have_metadata()
        async with self.open_file(file):
            return await self.run(function, *args)

    def _entered(self) -> OnDemand | None:
        if self._fetcher is not None and self._on_demand is None:
            raise ConfigurationError(
                "a data manager with a fetcher is used within `async with manager:`"
            )
        return self._on_demand

    async def have_metadata(self) -> None:
        """Fetch the task's metadata.json once, where it is missing and there is a fetcher."""
        file = self.files.metadata()
        if self._fetcher is None or self._has_metadata or file is None:
            return
        async with self.open_file(file):
            await self.run(self.assets.read_metadata)  # it stays in memory
        self._has_metadata = True

    async def check_before_fetching(self, sequence_name: str, timestep: int) -> None:
        """Whether the timestep exists, where a large file would be fetched to find out."""
        if self.fetches:
            (await self.timeline(sequence_name)).frame_index(timestep)

    async def timeline(self, sequence_name: str, video: PlannedFile | None = None) -> Timeline:
        """The sequence's timesteps; see `LocalAssets.read_timeline`."""
        self.files.check_any_sequence(sequence_name)
        await self.have_metadata()
        return await self.run(self.assets.read_timeline, sequence_name, video)


class HoldsAccess:
    """A base of the async managers: entered and left with the `AssetAccess` that it holds."""

    _access: AssetAccess

    def __repr__(self) -> str:
        files = self._access.files
        return f"{type(self).__name__}({files.folder!r}, {files.participant_id})"

    async def __aenter__(self) -> Self:
        await self._access.__aenter__()
        return self

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Awaitable[None]:
        return self._access.__aexit__(kind, error, traceback)
