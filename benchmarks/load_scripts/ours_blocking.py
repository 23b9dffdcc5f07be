"""Our codecs by themselves, without a data manager or an event loop: what those add is seen."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label
from nersemble_async.formats.pointcloud.pcd_file import read_pointcloud
from nersemble_async.formats.video.index import open_video_index
from nersemble_async.formats.video.reader import VideoReader


def sequential(job: Job) -> Outcome:
    serial, count = job.serials[0], len(job.steps)
    kept = {}
    with Meter() as meter, VideoReader(Path(job.video(serial)), threads=0) as reader:
        for frame in reader.decode_range(0, count):
            image = frame.to_array()
            if frame.frame_index in job.checked:
                kept[frame.frame_index] = image.copy()
            meter.step(frame.frame_index, count)
    digests = {label(job, serial, step): digest(image) for step, image in kept.items()}
    return meter.outcome(count, digests)


def random(job: Job) -> Outcome:
    """The index lies on disk; the reader stays open, opening it counts."""
    digests = {}
    meter = Meter()
    for serial in job.serials:
        path, index_path = Path(job.video(serial)), Path(job.scratch) / f"{serial}.npz"
        open_video_index(path, index_path)
        with meter:
            index = open_video_index(path, index_path)
            reader = VideoReader(path, index, threads=job.options["threads"])
        with reader:
            for step in job.steps:
                with meter:
                    image = reader.decode(step).to_array()
                if step in job.checked:
                    digests[label(job, serial, step)] = digest(image)
    return meter.outcome(len(job.steps) * len(job.serials), digests)


def pointcloud(job: Job) -> Outcome:
    digests = {}
    meter = Meter()
    for step in job.steps:
        with meter:
            cloud = read_pointcloud(Path(job.pointcloud(step)))
        if step in job.checked:
            digests[label(job, "pointcloud", step)] = digest(
                cloud.points, cloud.colors, cloud.normals
            )
    return meter.outcome(len(job.steps), digests)


if __name__ == "__main__":
    answer({"sequential": sequential, "random": random, "pointcloud": pointcloud})
