"""Our stream of one camera by itself, below the data managers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label
from nersemble_async.formats.video.source import VideoSource
from nersemble_async.loaders.frames import open_frames


def sequential(job: Job) -> Outcome:
    """One camera after another; building the index counts, as it does for torchcodec."""
    kept = {}
    count = len(job.steps)
    steps = [(step, step) for step in sorted(job.steps)]
    meter = Meter()

    async def all_cameras() -> None:
        for serial in job.serials:
            video = VideoSource(Path(job.video(serial)))
            async with open_frames(video, steps, serial=serial) as frames:
                async for frame in frames:
                    if frame.timestep in job.checked:
                        kept[serial, frame.timestep] = frame.image.copy()
                    meter.step(frame.timestep, count)

    with meter:
        asyncio.run(all_cameras())
    digests = {label(job, *key): digest(image) for key, image in kept.items()}
    return meter.outcome(count * len(job.serials), digests)


if __name__ == "__main__":
    answer({"sequential": sequential})
