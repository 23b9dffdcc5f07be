"""What ``pack`` does: look at everything, say what is wrong, encode, finish."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread

from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.cli.pack_report import Packing, begin_lines, tell_end
from nersemble_async.cli.tally import Progress, Tally
from nersemble_async.cli.wording import Line, reason_in_words
from nersemble_async.data_managers.submission_metadata import obtain_metadata
from nersemble_async.errors import (
    ConfigurationError,
    DecodeError,
    DiskFullError,
    InvalidPredictionError,
    MetadataError,
)
from nersemble_async.fetch.progress import ExitCode
from nersemble_async.submission.entries import missing_entries
from nersemble_async.submission.metadata_source import require_metadata
from nersemble_async.submission.packing.checks import CheckedSource, check_source
from nersemble_async.submission.packing.pack import (
    PackWriter,
    files_below,
    most_at_once,
    open_pack_writer,
    pack_mesh,
    pack_video,
)
from nersemble_async.submission.packing.sources import PackPlan, PackSource, plan_pack
from nersemble_async.submission.writing.mesh_writer import SVFRSubmissionDataWriter
from nersemble_async.workers import (
    make_limiter,
    run_blocking,
    run_together,
    single_leaf,
    usable_cores,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nersemble_async.benchmark.metadata import TaskMetadata
    from nersemble_async.cli.session import Session
    from nersemble_async.submission.packing.sources import SourceProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class PackOptions:
    """What was asked for."""

    task: Task
    source: Path
    target: Path
    metadata: Path | None
    resume: bool | None
    """As the writers take it."""
    allow_partial: bool
    compensate_reader_bias: bool
    threads: int | None


class PackJob:
    """One pack; remembers how far it came, for the report of an interrupted one."""

    def __init__(self, asked: PackOptions) -> None:
        self._asked = asked
        self._threads = asked.threads or usable_cores()
        self._packing = Packing(asked.task, asked.source, asked.target)

    async def pack(self, session: Session) -> ExitCode:
        """Do it, and tell the end."""
        asked, packing = self._asked, self._packing
        metadata = await self._find_metadata(session)
        packing.plan = await run_blocking(make_limiter(1), self._plan, metadata)
        packing.problems = list(packing.plan.problems)
        await self._check(session, packing.plan, metadata)
        packing.missing = missing_entries(asked.task, packing.plan.claimed)
        may_lack = asked.allow_partial or asked.resume is True
        is_empty = not packing.checked and asked.resume is not True
        if packing.problems or is_empty or (packing.missing and not may_lack):
            session.output.lines(begin_lines(packing))
            return tell_end(session, packing, ExitCode.SOME_FAILED)
        try:
            return await self._pack(session, metadata)
        except DiskFullError as error:
            raise DiskFullError(
                f"{error}; what is packed stays: make room, then run the "
                "same command again with --resume"
            ) from None

    def tell_interrupted(self, session: Session) -> None:
        """Report what was done until a Ctrl-C."""
        tell_end(session, self._packing, ExitCode.INTERRUPTED)

    async def _find_metadata(self, session: Session) -> TaskMetadata | None:
        """How long videos have to be.

        Raises:
            ConfigurationError: that is not to be found out; says how to help.
        """
        task, settings = self._asked.task, session.settings
        if not BENCHMARKS[task].has_metadata:
            return None
        try:
            found = await obtain_metadata(task, settings, self._asked.metadata)
        except MetadataError as error:
            raise ConfigurationError(f"--metadata: {error}") from None
        if found.metadata is not None:
            return found.metadata
        try:
            source = require_metadata(task, settings.root)
        except (ConfigurationError, MetadataError, OSError):
            raise ConfigurationError(found.why_not) from None
        told = f"{found.why_not}. Lengths are taken from {source.origin}"
        session.output.lines([Line(told, "dim")])
        return source.metadata

    def _plan(self, metadata: TaskMetadata | None) -> PackPlan:
        target = self._asked.target.name
        own = frozenset(
            {target, *(f"{target}.partial{end}" for end in ("", ".journal", ".videos"))}
        )
        return plan_pack(self._asked.task, files_below(self._asked.source, own), metadata)

    async def _check(self, session: Session, plan: PackPlan, metadata: TaskMetadata | None) -> None:
        """Look at each source, several at once."""
        asked, packing = self._asked, self._packing
        tally = Tally({}, time.monotonic, unit="files")
        tally.files = sum(len(source.paths) for source in plan.sources.values())
        limiter = make_limiter(self._threads)
        found: dict[str, CheckedSource | list[SourceProblem]] = {}

        def look(source: PackSource) -> None:
            def count() -> None:
                tally.complete_files += 1
                anyio.from_thread.check_cancelled()

            found[source.entry.path] = check_source(
                asked.source,
                source,
                asked.task,
                metadata,
                compensate_reader_bias=asked.compensate_reader_bias,
                on_file=count,
            )

        async with session.output.following(Progress("Looking", tally)):
            with single_leaf():
                await run_together(
                    partial(run_blocking, limiter, look, source) for source in plan.sources.values()
                )
        for path in plan.sources:
            match found[path]:
                case CheckedSource() as checked:
                    packing.checked.append(checked)
                case problems:
                    packing.problems += problems

    async def _pack(self, session: Session, metadata: TaskMetadata | None) -> ExitCode:
        asked, packing = self._asked, self._packing
        limiter = make_limiter(1)
        opening = partial(
            open_pack_writer,
            asked.task,
            asked.target,
            metadata,
            resume=asked.resume,
            allow_partial=asked.allow_partial,
            compensate_reader_bias=asked.compensate_reader_bias,
            threads=self._threads,
        )
        with anyio.CancelScope(shield=True):  # what is opened is closed
            writer = await run_blocking(limiter, opening)
        try:
            packing.resumed = writer.resumed
            packing.nothing_to_resume = asked.resume is True and not writer.resumed
            there = packing.plan.claimed | writer.resumed
            packing.missing = missing_entries(asked.task, there)
            session.output.lines(begin_lines(packing))
            is_empty = not packing.checked and not packing.resumed
            if is_empty or (packing.missing and not asked.allow_partial):
                return tell_end(session, packing, ExitCode.SOME_FAILED)
            await self._work(session, writer)
            if packing.failures:
                return tell_end(session, packing, ExitCode.SOME_FAILED)
            await self._finish(session, writer)
            packing.report = writer.report
            return tell_end(session, packing, ExitCode.OK)
        finally:
            with anyio.CancelScope(shield=True):
                await run_blocking(limiter, writer.keep)  # nothing, where it is closed

    async def _finish(self, session: Session, writer: PackWriter) -> None:
        """The validator's look at the whole; what cancels it ends it at the next entry."""
        tally = Tally({}, time.monotonic, unit="entries")

        def count(done: int, total: int) -> None:
            tally.complete_files, tally.files = done, total
            anyio.from_thread.check_cancelled()

        root = session.settings.root
        close = partial(writer.close, root=root if root.is_dir() else None, on_progress=count)
        async with session.output.following(Progress("Validating", tally)):
            await run_blocking(make_limiter(1), close)

    async def _work(self, session: Session, writer: PackWriter) -> None:
        """Several predictions at once; what cancels it ends each at its frame."""
        packing = self._packing
        unit = "meshes" if isinstance(writer, SVFRSubmissionDataWriter) else "frames"
        tally = Tally({}, time.monotonic, unit=unit)
        tally.files = packing.n_to_do
        limiter = make_limiter(most_at_once(packing.task, self._threads))

        def work(path: str, do: Callable[[Callable[[], None]], None]) -> None:
            def count() -> None:
                packing.done[path] = packing.done.get(path, 0) + 1
                tally.complete_files = packing.n_done
                anyio.from_thread.check_cancelled()

            try:
                do(count)
            except DecodeError as error:
                packing.failures.append((error.path, reason_in_words(error)))
            except InvalidPredictionError as error:
                packing.failures.append((path, str(error).removeprefix(f"{path}: ")))
            except OSError as error:
                packing.failures.append((path, f"{error.filename}: {error.strerror or error}"))
            else:
                packing.packed.add(path)

        started = time.monotonic()
        try:
            async with session.output.following(Progress("Packing", tally)):
                with single_leaf():
                    await run_together(
                        partial(run_blocking, limiter, work, path, do)
                        for path, do in self._jobs(writer)
                    )
        finally:
            packing.seconds = time.monotonic() - started

    def _jobs(
        self, writer: PackWriter
    ) -> Iterator[tuple[str, Callable[[Callable[[], None]], None]]]:
        """By the path of the entry, what packs it; it is given what counts frames."""
        folder = self._asked.source
        for checked in self._packing.to_do:
            path = checked.source.entry.path
            if isinstance(writer, SVFRSubmissionDataWriter):
                yield path, partial(pack_mesh, writer, folder, checked.source)
            else:
                yield path, partial(pack_video, writer, folder, checked)
