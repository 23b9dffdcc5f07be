"""What a submission zip has to hold: every entry of a benchmark, by its path. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from nersemble_async.benchmark.keys import VideoKey
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
    for sequence_name, serial, timestep in places:
        path = file.path(participant_id, sequence_name, serial, timestep)
        yield ExpectedEntry(
            path,
            file.kind,
            participant_id,
            sequence_name,
            serial,
            timestep,
            file.subtask,
            file.optional,
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
