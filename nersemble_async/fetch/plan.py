"""Selection + spec + metadata → `FetchPlan`: which files, deduplicated, in which order. Pure.

Names in paths come from the spec alone, numbers from metadata are checked integers: whatever a
server's metadata.json says, no path leaves its task's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from nersemble_async.benchmark.metadata import TaskMetadata, metadata_from_spec
from nersemble_async.benchmark.spec import Asset, BenchmarkSpec, FileKind, Scope, Task
from nersemble_async.errors import MetadataError, SelectionError
from nersemble_async.fetch.narrowing import Narrowed, narrow
from nersemble_async.fetch.pointcloud_frames import (
    ALL_POINTCLOUD_FRAMES,
    FIRST_POINTCLOUD_FRAME,
    PointcloudFrames,
    TimestepRange,
    parse_pointcloud_frames,
)
from nersemble_async.fetch.selection import Selection

__all__ = [
    "ALL_POINTCLOUD_FRAMES",
    "FIRST_POINTCLOUD_FRAME",
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
        for spec in (narrowed.spec for narrowed in narrow(selection))
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
    for narrowed in narrow(selection):
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
class _Timeline:
    """A per-timestep asset of one sequence, and the timesteps that it has."""

    spec: BenchmarkSpec
    asset: Asset
    participant_id: int
    sequence_name: str
    timesteps: Sequence[int]

    def file(self, timestep: int) -> PlannedFile:
        return _planned(
            self.spec.task, self.asset, self.participant_id, self.sequence_name, timestep=timestep
        )


def _planned(
    task: Task,
    asset: Asset,
    participant_id: int,
    sequence_name: str | None = None,
    *,
    serial: str | None = None,
    timestep: int | None = None,
    n_frames: int | None = None,
) -> PlannedFile:
    path = f"{task}/{asset.path(participant_id, sequence_name, serial, timestep)}"
    return PlannedFile(
        path,
        task,
        asset.key,
        asset.kind,
        participant_id,
        sequence_name,
        serial,
        timestep,
        n_frames,
    )


def _files_without_timeline(
    narrowed: Narrowed, metadata: TaskMetadata | None
) -> Iterator[PlannedFile]:
    """All files but those of per-timestep assets."""
    task = narrowed.spec.task
    for participant_id in narrowed.sequences:
        for asset in narrowed.assets_of(Scope.PER_PERSON):
            yield _planned(task, asset, participant_id)
    for participant_id, name, assets in narrowed.recordings(Scope.PER_SEQUENCE):
        for asset in assets:
            yield _planned(task, asset, participant_id, name)
    for participant_id, name, assets in narrowed.recordings(Scope.PER_CAM):
        n_frames = None if metadata is None else metadata.n_frames(participant_id, name)
        for serial in narrowed.serials:
            for asset in assets:
                yield _planned(task, asset, participant_id, name, serial=serial, n_frames=n_frames)
    for participant_id, key in narrowed.images():
        for asset in narrowed.assets_of(Scope.PER_IMAGE):
            yield _planned(
                task,
                asset,
                participant_id,
                key.sequence_name,
                serial=key.serial,
                timestep=key.timestep,
            )


def _timelines(narrowed: Narrowed, metadata: TaskMetadata | None) -> Iterator[_Timeline]:
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
    at = sorted((timestep, index) for index, want in enumerate(wanted) for timestep in want)
    return [timelines[index].file(timestep) for timestep, index in at]


def _no_such_frame(what: str, timelines: Iterable[_Timeline]) -> SelectionError:
    exist = ", ".join(
        f"{t.participant_id} {t.sequence_name} has {len(t.timesteps)} from {t.timesteps[0]} to "
        f"{t.timesteps[-1]}"
        for t in timelines
    )
    return SelectionError(f"no selected sequence has {what}; {exist}")


def _turn(file: PlannedFile) -> int:
    return 0 if file.asset == METADATA_ASSET else _TURN[file.kind]
