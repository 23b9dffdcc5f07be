"""What the readers of both faces answer from the benchmark alone, under the official names."""

from __future__ import annotations

from typing import ClassVar

from nersemble_async.benchmark.spec import BENCHMARKS, BenchmarkSpec, FileKind, Task
from nersemble_async.errors import SelectionError
from nersemble_async.submission.entries import expected_entries


class OfBenchmark:
    """Knows which benchmark it is of."""

    task: ClassVar[Task]

    @property
    def spec(self) -> BenchmarkSpec:
        """What is known of the benchmark."""
        return BENCHMARKS[self.task]


class VideoSubmissionPaths(OfBenchmark):
    """Of a benchmark whose submissions hold videos."""

    def get_video_path(self, participant_id: int, sequence_name: str, serial: str) -> str:
        """The video's path inside the zip, ``{participant}/{sequence}/cam_{serial}.mp4``.

        Raises:
            SelectionError: a name holds other characters than letters, digits, ``_+-``, or the
                participant is no number.
        """
        if isinstance(participant_id, str):
            raise SelectionError(f"a participant is a number (int), not {participant_id!r}")
        file = next(f for f in self.spec.submission_files if f.kind is FileKind.MP4)
        try:
            return file.path(participant_id, sequence_name, serial)
        except ValueError as error:
            raise SelectionError(str(error)) from None

    def list_expected_files(self) -> list[str]:
        """The paths of all videos of a complete submission, in the benchmark's order."""
        return [entry.path for entry in expected_entries(self.task).values() if not entry.optional]

    def get_expected_resolution(self) -> tuple[int, int]:
        """Width, height in pixels."""
        return self.spec.frame_size
