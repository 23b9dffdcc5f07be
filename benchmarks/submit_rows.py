"""What is measured of submitting: rows of the targets, the tools of each, what ours has to meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.load_scenarios import OFFICIAL, OURS, AtMost, LoadRow, LoadTool, NoSlower

LONG = 3000
LATE_GROWTH_BYTES_LIMIT = 16_000_000
"""What writing may need more at its end than at a third of it: three frames."""


@dataclass(frozen=True, slots=True)
class SubmitSizes:
    """How much is written."""

    name: str
    frame_size: tuple[int, int]
    n_cameras: int
    n_frames: int
    """Of each camera."""
    n_long_frames: tuple[int, int]
    """Of one camera: a short and a long video, for memory."""


FULL = SubmitSizes("full", (1100, 1604), 2, 200, (300, LONG))
QUICK = SubmitSizes("quick", (1100, 1604), 2, 3, (3, 6))


def submit_rows(sizes: SubmitSizes) -> Mapping[str, LoadRow]:
    """By name, in the order in which they run."""
    width, height = sizes.frame_size
    n_short, n_long = sizes.n_long_frames
    rows = (
        LoadRow(
            "encode",
            f"{sizes.n_cameras} videos of {sizes.n_frames} frames, {width} x {height}, crf 14",
            "frame",
            (
                LoadTool(OURS, "ours", "at_once"),
                LoadTool("ours, awaited", "ours", "awaited"),
                LoadTool("ours, in turn", "ours", "in_turn"),
                LoadTool(OFFICIAL, "official", "encode"),
                LoadTool("ffmpeg", "ffmpeg", "encode", {"at_once": 1}),
                LoadTool("ffmpeg, two at a time", "ffmpeg", "encode", {"at_once": 2}),
            ),
            (NoSlower(OURS, (OFFICIAL,), 1 / 1.5),),
            n_cameras=sizes.n_cameras,
            steps=tuple(range(sizes.n_frames)),
        ),
        LoadRow(
            "short_video",
            f"one video of {n_short} frames: memory",
            "frame",
            (LoadTool(OURS, "ours", "at_once"), LoadTool(OFFICIAL, "official", "encode")),
            (AtMost(OURS, "late_growth_bytes", LATE_GROWTH_BYTES_LIMIT),),
            steps=tuple(range(n_short)),
        ),
        LoadRow(
            "long_video",
            f"one video of {n_long} frames: memory",
            "frame",
            (LoadTool(OURS, "ours", "at_once"),),
            (AtMost(OURS, "late_growth_bytes", LATE_GROWTH_BYTES_LIMIT),),
            steps=tuple(range(n_long)),
        ),
        LoadRow(
            "meshes",
            "391 meshes with FLAME's topology into a zip",
            "submission",
            (
                LoadTool(OURS, "ours", "write_meshes"),
                LoadTool(OFFICIAL, "official", "write_meshes"),
                LoadTool("zipfile, zeros", "ffmpeg", "write_meshes"),
            ),
            (AtMost(OURS, "milliseconds", 100.0),),
        ),
        LoadRow(
            "validate",
            "validate 391 meshes",
            "submission",
            (
                LoadTool(OURS, "ours", "validate_meshes"),
                LoadTool(OFFICIAL, "official", "validate_meshes"),
            ),
            (AtMost(OURS, "milliseconds", 200.0),),
        ),
    )
    return {row.name: row for row in rows}
