"""A dry run's findings as a table, as words and as JSON (pure).

The JSON object of ``fetch --dry-run`` adds to the common fields::

    free_bytes, missing_bytes, fits
    assets   [{task, asset, files, size_bytes, local_bytes, missing_bytes, complete_files,
               unsized_files, fits}]
             in the order of the fetch; size_bytes is of the files whose size is known;
             fits: room for this one after all before it
    files    [{path, state, size_bytes, local_bytes, error}]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nersemble_async.cache.store import LocalState
from nersemble_async.cli.output import Table
from nersemble_async.cli.report import Document, document_head, error_document
from nersemble_async.cli.wording import (
    Line,
    bytes_in_words,
    failure_lines,
    files_in_words,
    reason_of,
)
from nersemble_async.errors import AccessDeniedError
from nersemble_async.fetch.progress import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nersemble_async.fetch.survey import FileSurvey, PlanSurvey

_COLUMNS = ("task", "asset", "files", "bytes", "already here", "to fetch", "fits")


@dataclass(slots=True)
class AssetSurvey:
    """The files of one asset of one task, added up."""

    task: str
    asset: str
    files: int = 0
    complete_files: int = 0
    unsized_files: int = 0
    size_bytes: int = 0
    local_bytes: int = 0
    missing_bytes: int = 0
    fits: bool = True
    """There is room for it after all assets before it."""

    def add(self, file: FileSurvey) -> None:
        """Count one file."""
        self.files += 1
        self.complete_files += file.state is LocalState.COMPLETE
        self.unsized_files += file.size_bytes is None
        self.size_bytes += file.size_bytes or 0
        self.local_bytes += file.local_bytes
        self.missing_bytes += file.missing_bytes


def assets_of(found: PlanSurvey) -> list[AssetSurvey]:
    """Per task and asset, in the order in which a fetch would bring them."""
    by_asset: dict[tuple[str, str], AssetSurvey] = {}
    for one in found.files:
        key = (one.file.task, one.file.asset)
        by_asset.setdefault(key, AssetSurvey(*key)).add(one)
    left_bytes = found.free_bytes
    for asset in by_asset.values():
        left_bytes -= asset.missing_bytes
        asset.fits = left_bytes >= 0 or asset.missing_bytes == 0
    return list(by_asset.values())


def survey_table(found: PlanSurvey) -> Table:
    """A row for each task and asset, and a row of sums."""
    assets = assets_of(found)
    sums = AssetSurvey("all", "", fits=found.fits)
    for one in found.files:
        sums.add(one)
    return Table(_COLUMNS, [_row(asset) for asset in assets], footer=_row(sums))


def _row(asset: AssetSurvey) -> tuple[str, ...]:
    unsized = f" + {asset.unsized_files:,} unknown" if asset.unsized_files else ""
    return (
        asset.task,
        asset.asset,
        f"{asset.files:,}",
        bytes_in_words(asset.size_bytes) + unsized,
        f"{asset.complete_files:,} ({bytes_in_words(asset.local_bytes)})",
        bytes_in_words(asset.missing_bytes),
        "yes" if asset.fits else "no",
    )


def survey_lines(found: PlanSurvey, root: Path) -> list[Line]:
    """Whether it fits, what would not, and what the server did not say."""
    free = bytes_in_words(found.free_bytes)
    if found.fits:
        lines = [Line(f"{bytes_in_words(found.missing_bytes)} to fetch; {free} are free: it fits")]
    else:
        lacking = bytes_in_words(found.missing_bytes - found.free_bytes)
        too_much = [f"{a.task} {a.asset}" for a in assets_of(found) if not a.fits]
        lines = [
            Line(
                f"{bytes_in_words(found.missing_bytes)} to fetch, but only {free} are free in "
                f"{root}: {lacking} are lacking; no room for {', '.join(too_much)}",
                "bad",
            )
        ]
    unsized = [one for one in found.files if one.size_bytes is None]
    if unsized:
        lines.append(Line(f"the server told no size for {files_in_words(len(unsized))}", "strong"))
    refused = [(one.file.path, reason_of(one.error)) for one in unsized if one.error is not None]
    return lines + failure_lines(refused)


def exit_code_of_survey(found: PlanSurvey) -> ExitCode:
    """What a fetch would run into, as far as one can tell beforehand."""
    errors = [one.error for one in found.files if one.error is not None]
    if any(isinstance(error, AccessDeniedError) for error in errors):
        return ExitCode.NO_ACCESS
    if not found.fits:
        return ExitCode.DISK_FULL
    return ExitCode.SOME_FAILED if errors else ExitCode.OK


def survey_document(found: PlanSurvey, root: Path, code: ExitCode) -> Document:
    """The dry run as JSON; the fields stand in this module's docstring."""
    return {
        **document_head("fetch --dry-run", root, code),
        "free_bytes": found.free_bytes,
        "missing_bytes": found.missing_bytes,
        "fits": found.fits,
        "assets": [
            {name: getattr(asset, name) for name in AssetSurvey.__slots__}
            for asset in assets_of(found)
        ],
        "files": list(_file_documents(found.files)),
    }


def _file_documents(files: Iterable[FileSurvey]) -> Iterable[Document]:
    for one in files:
        yield {
            "path": one.file.path,
            "state": one.state.value,
            "size_bytes": one.size_bytes,
            "local_bytes": one.local_bytes,
            "error": error_document(one.error),
        }
