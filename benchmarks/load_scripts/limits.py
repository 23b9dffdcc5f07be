"""What cannot be beaten: FFmpeg decoding to nothing, a file read, frames that lie there as RGB."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer


def _null(job: Job, serials: Sequence[str], frames: int, threads: int) -> None:
    """One FFmpeg process that decodes each camera's first frames and drops them."""
    argv = ["ffmpeg", "-nostdin", "-v", "error"]
    for serial in serials:
        argv += ["-threads", str(threads), "-i", job.video(serial)]
    for number in range(len(serials)):
        argv += ["-map", f"{number}:v", "-frames:v", str(frames)]
        argv += ["-pix_fmt", "rgb24"] if job.options.get("rgb") else []
        argv += ["-f", "null", "-"]
    subprocess.run(argv, check=True)


def _decode(job: Job, frames: int) -> None:
    serials = job.serials
    how = job.options["how"]
    if how == "in turn":
        for serial in serials:
            _null(job, [serial], frames, 0)
    elif how == "one process":
        _null(job, serials, frames, 0)
    else:
        workers = len(serials) if how == "at once" else os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda serial: _null(job, [serial], frames, 1), serials))


def null(job: Job) -> Outcome:
    """Decoding alone: what the same processes take for one frame is subtracted."""
    _decode(job, 1)
    began = _clocks()
    _decode(job, 1)
    between = _clocks()
    _decode(job, len(job.steps))
    ended = _clocks()
    # Of a few small frames nothing is left but noise, on either side of zero.
    seconds, cpu_seconds = (
        max((end - middle) - (middle - start), 1e-6)
        for start, middle, end in zip(began, between, ended, strict=True)
    )
    return Outcome(seconds, (len(job.steps) - 1) * len(job.serials), cpu_seconds)


def _clocks() -> tuple[float, float]:
    """Seconds of the wall, and of the CPU in child processes that ended."""
    times = os.times()
    return time.perf_counter(), times.children_user + times.children_system


def memmap(job: Job) -> Outcome:
    """Frames as uncompressed RGB in one file: the most disk, the least work."""
    shape = (len(job.steps), *job.options["shape"])
    path = Path(job.scratch) / "frames.rgb"
    rng = np.random.default_rng(0)
    stored = np.memmap(path, np.uint8, "w+", shape=shape)
    stored[:] = rng.integers(0, 256, shape[1:], np.uint8)
    stored.flush()
    order = rng.permutation(len(job.steps))
    meter = Meter()
    with meter:
        frames = np.memmap(path, np.uint8, "r", shape=shape)
        for step in order:
            np.array(frames[step])
    return meter.outcome(len(job.steps))


def read_file(job: Job) -> Outcome:
    meter = Meter()
    for step in job.steps:
        with meter:
            Path(job.pointcloud(step)).read_bytes()
    return meter.outcome(len(job.steps))


if __name__ == "__main__":
    answer({"null": null, "memmap": memmap, "read_file": read_file})
