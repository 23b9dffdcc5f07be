"""What is on disk of the benchmark: complete, partial, missing, unrecorded, foreign."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import anyio

from nersemble_async.benchmark.spec import TASKS
from nersemble_async.cache.eviction import TransientFiles
from nersemble_async.cache.store import LocalState, Store
from nersemble_async.fetch.plan import FetchPlan
from nersemble_async.workers import run_blocking

_LOOK_CHUNK_FILES = 256


@dataclass(slots=True)
class AssetStatus:
    """The files of one asset of one task."""

    task: str
    asset: str
    files: Counter[LocalState] = field(default_factory=Counter)
    """How many are in which state."""
    local_bytes: int = 0
    """On disk, complete or not."""


@dataclass(slots=True)
class StatusReport:
    """What is on disk of a plan."""

    root: str
    assets: list[AssetStatus] = field(default_factory=list)
    """In the plan's order."""
    foreign: list[str] = field(default_factory=list)
    """Files in the task folders that no file of the whole benchmark is; relative paths."""
    free_bytes: int = 0
    transient_files: int = 0
    """Fetched on demand, by loaders, in the whole root; they may be evicted."""
    transient_bytes: int = 0


async def look_at_root(
    store: Store, threads: anyio.CapacityLimiter, plan: FetchPlan, everything: FetchPlan
) -> StatusReport:
    """Look at each file of ``plan`` (a stat or two, no hashing), and for foreign ones.

    Args:
        store: the root.
        threads: for blocking work.
        plan: what to report on.
        everything: all files of the benchmark; what else lies in the task folders is foreign.
    """
    report = StatusReport(str(store.root))
    by_asset: dict[tuple[str, str], AssetStatus] = {}
    files = list(plan)
    for first in range(0, len(files), _LOOK_CHUNK_FILES):
        chunk = files[first : first + _LOOK_CHUNK_FILES]
        found = await run_blocking(threads, store.look_at, [file.path for file in chunk])
        for file, local in zip(chunk, found, strict=True):
            key = (file.task, file.asset)
            status = by_asset.setdefault(key, AssetStatus(*key))
            status.files[local.state] += 1
            status.local_bytes += local.local_bytes
    report.assets = list(by_asset.values())
    known = {file.path for file in everything}
    for task in TASKS:
        visible = await run_blocking(threads, store.visible_files, task)
        report.foreign.extend(path for path in visible if path not in known)
    report.free_bytes = await run_blocking(threads, store.free_bytes)
    usage = await run_blocking(threads, TransientFiles(store).usage)
    report.transient_files, report.transient_bytes = usage
    return report
