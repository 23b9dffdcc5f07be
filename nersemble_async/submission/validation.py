"""Everything that is wrong with a submission zip, in one report. Blocking; no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from nersemble_async.benchmark.metadata import TaskMetadata
from nersemble_async.benchmark.spec import BENCHMARKS, FileKind, Task
from nersemble_async.errors import SubmissionError
from nersemble_async.submission.entries import ExpectedEntry, expected_entries
from nersemble_async.submission.issues import SubmissionIssue, SubmissionReport
from nersemble_async.submission.rules import breach
from nersemble_async.submission.structure_checks import Structure, check_structure
from nersemble_async.submission.zip_entries import EntryError, SubmissionZip
from nersemble_async.workers import usable_cores

if TYPE_CHECKING:
    from nersemble_async.submission.mesh_checks import MeshFindings
    from nersemble_async.submission.video_checks import VideoFindings

T = TypeVar("T")

OnProgress = Callable[[int, int], None]
"""Called with entries looked at and entries in all; what it raises ends the validation."""

_HEARTBEAT_SECONDS = 0.1
"""Between two calls of `OnProgress` at most, so that it can end the validation soon."""


def validate_zip(
    path: Path,
    task: Task,
    metadata: TaskMetadata | None,
    *,
    root: Path | None = None,
    deep: bool = False,
    on_progress: OnProgress | None = None,
    threads: int | None = None,
) -> SubmissionReport:
    """Look at everything, and tell every problem at once.

    Args:
        path: the zip.
        task: whose submission it is.
        metadata: how many frames each video has; None: those of a sequence are compared with one
            another.
        root: a folder of fetched data, for comparing cameras.
        deep: decode every frame of every video.
        on_progress: called in this thread.
        threads: videos looked at at a time; None: as many as there are cores.

    Raises:
        OSError: the file is not there or cannot be read.
        DiskFullError: no room for one video in the folder for temporary files.
    """
    try:
        submission = SubmissionZip(path)
    except SubmissionError as error:
        found = str(error).removeprefix(f"{path} is ")
        return SubmissionReport(path, task, (breach("not-a-zip", None, found, "a zip"),), 0, deep)
    with submission:
        structure = check_structure(task, submission.entries)
        looked = _Looked(list(structure.issues))
        spec = BENCHMARKS[task]
        beat = _Beat(on_progress, sum(1 for _ in _units(task, structure)))
        if any(file.kind is FileKind.MP4 for file in spec.submission_files):
            job = _VideoJob(submission, task, metadata, root, deep)
            _look_at_videos(job, structure, looked, beat, threads or usable_cores())
        else:
            _look_at_meshes(submission, task, structure, looked, beat)
    return SubmissionReport(
        path,
        task,
        tuple(_in_order(task, looked.issues)),
        sum(not entry.is_folder for entry in submission.entries),
        deep,
        tuple(looked.not_checked),
        structure.official,
    )


@dataclass(slots=True)
class _Looked:
    """What was found so far."""

    issues: list[SubmissionIssue]
    not_checked: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Beat:
    """Tells how far it is."""

    on_progress: OnProgress | None
    total: int
    done: int = 0

    def __call__(self, more: int = 0) -> None:
        self.done += more
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


def _units(task: Task, structure: Structure) -> Iterator[ExpectedEntry]:
    """What is looked at one by one: videos, meshes with their landmarks, landmarks alone."""
    expected = expected_entries(task)
    for path in structure.present:
        entry = expected[path]
        if entry.kind is not FileKind.NPY or _mesh_of(path) not in structure.present:
            yield entry


def _in_order(task: Task, issues: Iterable[SubmissionIssue]) -> list[SubmissionIssue]:
    """The zip as a whole, then the benchmark's order, then what is not of the benchmark."""
    rank = {path: position for position, path in enumerate(expected_entries(task))}
    return sorted(
        issues,
        key=lambda issue: -1 if issue.entry is None else rank.get(issue.entry, len(rank)),
    )


def _of_entry(error: EntryError, path: str) -> SubmissionIssue:
    return breach(error.rule, path, error.found, error.expected)


def _of_fault(rule: str, path: str, error: Exception) -> SubmissionIssue:
    """A check that failed of something that nobody thought of says so; it is not swallowed."""
    found = f"something that cannot be checked ({type(error).__name__}: {error})"
    return breach(rule, path, found, "an entry like those that the writers make")


# ---- videos -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _VideoJob:
    """What the checks of one video need."""

    submission: SubmissionZip
    task: Task
    metadata: TaskMetadata | None
    root: Path | None
    deep: bool

    def n_frames(self, entry: ExpectedEntry) -> int | None:
        """Of the video; None where it is not known."""
        if self.metadata is None:
            return None
        return self.metadata.n_frames(entry.participant_id, entry.sequence_name)


