"""Our drop-in for scripts without an event loop: the official calls, word for word."""

from __future__ import annotations

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label
from nersemble_async.sync import NVSDataManager


def random(job: Job) -> Outcome:
    """With the indices on disk, as after any earlier use."""
    NVSDataManager(job.root, job.participant_id).load_image(job.sequence_name, job.serials[0], 0)
    digests = {}
    meter = Meter()
    with meter:
        manager = NVSDataManager(job.root, job.participant_id)
    for serial in job.serials:
        for step in job.steps:
            with meter:
                image = manager.load_image(job.sequence_name, serial, step, as_uint8=True)
            if step in job.checked:
                digests[label(job, serial, step)] = digest(image)
    return meter.outcome(len(job.steps) * len(job.serials), digests)


if __name__ == "__main__":
    answer({"random": random})
