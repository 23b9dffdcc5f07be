"""The demo's method, a program of its own: what the train camera nearest to each hold-out saw.

It writes its pictures timestep by timestep, three cameras at once, as a renderer would. Called
again, it goes on where it was killed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import anyio
import numpy as np
from PIL import Image

from nersemble_async import NVSDataManager, NVSSubmissionDataWriter
from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.formats.cameras import CameraCalibration
from nersemble_async.formats.video.decoded_frame import FrameArray
from nersemble_async.workers import make_limiter, run_blocking

SPEC = BENCHMARKS["nvs"]

DONE = "done"
"""What the last line begins with; every other one is that of `at`."""


def at(participant_id: int, sequence_name: str, n_written: int, n_frames: int) -> str:
    """The line that is printed when a timestep of all cameras was written."""
    return f"{participant_id}/{sequence_name} {n_written}/{n_frames}"


@dataclass(slots=True)
class Written:
    """What one run wrote."""

    videos: int = 0
    frames: int = 0


async def submit(
    root: Path, zip_path: Path, *, resume: bool, wait_in: int | None = None
) -> tuple[Written, int]:
    """Write the submission; what it wrote, and how many videos were there already.

    Args:
        root: of fetched data.
        zip_path: the submission.
        resume: go on with what an earlier run left.
        wait_in: the participant in the middle of whose sequence it waits to be killed.
    """
    written = Written()
    async with NVSSubmissionDataWriter(zip_path, benchmark_folder=root, resume=resume) as writer:
        there = {entry.path for entry in writer.missing()}
        for participant_id, (name,) in SPEC.submission_sequences.items():
            serials = [
                serial
                for serial in SPEC.submission_serials
                if SPEC.submission_files[0].path(participant_id, name, serial) in there
            ]
            waits = participant_id == wait_in
            await _write_sequence(writer, root, participant_id, name, serials, written, waits=waits)
        n_resumed = len(writer.resumed)
    return written, n_resumed


async def _write_sequence(  # noqa: PLR0917 -- called in one place
    writer: NVSSubmissionDataWriter,
    root: Path,
    participant_id: int,
    name: str,
    serials: list[str],
    written: Written,
    *,
    waits: bool,
) -> None:
    if not serials:
        return
    limiter = make_limiter()
    async with NVSDataManager(root, participant_id) as manager, AsyncExitStack() as stack:
        calibration = await manager.load_camera_calibration()
        seen_by = {serial: nearest_train_camera(calibration, serial) for serial in serials}
        samples = await stack.enter_async_context(
            manager.open_multi_view(name, tuple(dict.fromkeys(seen_by.values())), with_alpha=False)
        )
        videos = {
            serial: await stack.enter_async_context(writer.open_video(participant_id, name, serial))
            for serial in serials
        }
        async for sample in samples:
            for serial, video in videos.items():
                picture = await run_blocking(limiter, enlarged, sample.images[seen_by[serial]])
                await video.write(picture)
                written.frames += 1
            print(at(participant_id, name, video.n_frames, video.n_expected), flush=True)  # noqa: T201 -- for whoever started it
            if waits and in_the_middle(video.n_frames, video.n_expected):
                await anyio.sleep_forever()
    written.videos += len(serials)


def in_the_middle(n_written: int, n_frames: int) -> bool:
    """Whether half of a sequence, or more, is written."""
    return 2 * n_written >= n_frames


def nearest_train_camera(calibration: CameraCalibration, serial: str) -> str:
    """The one that looks most nearly in the same direction."""
    looking = {each: pose[2, :3] for each, pose in calibration.world_2_cam.items()}
    return max(SPEC.train_serials, key=lambda each: float(looking[each] @ looking[serial]))


def enlarged(image: FrameArray) -> FrameArray:
    """Of the size that is to be submitted: the stand-in's pictures are small."""
    large = Image.fromarray(image).resize(SPEC.frame_size, Image.Resampling.BICUBIC)
    return np.asarray(large)


def main(arguments: list[str]) -> None:
    """Write it, and say at the end: videos, frames, videos of before, seconds, peak bytes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("zip", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--wait-in", type=int, help="a participant, to be killed there")
    asked = parser.parse_args(arguments)
    started = time.perf_counter()

    async def work() -> tuple[Written, int]:
        return await submit(asked.root, asked.zip, resume=asked.resume, wait_in=asked.wait_in)

    written, n_resumed = anyio.run(work)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_bytes = peak if sys.platform == "darwin" else 1024 * peak
    figures = written.videos, written.frames, n_resumed, round(seconds, 3), peak_bytes
    print(DONE, *figures)  # noqa: T201 -- for whoever started it


if __name__ == "__main__":
    main(sys.argv[1:])
