"""The official toolkit's side: its data managers as its readme calls them."""

from __future__ import annotations

import importlib

from nersemble_benchmark.data.benchmark_data import NVSDataManager

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label

# imageio imports what decodes at its first use; imports are not to be timed.
importlib.import_module("imageio.plugins.pyav")


def sequential(job: Job) -> Outcome:
    manager = NVSDataManager(job.root, job.participant_id)
    serial = job.serials[0]
    with Meter() as meter:
        images = manager.load_all_images(job.sequence_name, serial, as_uint8=True)
    if len(images) != len(job.steps):
        raise ValueError(f"{len(images)} images, not {len(job.steps)}")
    digests = {label(job, serial, step): digest(images[step]) for step in job.checked}
    return meter.outcome(len(images), digests)


def random(job: Job) -> Outcome:
    manager = NVSDataManager(job.root, job.participant_id)
    digests = {}
    meter = Meter()
    for serial in job.serials:
        for step in job.steps:
            with meter:
                image = manager.load_image(job.sequence_name, serial, step, as_uint8=True)
            if step in job.checked:
                digests[label(job, serial, step)] = digest(image)
    return meter.outcome(len(job.steps) * len(job.serials), digests)


def pointcloud(job: Job) -> Outcome:
    manager = NVSDataManager(job.root, job.participant_id)
    digests = {}
    meter = Meter()
    for step in job.steps:
        with meter:
            points, colors, normals = manager.load_pointcloud(job.sequence_name, step)
        if step in job.checked:
            digests[label(job, "pointcloud", step)] = digest(points, colors, normals)
    return meter.outcome(len(job.steps), digests)


if __name__ == "__main__":
    answer({"sequential": sequential, "random": random, "pointcloud": pointcloud})
