"""Our side as a user has it: a data manager, awaited loads and streams."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label
from nersemble_async.data_managers import NVSDataManager

Work = Callable[[Job], Coroutine[None, None, Outcome]]


async def sequential(job: Job) -> Outcome:
    manager = NVSDataManager(job.root, job.participant_id)
    serial, count = job.serials[0], len(job.steps)
    kept = {}
    with Meter() as meter:
        async with manager.open_frames(job.sequence_name, serial, start=0, stop=count) as frames:
            async for frame in frames:
                if frame.timestep in job.checked:
                    kept[frame.timestep] = frame.image.copy()
                meter.step(frame.timestep, count)
    digests = {label(job, serial, step): digest(image) for step, image in kept.items()}
    return meter.outcome(count, digests)


async def sequential_all(job: Job) -> Outcome:
    """One camera after another, every frame."""
    manager = NVSDataManager(job.root, job.participant_id)
    count = 0
    with Meter() as meter:
        for serial in job.serials:
            async with manager.open_frames(job.sequence_name, serial) as frames:
                async for _ in frames:
                    count += 1
    return meter.outcome(count)


async def multi_view(job: Job) -> Outcome:
    manager = NVSDataManager(job.root, job.participant_id)
    kept = {}
    with Meter() as meter:
        opened = manager.open_multi_view(
            job.sequence_name, job.serials, job.steps, with_alpha=False, with_calibration=False
        )
        async with opened as samples:
            async for sample in samples:
                if sample.timestep in job.checked:
                    for serial in job.serials:
                        kept[serial, sample.timestep] = sample.images[serial].copy()
                meter.step(sample.timestep, len(job.steps))
    digests = {label(job, *key): digest(image) for key, image in kept.items()}
    return meter.outcome(len(job.steps) * len(job.serials), digests)


async def random(job: Job) -> Outcome:
    """With the index on disk, as after any earlier use; ``fresh``: where nothing ever was used."""
    root = _links(Path(job.root), Path(job.scratch)) if job.options.get("fresh") else job.root
    if not job.options.get("fresh"):
        for serial in job.serials:
            await NVSDataManager(root, job.participant_id).load_image(job.sequence_name, serial, 0)
    digests = {}
    meter = Meter()
    with meter:
        manager = NVSDataManager(root, job.participant_id)
    for serial in job.serials:
        for step in job.steps:
            with meter:
                image = await manager.load_image(job.sequence_name, serial, step, as_uint8=True)
            if step in job.checked:
                digests[label(job, serial, step)] = digest(image)
    return meter.outcome(len(job.steps) * len(job.serials), digests)


async def shuffled(job: Job) -> Outcome:
    manager = NVSDataManager(job.root, job.participant_id)
    kept, seen = {}, set()
    total = len(job.steps) * len(job.serials)
    with Meter() as meter:
        async with manager.open_shuffled(job.sequence_name, job.serials, seed=0) as frames:
            async for frame in frames:
                seen.add((frame.serial, frame.timestep))
                if frame.timestep in job.checked:
                    kept[frame.serial, frame.timestep] = frame.image.copy()
                meter.step(len(seen), total)
    if len(seen) != total:
        raise ValueError(f"{len(seen)} different frames, not {total}")
    digests = {label(job, *key): digest(image) for key, image in kept.items()}
    return meter.outcome(total, digests)


async def pointcloud(job: Job) -> Outcome:
    manager = NVSDataManager(job.root, job.participant_id)
    digests = {}
    meter = Meter()
    for step in job.steps:
        with meter:
            points, colors, normals = await manager.load_pointcloud(job.sequence_name, step)
        if step in job.checked:
            digests[label(job, "pointcloud", step)] = digest(points, colors, normals)
    return meter.outcome(len(job.steps), digests)


def _links(root: Path, folder: Path) -> Path:
    """The same files in a new root: nothing that was kept beside them comes along."""
    target = folder / "root"
    for parent, _, names in os.walk(root / "nvs"):
        for name in names:
            source = Path(parent, name)
            if source.suffix in (".mp4", ".json", ".pcd"):
                link = target / source.relative_to(root)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.hardlink_to(source)
    return target


def _awaited(work: Work) -> Callable[[Job], Outcome]:
    return lambda job: asyncio.run(work(job))


if __name__ == "__main__":
    works = (sequential, sequential_all, multi_view, random, shuffled, pointcloud)
    answer({work.__name__: _awaited(work) for work in works})
