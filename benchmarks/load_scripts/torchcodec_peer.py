"""torchcodec's side: RGB frames on the CPU, rows of pixels as NumPy has them."""

from __future__ import annotations

import importlib
from typing import Any

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label

# By name: the peers are in an interpreter of their own, where no type checker looks.
VideoDecoder: Any = importlib.import_module("torchcodec.decoders").VideoDecoder


def _decoder(job: Job, serial: str) -> Any:  # noqa: ANN401
    return VideoDecoder(
        job.video(serial),
        dimension_order="NHWC",
        num_ffmpeg_threads=job.options["threads"],
        seek_mode=job.options["seek_mode"],
    )


def sequential(job: Job) -> Outcome:
    serial, count = job.serials[0], len(job.steps)
    kept = {}
    with Meter() as meter:
        decoder = _decoder(job, serial)
        for step in job.steps:
            frame = decoder[step]
            if step in job.checked:
                kept[step] = frame.clone()
            meter.step(step, count)
    digests = {label(job, serial, step): digest(frame.numpy()) for step, frame in kept.items()}
    return meter.outcome(count, digests)


def multi_view(job: Job) -> Outcome:
    """A decoder for each camera, a frame of each in turn."""
    kept = {}
    with Meter() as meter:
        decoders = [_decoder(job, serial) for serial in job.serials]
        for step in job.steps:
            frames = [decoder[step] for decoder in decoders]
            if step in job.checked:
                for serial, frame in zip(job.serials, frames, strict=True):
                    kept[serial, step] = frame.clone()
            meter.step(step, len(job.steps))
    digests = {label(job, *key): digest(frame.numpy()) for key, frame in kept.items()}
    return meter.outcome(len(job.steps) * len(job.serials), digests)


def random(job: Job) -> Outcome:
    """The decoders stay open; opening them counts."""
    digests = {}
    meter = Meter()
    for serial in job.serials:
        with meter:
            decoder = _decoder(job, serial)
        for step in job.steps:
            with meter:
                frame = decoder.get_frame_at(step).data
            if step in job.checked:
                digests[label(job, serial, step)] = digest(frame.numpy())
    return meter.outcome(len(job.steps) * len(job.serials), digests)


if __name__ == "__main__":
    answer({"sequential": sequential, "multi_view": multi_view, "random": random})
