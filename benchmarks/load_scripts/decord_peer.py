"""decord's side."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label

VideoReader: Any = importlib.import_module("decord").VideoReader


def sequential(job: Job) -> Outcome:
    serial, count = job.serials[0], len(job.steps)
    kept = {}
    with Meter() as meter:
        reader = VideoReader(job.video(serial), num_threads=job.options["threads"])
        for step in job.steps:
            frame = reader.next().asnumpy()
            if step in job.checked:
                kept[step] = frame.copy()
            meter.step(step, count)
    digests = {label(job, serial, step): digest(frame) for step, frame in kept.items()}
    return meter.outcome(count, digests)


def random(job: Job) -> Outcome:
    digests = {}
    meter = Meter()
    for serial in job.serials:
        with meter:
            reader = VideoReader(job.video(serial), num_threads=job.options["threads"])
        for step in job.steps:
            with meter:
                frame = reader[step].asnumpy()
            if step in job.checked:
                digests[label(job, serial, step)] = digest(frame)
    return meter.outcome(len(job.steps) * len(job.serials), digests)


if __name__ == "__main__":
    answer({"sequential": sequential, "random": random})
