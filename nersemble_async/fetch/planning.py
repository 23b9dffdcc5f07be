"""What planning needs beyond the pure planner: metadata.json from disk, tasks that lack it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

import anyio

from nersemble_async.benchmark.metadata import TaskMetadata, parse_metadata
from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.cache.store import Store
from nersemble_async.errors import NersembleError, SelectionError
from nersemble_async.fetch.plan import (
    ALL_POINTCLOUD_FRAMES,
    PlannedFile,
    Selection,
    metadata_from_spec,
)
from nersemble_async.workers import run_blocking

T = TypeVar("T")

EVERYTHING = Selection(
    assets=tuple({asset.key: None for spec in BENCHMARKS.values() for asset in spec.assets}),
    pointcloud_frames=ALL_POINTCLOUD_FRAMES,
)
"""The whole benchmark, optional assets included."""


async def read_metadata(
    store: Store, threads: anyio.CapacityLimiter, file: PlannedFile, *, offline: bool
) -> TaskMetadata:
    """A task's metadata.json from the root; by documented lengths where it may be missing.

    Raises:
        MetadataError: it is not what it should be.
    """
    target = store.target(file.path)
    if offline and not await run_blocking(threads, target.exists):
        return metadata_from_spec(file.task)
    data = await run_blocking(threads, target.read_bytes)
    return parse_metadata(file.task, data, str(target))


def without(selection: Selection, failed: Mapping[PlannedFile, NersembleError]) -> Selection:
    """The selection less the tasks whose metadata.json failed.

    Raises:
        NersembleError: the first failure, where nothing else is selected.
    """
    lost = {file.task for file in failed}
    remaining = tuple(task for task in selection.tasks if task not in lost)
    specs = [BENCHMARKS[task] for task in remaining]
    try:
        return replace(
            selection,
            tasks=remaining,
            assets=_left(selection.assets, (a.key for spec in specs for a in spec.assets)),
            participants=_left(selection.participants, (p for s in specs for p in s.participants)),
            sequences=_left(selection.sequences, (n for s in specs for n in s.sequence_names)),
            serials=_left(selection.serials, (n for s in specs for n in s.serials)),
        )
    except SelectionError:
        pass
    raise next(iter(failed.values()))


def _left(chosen: tuple[T, ...] | None, existing: Iterable[T]) -> tuple[T, ...] | None:
    """Of what was chosen, what still exists; everything stays everything."""
    there = set(existing)
    return None if chosen is None else tuple(value for value in chosen if value in there)