def _look_at_videos(
    job: _VideoJob, structure: Structure, looked: _Looked, beat: _Beat, threads: int
) -> None:
    """Several at a time; then what the videos together tell."""
    from nersemble_async.submission.camera_checks import (  # noqa: PLC0415 -- av, not for meshes
        check_cameras,
    )

    units = list(_units(job.task, structure))
    findings: dict[str, VideoFindings] = {}
    with ThreadPoolExecutor(max_workers=max(1, min(threads, len(units)))) as pool:
        futures = {
            pool.submit(_look_at_video, job, structure, entry): entry.path for entry in units
        }
        try:
            for future in _as_they_end(futures, beat):
                found = future.result()
                if isinstance(found, SubmissionIssue):
                    looked.issues.append(found)
                else:
                    looked.issues += found.issues
                    findings[futures[future]] = found
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    in_order = {entry.path: findings[entry.path] for entry in units if entry.path in findings}
    looked.issues += check_cameras(job.task, in_order, job.root)
    lengths_unknown = [entry for entry in units if job.n_frames(entry) is None]
    if lengths_unknown:
        looked.issues += _compare_lengths(lengths_unknown, in_order)
        looked.not_checked.append(
            f"how many frames {len(lengths_unknown):,} of the videos need: no metadata.json says "
            "it, so that those of a sequence were compared with one another only"
        )


def _as_they_end(futures: Mapping[Future[T], str], beat: _Beat) -> Iterator[Future[T]]:
    pending = set(futures)
    beat()
    while pending:
        done, pending = wait(pending, _HEARTBEAT_SECONDS, FIRST_COMPLETED)
        yield from done
        beat(len(done))


def _look_at_video(
    job: _VideoJob, structure: Structure, entry: ExpectedEntry
) -> VideoFindings | SubmissionIssue:
    from nersemble_async.submission.video_checks import check_video  # noqa: PLC0415 -- av

    try:
        with job.submission.extracted(structure.present[entry.path]) as file:
            try:
                spec = BENCHMARKS[job.task]
                return check_video(file, entry, spec, job.n_frames(entry), deep=job.deep)
            except Exception as error:  # noqa: BLE001 -- becomes an issue, whatever it is
                return _of_fault("unreadable-video", entry.path, error)
    except EntryError as error:
        return _of_entry(error, entry.path)


def _compare_lengths(
    entries: Iterable[ExpectedEntry], findings: Mapping[str, VideoFindings]
) -> Iterator[SubmissionIssue]:
    """Videos of one sequence that differ in length, where no metadata says which is right."""
    by_sequence: dict[tuple[int, str], list[tuple[str, int]]] = {}
    for entry in entries:
        found = findings.get(entry.path)
        if found is not None and found.n_frames is not None:
            of_sequence = by_sequence.setdefault((entry.participant_id, entry.sequence_name), [])
            of_sequence.append((entry.path, found.n_frames))
    for videos in by_sequence.values():
        counts = [count for _, count in videos]
        usual = max(counts, key=lambda count: (counts.count(count), count))
        for path, count in videos:
            if count != usual:
                expected = f"{usual} frames, as the sequence's other cameras have"
                yield breach("wrong-frame-count", path, f"{count} frames", expected)


# ---- meshes -------------------------------------------------------------------------------------


def _mesh_of(landmarks_path: str) -> str:
    """The path of the mesh that landmarks belong to."""
    folder, _, name = landmarks_path.rpartition("/")
    subtask = name.removeprefix("landmarks_").removesuffix(".npy")
    return f"{folder}/mesh_{subtask}.ply"


def _landmarks_of(mesh_path: str) -> str:
    folder, _, name = mesh_path.rpartition("/")
    return f"{folder}/{name.replace('mesh_', 'landmarks_').replace('.ply', '.npy')}"


def _look_at_meshes(
    submission: SubmissionZip, task: Task, structure: Structure, looked: _Looked, beat: _Beat
) -> None:
    """One after the other: a thread would cost more than it saves."""
    from nersemble_async.submission.mesh_checks import check_subtasks  # noqa: PLC0415

    findings: dict[str, MeshFindings] = {}
    beat()
    for entry in _units(task, structure):
        found = _look_at_mesh(submission, structure, entry, looked)
        if found is not None:
            looked.issues += found.issues
            findings[entry.path] = found
        beat(1)
    looked.issues += check_subtasks(findings)


def _look_at_mesh(
    submission: SubmissionZip, structure: Structure, entry: ExpectedEntry, looked: _Looked
) -> MeshFindings | None:
    from nersemble_async.submission.mesh_checks import check_mesh_entry  # noqa: PLC0415

    mesh = _read(submission, structure, entry.path, looked)
    if mesh is None or entry.kind is FileKind.NPY:
        return None
    path = _landmarks_of(entry.path)
    landmarks = _read(submission, structure, path, looked) if path in structure.present else None
    try:
        return check_mesh_entry(entry, mesh, landmarks)
    except Exception as error:  # noqa: BLE001 -- becomes an issue, whatever it is
        looked.issues.append(_of_fault("unreadable-mesh", entry.path, error))
        return None


def _read(
    submission: SubmissionZip, structure: Structure, path: str, looked: _Looked
) -> bytes | None:
    try:
        return submission.read(structure.present[path])
    except EntryError as error:
        looked.issues.append(_of_entry(error, path))
        return None
