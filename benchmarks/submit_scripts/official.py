"""The official toolkit: its writers, its validator, and its reader as the judge of quality."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import cv2  # type: ignore[import-not-found, unused-ignore]
import numpy as np
import numpy.typing as npt
import trimesh
from nersemble_benchmark.constants import (
    BENCHMARK_NVS_HOLD_OUT_SERIALS,
    BENCHMARK_NVS_IDS_AND_SEQUENCES,
    BENCHMARK_SVFR_IMAGE_KEYS,
)
from nersemble_benchmark.data.submission_data import (
    NVSSubmissionDataReader,
    NVSSubmissionDataWriter,
    SVFRSubmissionDataReader,
    SVFRSubmissionDataWriter,
)

from benchmarks.load_scripts.job import Meter, Outcome
from benchmarks.submit_scripts.job import StoredFrames, SubmitJob, answer, meshes

_PARTICIPANT, _SEQUENCE = BENCHMARK_NVS_IDS_AND_SEQUENCES[0]


def encode(job: SubmitJob) -> Outcome:
    """A video after another: the writer takes lists of all frames."""
    with Meter() as meter, NVSSubmissionDataWriter(job.zip_path) as writer:
        for serial, path in zip(BENCHMARK_NVS_HOLD_OUT_SERIALS, job.frames, strict=False):
            stored = StoredFrames(path)
            frames = [stored[index] for index in range(job.n_frames)]
            writer.add_video(_PARTICIPANT, _SEQUENCE, serial, frames)
    outcome = meter.outcome(len(job.frames) * job.n_frames)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome.cpu_seconds += children.ru_utime + children.ru_stime
    outcome.figures["zip_bytes"] = os.path.getsize(job.zip_path)  # noqa: PTH202
    return outcome


def fidelity(job: SubmitJob) -> Outcome:
    """PSNR and SSIM of every frame of the zip, through the official reader."""
    reader = NVSSubmissionDataReader(job.zip_path)
    psnr: list[float] = []
    ssim: list[float] = []
    with Meter() as meter:
        for serial, path in zip(BENCHMARK_NVS_HOLD_OUT_SERIALS, job.frames, strict=False):
            stored = StoredFrames(path)
            for index, read in enumerate(reader.load_video(_PARTICIPANT, _SEQUENCE, serial)):
                frame = stored[index]
                error = np.mean(np.square(read.astype(np.float32) - frame))
                psnr.append(10 * float(np.log10(255**2 / error)))
                ssim.append(_ssim(read, frame))
    outcome = meter.outcome(len(psnr))
    outcome.figures.update(psnr=float(np.mean(psnr)), ssim=float(np.mean(ssim)))
    outcome.figures["frame_bytes"] = Path(job.zip_path).stat().st_size / len(psnr)
    return outcome


def _ssim(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
    """Wang et al. 2004: a Gaussian window of 11 x 11, sigma 1.5, mean over pixels and channels."""
    a, b = first.astype(np.float32), second.astype(np.float32)
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float(np.mean(above / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))))


def _blur(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    blurred: npt.NDArray[np.float32] = cv2.GaussianBlur(image, (11, 11), 1.5)
    return blurred


def write_meshes(job: SubmitJob) -> Outcome:
    """The posed mesh of every image."""
    keys = [(p, *key) for p, keys in BENCHMARK_SVFR_IMAGE_KEYS.items() for key in keys]
    predicted = [trimesh.Trimesh(v, f, process=False) for v, f in meshes(len(keys))]
    with Meter() as meter, SVFRSubmissionDataWriter(job.zip_path) as writer:
        for key, mesh in zip(keys, predicted, strict=True):
            writer.add_posed_mesh(*key, mesh)
    outcome = meter.outcome(1)
    outcome.figures["zip_bytes"] = os.path.getsize(job.zip_path)  # noqa: PTH202
    return outcome


def validate_meshes(job: SubmitJob) -> Outcome:
    """What the official validator looks at in a zip of meshes."""
    with Meter() as meter:
        issues = SVFRSubmissionDataReader(job.zip_path).validate_submission()
    if issues:
        raise SystemExit(f"not valid: {issues}")
    return meter.outcome(1)


if __name__ == "__main__":
    answer(
        {
            "encode": encode,
            "fidelity": fidelity,
            "write_meshes": write_meshes,
            "validate_meshes": validate_meshes,
        }
    )
