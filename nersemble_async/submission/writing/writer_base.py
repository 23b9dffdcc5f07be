"""What all writers of submissions do: begin or go on, say what is missing, finish or keep."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import BENCHMARKS, Task
from nersemble_async.cache.forking import reset_on_fork
from nersemble_async.errors import IncompleteSubmissionError, SubmissionError
from nersemble_async.submission.entries import ExpectedEntry, expected_entries, missing_entries
from nersemble_async.submission.issues import SubmissionReport
from nersemble_async.submission.writing.archive import Archive

_INCOMPLETE_RULES = ("missing-entry", "missing-subtask")


class SubmissionDataWriter:
    """A zip on its way: ``NAME.zip.partial`` until it is complete and found to be valid.

    Args:
        zip_path: the zip that is to be; an older one is replaced when the new one is complete.
        resume: True: go on with what an earlier run left unfinished: what is there is checked
            anew, and not asked for again; False: throw it away; None: refuse to begin where there
            is something.
        allow_partial: for tests of a pipeline: write the zip although predictions are missing.

    Raises:
        SubmissionError: an earlier run left something unfinished, or what cannot be gone on with;
            says what to do.
        CacheLockedError: another process is writing the same zip.
        DiskFullError, CacheError: it cannot be written.
    """

    _task: Task

    def __init__(
        self,
        zip_path: str | Path,
        *,
        resume: bool | None,
        allow_partial: bool,
        contents: dict[str, str | bool] | None = None,
    ) -> None:
        self._spec = BENCHMARKS[self._task]
        expected_entries(self._task)  # reads a file once: not where missing() is called
        self._allow_partial = allow_partial
        self._is_open = True
        self._end_lock = threading.Lock()
        self.report: SubmissionReport | None = None
        """What the validator found in the finished zip; None before."""
        target = Path(zip_path).expanduser()
        self._archive = Archive(
            target,
            {"task": self._task, **(contents or {})},
            resume=resume,
            check=self._check_earlier,
        )
        self.resumed: frozenset[str] = frozenset(self._archive.entries)
        """The paths inside the zip of what an earlier run had written."""
        reset_on_fork(self)

    def reset_in_child(self) -> None:
        """A forked child's copy is closed; the parent goes on."""
        self._is_open = False
        self._end_lock = threading.Lock()

    def _check_earlier(self, path: str, copied: Callable[[], Path]) -> None:  # noqa: ARG002 -- of videos
        """Whether an entry of an earlier run is of this submission: told now, not at its end.

        Args:
            path: inside the zip.
            copied: makes a file of it.

        Raises:
            SubmissionError: it is not.
        """
        if path not in expected_entries(self._task):
            raise SubmissionError(
                f"an earlier run wrote {path}, which no submission to {self._task} has; throw away "
                "what it left (resume=False, on the command line --restart)"
            )

    def missing(self) -> list[ExpectedEntry]:
        """What a complete submission still lacks, in the benchmark's order."""
        return missing_entries(self._task, self._archive.entries)

    def close(
        self, *, root: Path | None = None, on_progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Finish the zip: it is looked at once more as a whole and takes its name.

        Args:
            root: of fetched data, which the validator compares the cameras with; None: it does not.
            on_progress: called with the number of entries that the validator has looked at, and of
                all; what it raises keeps what is there, to be gone on with.

        Raises:
            IncompleteSubmissionError: predictions are missing; what is there stays, to be gone on
                with.
            SubmissionError: the validator found an error; what is there stays.
            DiskFullError, CacheError: it cannot be written; what is there stays.
        """
        with self._end_lock:
            if not self._is_open:
                return
            try:
                self._end()
                lacking = tuple(entry.path for entry in self.missing())
                if not lacking or self._allow_partial:
                    self._archive.finish(lambda path: self._validate(path, root, on_progress))
            finally:
                self._archive.keep()  # no more than it is, where it was not finished
            if lacking and not self._allow_partial:
                kept = str(self._archive.partial) if self._archive.entries else None
                raise IncompleteSubmissionError(str(self._archive.target), lacking, kept)

    def keep(self) -> None:
        """Close it unfinished, to be gone on with by ``resume=True``."""
        with self._end_lock:
            if not self._is_open:
                return
            try:
                self._end()
            finally:
                self._archive.keep()

    def _end(self) -> None:
        self._is_open = False
        self._stop()

    def _stop(self) -> None:
        """End what is under way; nothing where single files are written."""

    def _metadata(self) -> TaskMetadata | None:
        return None

    def _validate(
        self, path: Path, root: Path | None, on_progress: Callable[[int, int], None] | None
    ) -> None:
        from nersemble_async.submission.validation.validate import validate_zip  # noqa: PLC0415 -- 0.1 s

        folder = self._archive.folder  # beside the zip, where there is room, and not in /tmp
        folder.mkdir(exist_ok=True)
        report = validate_zip(
            path,
            self._task,
            self._metadata(),
            root=root,
            on_progress=on_progress,
            temporary_folder=folder,
        )
        self.report = replace(report, path=self._archive.target)
        allowed = _INCOMPLETE_RULES if self._allow_partial else ()
        errors = [issue for issue in report.errors if issue.rule not in allowed]
        if errors:
            told = "; ".join(f"{e.entry}: {e.rule}, {e.found}" for e in errors[:3])
            raise SubmissionError(
                f"{self._archive.target} was not written: the validator found {len(errors)} errors "
                f"in {path.name}, first {told}"
            )

    def _refuse_closed(self) -> None:
        if not self._is_open:
            raise SubmissionError(f"the writer of {self._archive.target} is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.keep()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._archive.target)!r})"
