"""What a submission zip has to hold: every entry of a benchmark, by its path. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from nersemble_async.benchmark.keys import ImageKey, VideoKey
from nersemble_async.benchmark.spec import (
    BENCHMARKS,
    SUBTASKS,
    BenchmarkSpec,
    FileKind,
    Scope,
    SubmissionFile,
    Subtask,
    Task,
)
from nersemble_async.errors import SelectionError


@dataclass(frozen=True, slots=True)
class ExpectedEntry:
    """A file that a submission holds, or may hold."""

    path: str
    """Inside the zip."""
    kind: FileKind
    """MP4, PLY or NPY."""
    participant_id: int
    sequence_name: str
    serial: str
    timestep: int | None
    """Of an image; None: a video of the whole sequence."""
    subtask: Subtask | None
    """SVFR: posed or neutral."""
    optional: bool
    """Landmarks: a complete submission may lack them."""
    landmarks: str
    """Of a mesh: the path of its landmarks; else empty."""

    @property
    def video(self) -> VideoKey:
        """Which camera's view of which sequence."""
        return VideoKey(self.participant_id, self.sequence_name, self.serial)


@cache
def expected_entries(task: Task) -> Mapping[str, ExpectedEntry]:
    """Everything that may stand in a zip, by path, in the benchmark's order."""
    spec = BENCHMARKS[task]
    return MappingProxyType(
        {
            entry.path: entry
            for file in spec.submission_files
            for participant_id in spec.participants
            for entry in _entries(spec, file, participant_id)
        }
    )


def _entries(
    spec: BenchmarkSpec, file: SubmissionFile, participant_id: int
) -> Iterator[ExpectedEntry]:
    places: list[tuple[str, str, int | None]]
    if file.scope is Scope.PER_IMAGE:
        keys = spec.image_keys[participant_id]
        places = [(key.sequence_name, key.serial, key.timestep) for key in keys]
    else:
        names = spec.submission_sequences[participant_id]
        places = [(name, serial, None) for name in names for serial in spec.submission_serials]
    of_mesh = [other for other in spec.submission_files if other.subtask == file.subtask]
    of_mesh = [other for other in of_mesh if other.optional and other is not file]
    for sequence_name, serial, timestep in places:
        where = (participant_id, sequence_name, serial, timestep)
        yield ExpectedEntry(
            file.path(*where),
            file.kind,
            participant_id,
            sequence_name,
            serial,
            timestep,
            file.subtask,
            file.optional,
            landmarks=of_mesh[0].path(*where) if of_mesh else "",
        )


def video_entry(
    spec: BenchmarkSpec, participant_id: int, sequence_name: str, serial: str
) -> ExpectedEntry:
    """The entry of a video.

    Raises:
        SelectionError: no such video is submitted; lists what is.
    """
    _check("participant", participant_id, spec.submission_sequences, spec)
    _check("sequence", sequence_name, spec.submission_sequences[participant_id], spec)
    _check("serial", serial, spec.submission_serials, spec)
    (file,) = spec.submission_files
    return expected_entries(spec.task)[file.path(participant_id, sequence_name, serial)]


def mesh_entries(
    spec: BenchmarkSpec, subtask: Subtask, participant_id: int, image_key: ImageKey
) -> tuple[ExpectedEntry, ExpectedEntry]:
    """The entries of the mesh of an image and of its landmarks.

    Raises:
        SelectionError: there is no such image; lists what there is.
    """
    _check("participant", participant_id, spec.image_keys, spec)
    keys = spec.image_keys[participant_id]
    if image_key not in keys:
        _check("image", image_key.to_key(), [key.to_key() for key in keys], spec)
    where = (participant_id, image_key.sequence_name, image_key.serial, image_key.timestep)
    (file,) = (f for f in spec.submission_files if f.subtask == subtask and not f.optional)
    expected = expected_entries(spec.task)
    mesh = expected[file.path(*where)]
    return mesh, expected[mesh.landmarks]


def _check(kind: str, name: object, known: Iterable[object], spec: BenchmarkSpec) -> None:
    names = list(known)
    if name not in names:
        kinds = {type(each).__name__ for each in names} - {type(name).__name__}
        wanted = f" ({kinds.pop()}, not {type(name).__name__})" if kinds else ""
        raise SelectionError(
            f"no submission to {spec.task} has {kind} {name!r}; {kind}s to submit are "
            f"{', '.join(map(str, names))}{wanted}"
        )


def submitted_subtasks(task: Task, present: Collection[str]) -> tuple[Subtask, ...]:
    """The subtasks of which at least one mesh is there; empty where there are no subtasks."""
    expected = expected_entries(task)
    found = {
        expected[path].subtask
        for path in present
        if path in expected and not expected[path].optional
    }
    return tuple(subtask for subtask in SUBTASKS if subtask in found)


def missing_entries(task: Task, present: Collection[str]) -> list[ExpectedEntry]:
    """What a complete submission still lacks, in the benchmark's order.

    Of subtasks, those count of which a mesh is there; where there is none, all do (any one of them
    would make a complete submission).
    """
    subtasks = submitted_subtasks(task, present) or SUBTASKS
    return [
        entry
        for entry in expected_entries(task).values()
        if not entry.optional
        and entry.path not in present
        and (entry.subtask is None or entry.subtask in subtasks)
    ]
