"""Ours: videos written at once, one after another, awaited; meshes; the validator."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import numpy.typing as npt

from benchmarks.load_scripts.job import Meter, Outcome
from benchmarks.submit_scripts.job import StoredFrames, SubmitJob, answer, meshes
from nersemble_async import NVSSubmissionDataWriter as AwaitedNVSSubmissionDataWriter
from nersemble_async.benchmark.spec import BENCHMARKS
from nersemble_async.submission.entries import expected_entries
from nersemble_async.sync import (
    NVSSubmissionDataWriter,
    SVFRSubmissionDataWriter,
    validate_submission,
)

_NVS = BENCHMARKS["nvs"]
_PARTICIPANT = _NVS.participants[0]
_SEQUENCE = _NVS.submission_sequences[_PARTICIPANT][0]


@dataclass(frozen=True)
class _Lengths:
    """Every sequence is as long."""

    n: int

    def timesteps(self, participant_id: int, sequence_name: str) -> Sequence[int]:  # noqa: ARG002
        return range(self.n)

    def n_frames(self, participant_id: int, sequence_name: str) -> int | None:  # noqa: ARG002
        return self.n


def _options(job: SubmitJob) -> dict[str, Any]:
    return {
        "metadata": _Lengths(job.n_frames),
        "allow_partial": True,
        "compensate_reader_bias": job.options.get("compensate", False),
    }


def _stored(job: SubmitJob) -> list[StoredFrames]:
    return [StoredFrames(path) for path in job.frames]


def _outcome(job: SubmitJob, meter: Meter, units: int) -> Outcome:
    outcome = meter.outcome(units)
    outcome.figures["zip_bytes"] = os.path.getsize(job.zip_path)  # noqa: PTH202
    return outcome


def at_once(job: SubmitJob) -> Outcome:
    """All cameras of a timestep, then the next: as a renderer goes."""
    stored = _stored(job)
    with (
        Meter() as meter,
        NVSSubmissionDataWriter(job.zip_path, **_options(job)) as writer,
        ExitStack() as stack,
    ):
        videos = [
            stack.enter_context(writer.open_video(_PARTICIPANT, _SEQUENCE, serial))
            for serial in _NVS.submission_serials[: len(stored)]
        ]
        for index in range(job.n_frames):
            for video, frames in zip(videos, stored, strict=True):
                video.write(frames[index])
            meter.step(index, job.n_frames)
    return _outcome(job, meter, len(stored) * job.n_frames)


def in_turn(job: SubmitJob) -> Outcome:
    """A video after another, as the official writer takes them."""
    stored = _stored(job)

    def each(frames: StoredFrames) -> Iterator[npt.NDArray[np.uint8]]:
        return (frames[index] for index in range(job.n_frames))

    with Meter() as meter, NVSSubmissionDataWriter(job.zip_path, **_options(job)) as writer:
        for serial, frames in zip(_NVS.submission_serials, stored, strict=False):
            writer.add_video(_PARTICIPANT, _SEQUENCE, serial, each(frames))
    return _outcome(job, meter, len(stored) * job.n_frames)


def awaited(job: SubmitJob) -> Outcome:
    """A task for each camera, in an event loop."""
    stored = _stored(job)

    async def write(
        writer: AwaitedNVSSubmissionDataWriter, serial: str, frames: StoredFrames
    ) -> None:
        async with writer.open_video(_PARTICIPANT, _SEQUENCE, serial) as video:
            for index in range(job.n_frames):
                await video.write(frames[index])

    async def main() -> None:
        async with (
            AwaitedNVSSubmissionDataWriter(job.zip_path, **_options(job)) as writer,
            anyio.create_task_group() as tasks,
        ):
            for serial, frames in zip(_NVS.submission_serials, stored, strict=False):
                tasks.start_soon(partial(write, writer, serial, frames))

    with Meter() as meter:
        anyio.run(main)
    return _outcome(job, meter, len(stored) * job.n_frames)


def write_meshes(job: SubmitJob) -> Outcome:
    """The posed mesh of every image."""
    posed = [
        entry
        for entry in expected_entries("svfr").values()
        if entry.subtask == "posed" and not entry.optional
    ]
    predicted = meshes(len(posed))
    Path(job.zip_path).unlink(missing_ok=True)
    with Meter() as meter, SVFRSubmissionDataWriter(job.zip_path, allow_partial=True) as writer:
        for entry, mesh in zip(posed, predicted, strict=True):
            writer.add_posed_mesh(
                *(entry.participant_id, entry.sequence_name, entry.timestep or 0),
                entry.serial,
                mesh,
            )
    return _outcome(job, meter, 1)


def validate_meshes(job: SubmitJob) -> Outcome:
    """Everything that the validator looks at in a zip of meshes."""
    with Meter() as meter:
        report = validate_submission(job.zip_path, "svfr", benchmark_folder=job.scratch)
    if not report.valid:
        raise SystemExit(f"not valid: {report.issues[:3]}")
    return meter.outcome(1)


if __name__ == "__main__":
    answer(
        {
            "at_once": at_once,
            "in_turn": in_turn,
            "awaited": awaited,
            "write_meshes": write_meshes,
            "validate_meshes": validate_meshes,
        }
    )
