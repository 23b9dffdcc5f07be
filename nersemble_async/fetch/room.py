"""How many bytes a plan will take, before they are fetched: known sizes and one sample a group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio

from nersemble_async.benchmark.spec import FileKind
from nersemble_async.cache.store import LocalFile
from nersemble_async.errors import DiskFullError, FetchError
from nersemble_async.fetch.plan import PlannedFile
from nersemble_async.fetch.retrying import retried
from nersemble_async.fetch.run_context import RunContext

_SAMPLED_GROUP_FILES = 8
"""Groups smaller than this are not worth a request of their own."""
_SAMPLED_KINDS = (FileKind.MP4, FileKind.PCD)
"""All else is small."""
_ESTIMATE_ERROR = 0.1
"""A sample may be off: a plan is refused only where it is too large by more than this."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan will take; an estimate, since most sizes are known only when a file begins."""

    expected_bytes: int
    """Of the files whose size is known, and of groups of which one size is."""
    missing_bytes: int
    """Of that, what is not here yet."""
    complete: bool
    """Whether every file is in one of these."""


async def estimate(
    run: RunContext, todo: Sequence[PlannedFile], found: Mapping[str, LocalFile]
) -> Estimate:
    """Add up what is known of ``todo``; asks the server for one size of each large group."""
    groups: dict[tuple[object, ...], list[PlannedFile]] = defaultdict(list)
    for file in todo:
        groups[file.task, file.asset, file.participant_id].append(file)
    samples: dict[tuple[object, ...], int] = {}

    async def sample(group: tuple[object, ...], file: PlannedFile) -> None:
        try:
            identity = await retried(run, lambda: run.http.head(file.path), briefly=True)
        except FetchError:
            return  # it will fail, or not, when its turn comes
        if identity.size_bytes is not None:
            samples[group] = identity.size_bytes

    async with anyio.create_task_group() as tasks:
        for group, files in groups.items():
            known = [size for f in files if (size := found[f.path].size_bytes) is not None]
            if known:
                samples[group] = sum(known) // len(known)
            elif len(files) >= _SAMPLED_GROUP_FILES and files[0].kind in _SAMPLED_KINDS:
                tasks.start_soon(sample, group, files[0])
    expected = missing = 0
    complete = True
    for group, files in groups.items():
        for file in files:
            local = found[file.path]
            size = local.size_bytes if local.size_bytes is not None else samples.get(group)
            complete = complete and size is not None
            expected += size or 0
            missing += max((size or 0) - local.local_bytes, 0)
    return Estimate(expected, missing, complete)


def require_room(estimated: Estimate, free_bytes: int, root: str) -> None:
    """Stop before the first byte where the plan cannot fit.

    Raises:
        DiskFullError: says how much is missing and what to do.
    """
    if estimated.missing_bytes * (1 - _ESTIMATE_ERROR) > free_bytes:
        raise DiskFullError(
            f"the plan needs about {estimated.missing_bytes / 1e9:.1f} GB more, "
            f"{free_bytes / 1e9:.1f} GB are free at {root}: make room, choose another --root, "
            "or select less (--participant, --assets, --pointcloud-frames)"
        )
