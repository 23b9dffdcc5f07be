"""FLAME as we evaluate it, for a whole tracking at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer
from nersemble_async.formats.flame.provider import FlameProvider
from nersemble_async.formats.flame.tracking import load_flame_tracking


def vertices(job: Job) -> Outcome:
    """The model is loaded before, as the official toolkit's is."""
    provider = FlameProvider(load_flame_tracking(Path(job.flame_tracking)))
    provider.get_vertices(0)
    with Meter() as meter:
        frames = provider.get_all_vertices(job.steps)
    if "reference" in job.options:
        reference = np.load(job.options["reference"])
        meter.figures["max_difference"] = float(np.abs(frames - reference).max())
    return meter.outcome(1)


if __name__ == "__main__":
    answer({"vertices": vertices})
