"""pypcd4's side: a cloud as it lies in the file, and as the arrays that the official one gives."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label

PointCloud: Any = importlib.import_module("pypcd4").PointCloud


def table(job: Job) -> Outcome:
    """Only read: packed colours, one record a point."""
    meter = Meter()
    for step in job.steps:
        with meter:
            PointCloud.from_path(job.pointcloud(step))
    return meter.outcome(len(job.steps))


def pointcloud(job: Job) -> Outcome:
    digests = {}
    meter = Meter()
    for step in job.steps:
        with meter:
            cloud = PointCloud.from_path(job.pointcloud(step))
            points = np.ascontiguousarray(cloud.numpy(("x", "y", "z")))
            normals = np.ascontiguousarray(cloud.numpy(("normal_x", "normal_y", "normal_z")))
            levels = PointCloud.decode_rgb(cloud.pc_data["rgb"])
            colors = levels.astype(np.float32) / np.float32(255)
        if step in job.checked:
            digests[label(job, "pointcloud", step)] = digest(points, colors, normals)
    return meter.outcome(len(job.steps), digests)


if __name__ == "__main__":
    answer({"table": table, "pointcloud": pointcloud})
