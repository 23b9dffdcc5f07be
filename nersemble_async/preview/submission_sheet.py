"""A submission zip as one picture, of whichever benchmark it is; what is not there says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nersemble_async.benchmark.spec import BENCHMARKS, FileKind, Task
from nersemble_async.errors import (
    CacheError,
    DecodeError,
    DiskFullError,
    MetadataError,
    SelectionError,
    SubmissionError,
)
from nersemble_async.preview.sequence_sheet import Overlay, spread
from nersemble_async.preview.sheet import Row, write_sheet
from nersemble_async.preview.submission_meshes import MeshSheet, mesh_images
from nersemble_async.preview.submission_references import Reference, reference_of
from nersemble_async.preview.submission_videos import MOST_BESIDE, VideoSheet
from nersemble_async.submission.entries import (
    ExpectedEntry,
    expected_entries,
    missing_entries,
    submitted_subtasks,
)
from nersemble_async.submission.zips.zip_entries import SubmissionZip, ZipEntry

OnProgress = Callable[[int, int], None]

_TILE_HEIGHT, _SMALL_TILE_HEIGHT = 240, 128
_MOST_MESHES = 24
_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class SubmissionSheetOptions:
    """What of a submission is drawn; what is None is chosen by what is in the zip."""

    participants: tuple[int, ...] | None = None
    serials: tuple[str, ...] | None = None
    timesteps: tuple[int, ...] | None = None
    """Frames of videos, counted from 0; of single images, their timesteps."""
    overlay: Overlay | None = None
    """None: the tracked FLAME mesh, where the benchmark has one, else train cameras beside."""
    flame_folder: Path | None = None
    """Where the FLAME model's files lie; None: the usual folder."""
    tile_height: int | None = None
    """Pixels; None: fewer where a row is long."""


def write_submission_sheet(
    path: Path,
    root: Path,
    out_png: Path,
    options: SubmissionSheetOptions,
    on_progress: OnProgress | None = None,
) -> list[str]:
    """Draw a sheet; an entry that is missing or broken leaves a tile that says so. Blocking.

    Args:
        path: the zip.
        root: of fetched data, may be empty or not there.
        out_png: the picture.
        options: what is drawn.
        on_progress: called with videos or meshes that were drawn, and how many there are in all.

    Returns:
        What was left out of what one may expect, and why, in words.

    Raises:
        SubmissionError: not a zip, or one without an entry of any benchmark.
        SelectionError: nothing of what was asked for is submitted; lists what is.
        DiskFullError: no room for one video in the folder for temporary files.
        OSError: the zip cannot be read, or the picture not be written.
    """
    with SubmissionZip(path) as archive:
        files = {entry.name: entry for entry in archive.entries if not entry.is_folder}
        task = task_of(path, files)
        expected = expected_entries(task)
        present = {name: entry for name, entry in files.items() if name in expected}
        notes = list(_missing_notes(task, present, len(files) - len(present)))
        sheet = _Sheet(archive, root, task, present, options, notes, on_progress)
        rows, height = sheet.rows()
        write_sheet(out_png, rows, height)
    return notes


def task_of(path: Path, names: Mapping[str, object]) -> Task:
    """Whose submission it is, by the names of its entries.

    Raises:
        SubmissionError: no entry is named as any benchmark asks for.
    """
    counts: dict[Task, int] = {
        task: sum(name in expected_entries(task) for name in names) for task in BENCHMARKS
    }
    task = max(counts, key=lambda each: counts[each])
    if not counts[task]:
        examples = ", ".join(next(iter(expected_entries(each))) for each in BENCHMARKS)
        raise SubmissionError(
            f"{path} is no submission: none of its {len(names)} entries has a name such as "
            f"{examples}; `nersemble-async validate TASK {path}` says more"
        )
    return task


def _missing_notes(task: Task, present: Mapping[str, ZipEntry], n_others: int) -> Iterator[str]:
    missing = [entry.path for entry in missing_entries(task, present)]
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" * (len(missing) > _MOST_NAMED)
        yield f"missing from the zip: {', '.join(missing[:_MOST_NAMED])}{more}"
    if n_others:
        entries = "1 entry" if n_others == 1 else f"{n_others:,} entries"
        yield f"not drawn: {entries} of a name that {task} does not know"


