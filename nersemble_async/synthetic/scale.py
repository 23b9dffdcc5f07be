"""How large a stand-in is: lengths, resolutions, point counts, seed; and the named sizes."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nersemble_async.benchmark.keys import SequenceKey
from nersemble_async.benchmark.spec import BENCHMARKS, Task

_FULL_POINTS = MappingProxyType(
    {388: 664_000, 422: 1_086_000, 443: 518_000, 445: 904_000, 475: 61_000}
)
"""Points per pointcloud in the dataset: documented mean sizes divided by 28 bytes a point."""


@dataclass(frozen=True, slots=True)
class SyntheticScale:
    """The parameters of a stand-in; the same ones give the same bytes on the same machine."""

    nvs_frames: int | None
    """Frames of the longest NVS sequence, the others in proportion; None is the real length."""
    mono_frames: int | None
    """Frames of the longest sequence of mono_flame_avatar, as `nvs_frames`."""
    nvs_width: int
    """Pixels, even; heights keep 1100:1604 to the nearest even number."""
    mono_width: int
    """Pixels, even; frames are square."""
    svfr_width: int
    """Pixels; images are square."""
    n_points: int
    """Of a pointcloud of the participant with the densest ones, the others in proportion."""
    seed: int = 0
    crf: int = 14
    """x264's constant rate factor."""
    preset: str = "medium"
    """x264's preset."""

    def __post_init__(self) -> None:
        if self.nvs_width % 2 or self.mono_width % 2:
            raise ValueError("videos need an even width")
        if min(self.nvs_width, self.mono_width, self.svfr_width, self.n_points) < 1:
            raise ValueError("widths and point counts are at least 1")
        if any(n is not None and n < 1 for n in (self.nvs_frames, self.mono_frames)):
            raise ValueError("a sequence has at least one frame")

    def frame_size(self, task: Task) -> tuple[int, int]:
        """Width, height in pixels of a task's images."""
        widths: dict[Task, int] = {
            "nvs": self.nvs_width,
            "mono_flame_avatar": self.mono_width,
            "svfr": self.svfr_width,
        }
        full_width, full_height = BENCHMARKS[task].frame_size
        width = widths[task]
        # Even, as yuv420p asks.
        return width, max(2, 2 * round(width * full_height / full_width / 2))

    def lengths(self, task: Task) -> Mapping[SequenceKey, int]:
        """Frames of each sequence of a task with videos, at this scale."""
        documented = documented_lengths(task)
        longest = max(documented.values(), default=1)
        limits: dict[Task, int | None] = {"nvs": self.nvs_frames}
        limit = limits.get(task, self.mono_frames)
        share = 1.0 if limit is None else limit / longest
        return {key: max(1, math.ceil(n * share)) for key, n in documented.items()}

    def points(self, participant_id: int) -> int:
        """Points in each of a participant's pointclouds."""
        share = _FULL_POINTS[participant_id] / max(_FULL_POINTS.values())
        return max(1, round(self.n_points * share))


SCALES: Mapping[str, SyntheticScale] = MappingProxyType(
    {
        "tiny": SyntheticScale(
            nvs_frames=3,
            mono_frames=3,
            nvs_width=44,
            mono_width=32,
            svfr_width=32,
            n_points=1_500,
            preset="ultrafast",
        ),
        "small": SyntheticScale(
            nvs_frames=6,
            mono_frames=3,
            nvs_width=110,
            mono_width=80,
            svfr_width=80,
            n_points=15_000,
            preset="veryfast",
        ),
        "full-size": SyntheticScale(
            nvs_frames=None,
            mono_frames=None,
            nvs_width=1100,
            mono_width=512,
            svfr_width=512,
            n_points=max(_FULL_POINTS.values()),
        ),
    }
)
"""By name: for tests, for the demo, and as large as the dataset (many hours of rendering)."""


def documented_lengths(task: Task) -> Mapping[SequenceKey, int]:
    """Frames of each sequence, in the official order.

    Of mono_flame_avatar only sums over a participant's sequences are documented: they are split
    unevenly, always in the same way. Empty for a task without videos.
    """
    spec = BENCHMARKS[task]
    if spec.n_frames:
        return spec.n_frames
    lengths: dict[SequenceKey, int] = {}
    for totals, sequences in (
        (spec.n_train_frames, spec.train_sequences),
        (spec.n_test_frames, spec.test_sequences),
    ):
        for participant_id, total in totals.items():
            lengths |= _split(participant_id, total, sequences[participant_id])
    return lengths


def _split(participant_id: int, total: int, names: tuple[str, ...]) -> dict[SequenceKey, int]:
    weights = [1000 + zlib.crc32(f"{participant_id} {name}".encode()) % 1000 for name in names]
    ends = [round(total * sum(weights[: i + 1]) / sum(weights)) for i in range(len(names))]
    return {
        SequenceKey(participant_id, name): end - start
        for name, start, end in zip(names, [0, *ends], ends, strict=False)
    }
