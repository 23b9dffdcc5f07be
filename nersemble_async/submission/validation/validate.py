"""Everything that is wrong with a submission zip, in one report. Blocking; no network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import BENCHMARKS, FileKind, Task
from nersemble_async.errors import SubmissionError
from nersemble_async.submission.entries import expected_entries
from nersemble_async.submission.issues import SubmissionIssue, SubmissionReport
from nersemble_async.submission.rules import breach
from nersemble_async.submission.validation.structure_checks import check_structure
from nersemble_async.submission.validation.validation_run import OnProgress, ValidationRun
from nersemble_async.submission.zips.zip_entries import SubmissionZip
from nersemble_async.workers import usable_cores


def validate_zip(
    path: Path,
    task: Task,
    metadata: TaskMetadata | None,
    *,
    root: Path | None = None,
    deep: bool = False,
    on_progress: OnProgress | None = None,
    threads: int | None = None,
    temporary_folder: Path | None = None,
) -> SubmissionReport:
    """Look at everything, and tell every problem at once.

    Args:
        path: the zip.
        task: whose submission it is.
        metadata: how many frames each video has; None: those of a sequence are compared with one
            another.
        root: a folder of fetched data, for comparing cameras.
        deep: decode every frame of every video.
        on_progress: called in this thread, ten times a second or more often.
        threads: videos looked at at a time; None: as many as there are cores.
        temporary_folder: where videos are extracted to, one for each thread; None: where `tempfile`
            puts them.

    Raises:
        OSError: the file is not there or cannot be read.
        DiskFullError: no room for one video in the folder for temporary files.
    """
    try:
        submission = SubmissionZip(path, temporary_folder=temporary_folder)
    except SubmissionError as error:
        found = str(error).removeprefix(f"{path} is ")
        issue = breach("not-a-zip", None, found, "a zip")
        return SubmissionReport(path, task, (issue,), 0, deep)
    with submission:
        structure = check_structure(task, submission.entries)
        run = ValidationRun(submission, task, structure, metadata, root, deep, on_progress)
        run.issues += structure.issues
        _look_into_entries(run, threads or usable_cores())
        n_files = sum(not entry.is_folder for entry in submission.entries)
    issues, not_checked = tuple(_in_order(run)), tuple(run.not_checked)
    return SubmissionReport(path, task, issues, n_files, deep, not_checked, structure.official)


def _look_into_entries(run: ValidationRun, threads: int) -> None:
    if any(file.kind is FileKind.MP4 for file in BENCHMARKS[run.task].submission_files):
        from nersemble_async.submission.validation.video_validation import (  # noqa: PLC0415 -- av, not for meshes
            look_at_videos,
        )

        look_at_videos(run, threads)
    else:
        from nersemble_async.submission.validation.mesh_validation import (  # noqa: PLC0415 -- not for videos
            look_at_meshes,
        )

        look_at_meshes(run)


def _in_order(run: ValidationRun) -> list[SubmissionIssue]:
    """The zip as a whole, then the benchmark's order, then what is not of the benchmark.

    What is misplaced is called by its name in the zip.
    """
    names = {path: entry.name for path, entry in run.structure.elsewhere.items()}
    order = (names.get(path, path) for path in expected_entries(run.task))
    rank: dict[str | None, int] = {name: position for position, name in enumerate(order)}
    rank[None] = -1
    issues = [
        replace(issue, entry=names[issue.entry]) if issue.entry in names else issue
        for issue in run.issues
    ]
    return sorted(issues, key=lambda issue: rank.get(issue.entry, len(rank)))