class _Sheet:
    def __init__(  # noqa: PLR0917 -- made in one place
        self,
        archive: SubmissionZip,
        root: Path,
        task: Task,
        present: Mapping[str, ZipEntry],
        options: SubmissionSheetOptions,
        notes: list[str],
        on_progress: OnProgress | None,
    ) -> None:
        self._archive = archive
        self._root = root
        self._task: Task = task
        self._present = present
        self._options = options
        self._notes = notes
        self._on_progress = on_progress
        self._n_drawn = 0
        self._without_reference: dict[int, str] = {}

    def rows(self) -> tuple[list[Row], int]:
        """The rows, and how high their tiles are."""
        chosen = self._chosen()
        if BENCHMARKS[self._task].submission_rate is None:
            return self._mesh_rows(chosen)
        return self._video_rows(chosen)

    def _chosen(self) -> tuple[ExpectedEntry, ...]:
        options = self._options
        entries = [e for e in expected_entries(self._task).values() if e.kind is not FileKind.NPY]
        entries = self._keep(
            entries, "participant", lambda e: e.participant_id, options.participants
        )
        entries = self._keep(entries, "serial", lambda e: e.serial, options.serials)
        if BENCHMARKS[self._task].submission_rate is None:
            entries = self._keep(entries, "timestep", lambda e: e.timestep, options.timesteps)
        return tuple(entries)

    def _keep(
        self,
        entries: list[ExpectedEntry],
        what: str,
        value: Callable[[ExpectedEntry], object],
        wanted: Sequence[object] | None,
    ) -> list[ExpectedEntry]:
        if wanted is None:
            return entries
        known = list(dict.fromkeys(value(entry) for entry in entries))
        for each in wanted:
            if each not in known:
                raise SelectionError(
                    f"no submission to {self._task} has {what} {each} here; there are "
                    f"{', '.join(map(str, known))}"
                )
        return [entry for entry in entries if value(entry) in wanted]

    def _counter(self, n_all: int) -> Callable[[], None]:
        def count() -> None:
            self._n_drawn += 1
            if self._on_progress is not None:
                self._on_progress(self._n_drawn, n_all)

        return count

    # ---- videos -------------------------------------------------------------------------------

    def _video_rows(self, chosen: tuple[ExpectedEntry, ...]) -> tuple[list[Row], int]:
        frames = self._options.timesteps
        if frames is not None and min(frames) < 0:
            raise SelectionError(f"frames are counted from 0: there is no {min(frames)}")
        in_a_row = len([e for e in chosen if e.participant_id == chosen[0].participant_id])
        usual = _TILE_HEIGHT if in_a_row <= MOST_BESIDE else _SMALL_TILE_HEIGHT
        height = self._options.tile_height or usual
        sheet = VideoSheet(
            self._archive,
            self._task,
            self._present,
            chosen,
            frames,
            self._reference,
            height,
            self._counter(len(chosen)),
        )
        rows = list(sheet.rows())
        if self._without_reference:
            others = ", ".join(f"{each:03d}" for each in self._without_reference)
            reason = next(iter(self._without_reference.values()))
            self._notes.append(f"nothing is set beside the videos of {others}: {reason}")
        return rows, height

    def _reference(self, participant_id: int) -> Reference | None:
        options = self._options
        try:
            return reference_of(
                self._root, self._task, participant_id, options.overlay, options.flame_folder
            )
        except DiskFullError:
            raise
        except (CacheError, DecodeError, MetadataError, OSError) as error:
            self._without_reference[participant_id] = str(error)
            return None

    # ---- meshes -------------------------------------------------------------------------------

    def _mesh_rows(self, chosen: tuple[ExpectedEntry, ...]) -> tuple[list[Row], int]:
        there = tuple(entry for entry in chosen if entry.path in self._present)
        # Of one of many images each, those that lie between are not missed.
        images = spread(mesh_images(there or chosen), _MOST_MESHES)
        height = self._options.tile_height or _SMALL_TILE_HEIGHT
        n_meshes = len(images) * len(submitted_subtasks(self._task, self._present))
        sheet = MeshSheet(
            self._archive.path,
            self._root,
            self._task,
            self._present,
            images,
            height,
            self._counter(n_meshes),
        )
        return list(sheet.rows()), height
