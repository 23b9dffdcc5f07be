"""Our loaders by themselves: the cache of decoded frames, the shuffled stream."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frame_cache import FrameCache
from nersemble_async.loaders.shuffled import open_shuffled


def _source(job: Job, serial: str) -> VideoSource:
    index_path = Path(job.scratch) / f"{serial}.index"
    source = VideoSource(Path(job.video(serial)), index_path)
    source.read_index()
    return source


def frame_cache(job: Job) -> Outcome:
    """Frames that were stored before, in random order, nothing of them in memory."""
    serial = job.serials[0]
    source, folder = _source(job, serial), Path(job.scratch) / "frames"
    with FrameCache(folder, mode=job.options["mode"]) as cache:
        cache.fill(source, serial, job.steps, threads=0)
    order = [job.steps[i] for i in np.random.default_rng(0).permutation(len(job.steps))]
    digests = {}
    meter = Meter()
    with FrameCache(folder, mode=job.options["mode"]) as cache:
        info = source.read_index().info
        raw_bytes = len(job.steps) * info.width * info.height * 3 // 2
        meter.figures["size_share"] = cache.used_bytes() / raw_bytes
        for step in order:
            with meter:
                image = cache.get(source, serial, step).to_array()
            if step in job.checked:
                digests[label(job, serial, step)] = digest(image)
    return meter.outcome(len(order), digests)


def sequential(job: Job) -> Outcome:
    """Every frame of one camera after another, all cores on each."""
    with Meter() as meter:
        for serial in job.serials:
            with _source(job, serial).open(threads=0) as reader:
                for frame in reader.decode_range(0, len(job.steps)):
                    frame.to_array()
    return meter.outcome(len(job.steps) * len(job.serials))


def shuffled(job: Job) -> Outcome:
    """One epoch; every frame has to come once."""
    sources = {serial: _source(job, serial) for serial in job.serials}
    steps = [(step, step) for step in sorted(job.steps)]
    total = len(steps) * len(sources)
    kept, seen = {}, set()
    meter = Meter()

    async def epoch() -> None:
        async with open_shuffled(sources, steps, seed=0) as frames:
            async for frame in frames:
                seen.add((frame.serial, frame.timestep))
                if frame.timestep in job.checked:
                    kept[frame.serial, frame.timestep] = frame.image.copy()
                meter.step(len(seen), total)

    with meter:
        asyncio.run(epoch())
    if len(seen) != total:
        raise ValueError(f"{len(seen)} different frames, not {total}")
    digests = {label(job, *key): digest(image) for key, image in kept.items()}
    return meter.outcome(total, digests)


if __name__ == "__main__":
    answer({"frame_cache": frame_cache, "sequential": sequential, "shuffled": shuffled})
