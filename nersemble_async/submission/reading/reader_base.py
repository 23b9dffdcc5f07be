"""What the blocking readers of all benchmarks share: an open zip, its entries, its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.errors import SelectionError
from nersemble_async.submission.metadata_source import require_metadata
from nersemble_async.submission.reading.official_methods import OfBenchmark
from nersemble_async.submission.zips.zip_entries import SubmissionZip, ZipEntry


class SubmissionDataReader(OfBenchmark):
    """An open submission; a context manager. Several threads may use it at once.

    Args:
        zip_path: the zip.
        benchmark_folder: the root, where metadata.json is looked for; None: as the environment
            and the .env file say.
        metadata: the metadata.json itself, or what it says; comes before ``benchmark_folder``.

    Raises:
        SubmissionError: not a zip, or cut off.
        OSError: the file is not there or cannot be read.
    """

    def __init__(
        self,
        zip_path: str | Path,
        *,
        benchmark_folder: str | Path | None = None,
        metadata: str | Path | TaskMetadata | None = None,
    ) -> None:
        self._benchmark_folder = benchmark_folder
        self._metadata = metadata
        self._archive = SubmissionZip(Path(zip_path))
        # Of entries with the same name the last, as zipfile has it.
        self._entries = {entry.name: entry for entry in self._archive.entries}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._archive.path)!r})"

    def close(self) -> None:
        """Close the zip; again is no error. Videos that are open stay so."""
        self._archive.close()

    def validate_submission(
        self, *, on_progress: Callable[[int, int], None] | None = None
    ) -> dict[str, list[Any]]:
        """What the official validator would list, by its keys; empty where it finds nothing.

        `nersemble_async.validate_submission` finds more, and says how to mend it.

        Args:
            on_progress: called with entries that were looked at and entries in all.

        Raises:
            ConfigurationError: how long videos have to be is not known; says how to get it.
            MetadataError: metadata.json breaks its schema.
        """
        from nersemble_async.submission.validation.validate import validate_zip  # noqa: PLC0415

        source = require_metadata(self.task, self._benchmark_folder, self._metadata)
        report = validate_zip(
            self._archive.path, self.task, source.metadata, on_progress=on_progress
        )
        return report.official_report()

    # ---- within -------------------------------------------------------------------------------

    def _entry(self, path: str) -> ZipEntry:
        entry = self._entries.get(path)
        if entry is None:
            folders = sorted({name.split("/")[0] for name in self._entries if "/" in name})[:10]
            raise SelectionError(
                f"{self._archive.path} has no entry {path!r}; it has {len(self._entries)} entries, "
                f"in the folders {', '.join(map(repr, folders)) or '(none)'}"
            )
        return entry
