"""Selection + spec + metadata → `FetchPlan`: which files, deduplicated, in which order. Pure.

Names in paths come from the spec alone, numbers from metadata are checked integers: whatever a
server's metadata.json says, no path leaves its task's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from nersemble_async.benchmark.metadata import TaskMetadata, metadata_from_spec
from nersemble_async.benchmark.spec import BENCHMARKS, Asset, BenchmarkSpec, FileKind, Scope, Task
from nersemble_async.errors import MetadataError, SelectionError
from nersemble_async.fetch.selection import (
    ALL_POINTCLOUD_FRAMES,
    PointcloudFrames,
    Selection,
    TimestepRange,
    parse_pointcloud_frames,
)

__all__ = [
    "ALL_POINTCLOUD_FRAMES",
    "METADATA_ASSET",
    "FetchPlan",
    "PlannedFile",
    "PointcloudFrames",
    "Selection",
    "TimestepRange",
    "metadata_files",
    "metadata_from_spec",
    "parse_pointcloud_frames",
    "plan_fetch",
    "plan_known_files",
]

METADATA_ASSET = "metadata"
"""`PlannedFile.asset` of a metadata.json, which is no asset of the official list."""

_TURN = MappingProxyType(
    {FileKind.JSON: 1, FileKind.NPZ: 2, FileKind.PNG: 2, FileKind.MP4: 3, FileKind.PCD: 4}
)
"""Small and needed first, large and many last; metadata.json goes before all."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file to have; the fields after `kind` are None where they do not apply."""

    path: str
    """Relative to the root and to the base URL, the task first, forward slashes, not encoded."""
    task: Task
    asset: str
    """The asset's key, or `METADATA_ASSET`."""
    kind: FileKind
    participant_id: int | None = None
    sequence_name: str | None = None
    serial: str | None = None
    timestep: int | None = None
    n_frames: int | None = None
    """Frames that the mp4 must have, from metadata.json; None where that is not known."""


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """Files in the order in which to begin them; no path stands twice."""

    files: tuple[PlannedFile, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[PlannedFile]:
        return iter(self.files)

    def by_path(self) -> dict[str, PlannedFile]:
        """The files by path, in order."""
        return {file.path: file for file in self.files}


def metadata_files(selection: Selection) -> tuple[PlannedFile, ...]:
    """What has to be fetched before `plan_fetch`: metadata.json of each task that contributes.

    Raises:
        SelectionError: nothing matches the selection.
    """
    return tuple(
        PlannedFile(spec.metadata_path, spec.task, METADATA_ASSET, FileKind.JSON)
        for spec in (narrowed.spec for narrowed in _narrow(selection))
        if spec.metadata_path is not None
    )


def plan_fetch(selection: Selection, metadata: Mapping[Task, TaskMetadata]) -> FetchPlan:
    """Every file of the selection: metadata, calibration, npz and png, videos, pointclouds.

    Videos go camera by camera, a camera's image and alpha video side by side; pointclouds go
    by timestep, all sequences' first ones first.

    Args:
        selection: what is wanted.
        metadata: of each task that `metadata_files` names a file for; others are ignored.

    Raises:
        SelectionError: nothing matches, or a pointcloud frame is in no selected sequence.
        MetadataError: pointclouds are wanted of a sequence that the metadata does not list.
        ValueError: the metadata of a task is missing from ``metadata``.
    """
    files = list(metadata_files(selection))
    timelines: list[_Timeline] = []
    for narrowed in _narrow(selection):
        spec = narrowed.spec
        if spec.has_metadata and spec.task not in metadata:
            raise ValueError(f"planning {spec.task} needs its metadata.json")
        files.extend(_files_without_timeline(narrowed, metadata.get(spec.task)))
        timelines.extend(_timelines(narrowed, metadata.get(spec.task)))
    files.extend(_pointclouds(timelines, selection.pointcloud_frames))
    files.sort(key=_turn)  # stable: the order above holds within a turn
    return FetchPlan(tuple(files))


def plan_known_files(selection: Selection) -> FetchPlan:
    """`plan_fetch` from documented lengths alone, for looking at a root before any fetch.

    Only pointclouds depend on it, and `PlannedFile.n_frames`, which is None where no length is
    documented; see `metadata_from_spec`.
    """
    return plan_fetch(selection, {task: metadata_from_spec(task) for task in selection.tasks})


@dataclass(frozen=True, slots=True)
class _Narrowed:
    """What is left of a benchmark under a selection; sequences by participant, in spec order."""

    spec: BenchmarkSpec
    assets: tuple[Asset, ...]
    sequences: Mapping[int, tuple[str, ...]]
    serials: tuple[str, ...]

    def assets_of(self, scope: Scope) -> tuple[Asset, ...]:
        return tuple(asset for asset in self.assets if asset.scope is scope)

    def recordings(self, scope: Scope) -> Iterator[tuple[int, str, tuple[Asset, ...]]]:
        """Participant, sequence and those assets of ``scope`` that the sequence has."""
        everywhere = self.assets_of(scope)
        in_test = tuple(asset for asset in everywhere if asset.in_test_sequences)
        for participant_id, sequence_names in self.sequences.items():
            train = self.spec.train_sequences.get(participant_id, ())
            test = self.spec.test_sequences.get(participant_id, ())
            for name in sequence_names:
                if name in train:
                    yield participant_id, name, everywhere
                elif name in test:
                    yield participant_id, name, in_test


@dataclass(frozen=True, slots=True)
class _Timeline:
    """A per-timestep asset of one sequence, and the timesteps that it has."""

    spec: BenchmarkSpec
    asset: Asset
    participant_id: int
    sequence_name: str
    timesteps: Sequence[int]


def _narrow(selection: Selection) -> list[_Narrowed]:
    """The tasks to which the selection leaves any file.

    Raises:
        SelectionError: there is none.
    """
    result = []
    for task in selection.tasks:
        spec = BENCHMARKS[task]
        by_participant = {
            participant_id: tuple(
                name
                for name in spec.sequences(participant_id)
                if selection.sequences is None or name in selection.sequences
            )
            for participant_id in spec.participants
            if selection.participants is None or participant_id in selection.participants
        }
        narrowed = _Narrowed(
            spec,
            tuple(
                asset
                for asset in spec.assets
                if (
                    asset.key in selection.assets
                    if selection.assets is not None
                    else not asset.optional
                )
            ),
            {participant_id: names for participant_id, names in by_participant.items() if names},
            tuple(s for s in spec.serials if selection.serials is None or s in selection.serials),
        )
        if narrowed.serials and _has_any_file(narrowed):
            result.append(narrowed)
    if not result:
        raise SelectionError(
            f"{selection} matches no file: each value exists, but nowhere together with the others"
        )
    return result


def _has_any_file(narrowed: _Narrowed) -> bool:
    if any(assets for _, _, assets in narrowed.recordings(Scope.PER_TIMESTEP)):
        return True
    return next(_files_without_timeline(narrowed, None), None) is not None


def _files_without_timeline(
    narrowed: _Narrowed, metadata: TaskMetadata | None
) -> Iterator[PlannedFile]:
    """All files but those of per-timestep assets."""
    spec = narrowed.spec
    task = spec.task
    for participant_id in narrowed.sequences:
        for asset in narrowed.assets_of(Scope.PER_PERSON):
            path = f"{task}/{asset.path(participant_id)}"
            yield PlannedFile(path, task, asset.key, asset.kind, participant_id)
    for participant_id, name, assets in narrowed.recordings(Scope.PER_SEQUENCE):
        for asset in assets:
            path = f"{task}/{asset.path(participant_id, name)}"
            yield PlannedFile(path, task, asset.key, asset.kind, participant_id, name)
    for participant_id, name, assets in narrowed.recordings(Scope.PER_CAM):
        n_frames = None if metadata is None else metadata.n_frames(participant_id, name)
        for serial in narrowed.serials:
            for asset in assets:
                path = f"{task}/{asset.path(participant_id, name, serial)}"
                yield PlannedFile(
                    path, task, asset.key, asset.kind, participant_id, name, serial, None, n_frames
                )
    yield from _images(narrowed)


def _images(narrowed: _Narrowed) -> Iterator[PlannedFile]:
    task = narrowed.spec.task
    for asset in narrowed.assets_of(Scope.PER_IMAGE):
        for participant_id, names in narrowed.sequences.items():
            for key in narrowed.spec.image_keys.get(participant_id, ()):
                if key.sequence_name in names and key.serial in narrowed.serials:
                    where = (participant_id, key.sequence_name, key.serial, key.timestep)
                    path = f"{task}/{asset.path(*where)}"
                    yield PlannedFile(path, task, asset.key, asset.kind, *where)


def _timelines(narrowed: _Narrowed, metadata: TaskMetadata | None) -> Iterator[_Timeline]:
    """Every per-timestep asset of every sequence left."""
    spec = narrowed.spec
    for participant_id, name, assets in narrowed.recordings(Scope.PER_TIMESTEP):
        timesteps = () if metadata is None else metadata.timesteps(participant_id, name)
        for asset in assets:
            if not timesteps:
                raise MetadataError(
                    f"{spec.metadata_path}: it lists no timesteps of participant "
                    f"{participant_id}, sequence {name}, so its {asset.key} cannot be planned"
                )
            yield _Timeline(spec, asset, participant_id, name, timesteps)


def _pointclouds(timelines: Sequence[_Timeline], frames: PointcloudFrames) -> list[PlannedFile]:
    """The wanted timesteps of every timeline, timestep by timestep.

    Raises:
        SelectionError: a timestep or a range is in none of the timelines.
    """
    if not timelines:
        return []
    listed = [frozenset(timeline.timesteps) for timeline in timelines]
    wanted = [set(frames.timesteps) & have for have in listed]
    for timestep in frames.timesteps:
        if not any(timestep in have for have in listed):
            raise _no_such_frame(f"timestep {timestep}", timelines)
    for frame_range in frames.ranges:
        found = [frame_range.of(timeline.timesteps) for timeline in timelines]
        if not any(found):
            raise _no_such_frame(f"any timestep of {frame_range}", timelines)
        for want, timesteps in zip(wanted, found, strict=True):
            want.update(timesteps)
    files = [
        _pointcloud(timeline, timestep)
        for timeline, want in zip(timelines, wanted, strict=True)
        for timestep in want
    ]
    files.sort(key=lambda file: file.timestep or 0)
    return files


def _pointcloud(timeline: _Timeline, timestep: int) -> PlannedFile:
    task, asset = timeline.spec.task, timeline.asset
    where = (timeline.participant_id, timeline.sequence_name, None, timestep)
    return PlannedFile(f"{task}/{asset.path(*where)}", task, asset.key, asset.kind, *where)


def _no_such_frame(what: str, timelines: Iterable[_Timeline]) -> SelectionError:
    exist = ", ".join(
        f"{t.participant_id} {t.sequence_name} has {len(t.timesteps)} from {t.timesteps[0]} to "
        f"{t.timesteps[-1]}"
        for t in timelines
    )
    return SelectionError(f"no selected sequence has {what}; {exist}")


def _turn(file: PlannedFile) -> int:
    return 0 if file.asset == METADATA_ASSET else _TURN[file.kind]
