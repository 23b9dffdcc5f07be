"""FFmpeg's own program, fed from files: what x264 takes by itself, and a plain write of bytes."""

from __future__ import annotations

import resource
import subprocess
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.load_scripts.job import Meter, Outcome
from benchmarks.submit_scripts.job import N_FACES, N_VERTICES, SubmitJob, answer


def encode(job: SubmitJob) -> Outcome:
    """As many at a time as ``at_once`` says."""
    waiting = [_command(job, path, index) for index, path in enumerate(job.frames)]
    running: list[subprocess.Popen[bytes]] = []
    with Meter() as meter:
        while waiting or running:
            while waiting and len(running) < job.options["at_once"]:
                running.append(subprocess.Popen(waiting.pop(0), stdin=subprocess.DEVNULL))
            ended = running.pop(0)
            if ended.wait() != 0:
                raise SystemExit("ffmpeg failed")
    outcome = meter.outcome(len(job.frames) * job.n_frames)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome.cpu_seconds += children.ru_utime + children.ru_stime
    outcome.figures["zip_bytes"] = sum(p.stat().st_size for p in Path(job.scratch).iterdir())
    return outcome


def _command(job: SubmitJob, path: str, index: int) -> list[str]:
    stored = np.load(path, mmap_mode="r")
    _, height, width, _ = stored.shape
    return [
        *("ffmpeg", "-v", "error", "-skip_initial_bytes", str(stored.offset)),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "73", "-i", path),
        *("-frames:v", str(job.n_frames), "-c:v", "libx264", "-pix_fmt", "yuv420p"),
        *("-crf", "14", f"{job.scratch}/{index}.mp4"),
    ]


def write_meshes(job: SubmitJob) -> Outcome:
    """Bytes of the size of 391 meshes into a zip, by the standard library: the limit."""
    data = bytes(12 * N_VERTICES + 13 * N_FACES)
    with Meter() as meter, zipfile.ZipFile(f"{job.scratch}/a.zip", "w") as file:
        for index in range(391):
            file.writestr(f"{index}.ply", data)
    return meter.outcome(1)


if __name__ == "__main__":
    answer({"encode": encode, "write_meshes": write_meshes})
