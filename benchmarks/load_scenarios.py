"""What is measured: rows of the targets, the tools of each, and what ours has to meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.load_corpora import FULL, MANY_CAMERAS, ONE_CAMERA, TRACKED, LoadCorpusSpec
from nersemble_async.benchmark.keys import SequenceKey


@dataclass(frozen=True, slots=True)
class LoadTool:
    """A tool in one of its settings, under the name that the table shows."""

    name: str
    family: str
    """Whose interpreter and script: a key of `load_peers.FAMILIES`."""
    work: str
    """The function of the family's script."""
    options: Mapping[str, Any] = field(default_factory=dict)
    n_steps: int | None = None
    """Only so many of the row's steps, for what would take minutes."""
    is_whole_process: bool = False
    """`work` is Python code; interpreter start and imports count."""


@dataclass(frozen=True, slots=True)
class NoSlower:
    """Ours takes at most ``factor`` times what the quickest of ``than`` takes."""

    tool: str
    than: tuple[str, ...]
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class AtMost:
    """A figure of ours is no more than ``limit``."""

    tool: str
    figure: str
    """``milliseconds`` of a unit, or a key of the outcome's figures."""
    limit: float


Target = NoSlower | AtMost


@dataclass(frozen=True, slots=True)
class LoadRow:
    """One row of the targets."""

    name: str
    title: str
    unit: str
    """What a time is divided by."""
    tools: tuple[LoadTool, ...]
    targets: tuple[Target, ...] = ()
    key: SequenceKey = MANY_CAMERAS
    n_cameras: int = 1
    steps: tuple[int, ...] = ()
    """Frame indices or timesteps."""
    checked: tuple[int, ...] = ()
    """Those whose content has to be the official toolkit's, bit for bit."""
    encoding: str | None = None
    """Of pointclouds; the corpus knows their timesteps."""


OURS = "ours"
OFFICIAL = "official"
LATE_GROWTH_BYTES_LIMIT = 16_000_000
"""Three frames of RGB: what a stream may need more at its end than at a third of it."""
FLAME_DIFFERENCE_LIMIT = 1e-6

SEQUENTIAL = ("ours, sequential", "ours, sequential, loader", "ours, sequential, blocking")
"""Our ways to go through every frame of every camera; shuffling is held against the quickest."""

_RGB = {"how": "in turn", "rgb": True}


def load_rows(spec: LoadCorpusSpec) -> Mapping[str, LoadRow]:
    """By name, in the order in which they run, for a corpus of that size."""
    width, height = spec.frame_size
    sequential = spec.n_sequential_frames
    lock_step = min(150, spec.n_frames)
    order = np.random.default_rng(3).permutation(spec.n_frames)
    scattered = tuple(int(index) for index in order[: min(20, len(order))])
    stored = min(100, spec.n_frames)
    rows: tuple[LoadRow, ...] = (
        LoadRow(
            "sequential",
            f"{width} x {height} sequential, RGB, {sequential} frames",
            "frame",
            (
                LoadTool(OURS, "ours", "sequential"),
                LoadTool("ours, loader", "ours_streams", "sequential"),
                LoadTool("ours, blocking", "ours_blocking", "sequential", {"threads": 0}),
                LoadTool(OFFICIAL, "official", "sequential"),
                LoadTool("torchcodec", "torchcodec", "sequential", _torchcodec(0)),
                LoadTool("torchcodec x1", "torchcodec", "sequential", _torchcodec(1)),
                LoadTool("decord", "decord", "sequential", {"threads": 0}),
                LoadTool("ffmpeg null", "limits", "null", {"how": "in turn"}),
                LoadTool("ffmpeg null, RGB", "limits", "null", _RGB),
            ),
            (
                NoSlower(OURS, ("torchcodec", "torchcodec x1")),
                AtMost(OURS, "late_growth_bytes", LATE_GROWTH_BYTES_LIMIT),
            ),
            key=ONE_CAMERA,
            steps=tuple(range(sequential)),
            checked=(0, sequential // 2, sequential - 1),
        ),
        LoadRow(
            "multi_view",
            f"{spec.n_cameras} cameras in lock-step, {lock_step} frames each",
            "frame",
            (
                LoadTool(OURS, "ours", "multi_view"),
                LoadTool("torchcodec", "torchcodec", "multi_view", _torchcodec(0)),
                *(
                    LoadTool(f"ffmpeg null, {how}", "limits", "null", {"how": how})
                    for how in ("at once", "by core", "one process", "in turn")
                ),
            ),
            (
                NoSlower(
                    OURS,
                    tuple(
                        f"ffmpeg null, {how}"
                        for how in ("at once", "by core", "one process", "in turn")
                    ),
                    1.15,
                ),
                AtMost(OURS, "late_growth_bytes", spec.n_cameras * LATE_GROWTH_BYTES_LIMIT),
            ),
            n_cameras=spec.n_cameras,
            steps=tuple(range(lock_step)),
            checked=(0, lock_step - 1),
        ),
        LoadRow(
            "random",
            f"random frame, cold, {len(scattered)} frames",
            "frame",
            (
                LoadTool(OURS, "ours", "random"),
                LoadTool("ours, no index", "ours", "random", {"fresh": True}, n_steps=1),
                LoadTool("ours, sync", "ours_sync", "random"),
                LoadTool("ours, blocking", "ours_blocking", "random", {"threads": 0}),
                LoadTool("ours, blocking x1", "ours_blocking", "random", {"threads": 1}),
                LoadTool(OFFICIAL, "official", "random"),
                *(
                    LoadTool(f"torchcodec, {mode}{name}", "torchcodec", "random", options)
                    for mode in ("exact", "approximate")
                    for name, options in (
                        ("", _torchcodec(0, mode)),
                        (" x1", _torchcodec(1, mode)),
                    )
                ),
                LoadTool("decord", "decord", "random", {"threads": 0}),
            ),
            (
                NoSlower(
                    OURS,
                    tuple(
                        f"torchcodec, {mode}{name}"
                        for mode in ("exact", "approximate")
                        for name in ("", " x1")
                    ),
                ),
            ),
            steps=scattered,
            checked=scattered[:5],
        ),
        LoadRow(
            "frame_cache",
            "random frame, frames cached on disk",
            "frame",
            (
                LoadTool("ours, compressed", "ours_loaders", "frame_cache", {"mode": "compressed"}),
                LoadTool("ours, raw", "ours_loaders", "frame_cache", {"mode": "raw"}),
                LoadTool("RGB memmap", "limits", "memmap", {"shape": [height, width, 3]}),
            ),
            (
                AtMost("ours, compressed", "milliseconds", 4.0),
                AtMost("ours, compressed", "size_share", 0.45),
                AtMost("ours, raw", "milliseconds", 1.5),
            ),
            steps=tuple(range(stored)),
            checked=(0, stored - 1),
        ),
        LoadRow(
            "shuffled",
            f"shuffled training stream, {spec.n_cameras} x {spec.n_frames} frames",
            "frame",
            (
                LoadTool(OURS, "ours", "shuffled"),
                LoadTool("ours, loader", "ours_loaders", "shuffled"),
                LoadTool("ours, sequential", "ours", "sequential_all"),
                LoadTool("ours, sequential, loader", "ours_streams", "sequential"),
                LoadTool("ours, sequential, blocking", "ours_loaders", "sequential"),
                LoadTool("official, random", "official", "random", n_steps=4),
                LoadTool("ffmpeg null, in turn", "limits", "null", {"how": "in turn"}),
            ),
            (
                NoSlower(OURS, SEQUENTIAL, 1.2),
                NoSlower("ours, loader", SEQUENTIAL, 1.2),
            ),
            n_cameras=spec.n_cameras,
            steps=(*scattered[:4], *(i for i in range(spec.n_frames) if i not in scattered[:4])),
            checked=(scattered[0], scattered[1]),
        ),
        _pointcloud_row("binary", "binary", spec, 12.0),
        _pointcloud_row("lzf", "LZF", spec, 35.0),
        LoadRow(
            "flame",
            f"FLAME, {spec.n_tracked} frames of vertices",
            "tracking",
            (
                LoadTool(OURS, "ours_flame", "vertices"),
                LoadTool(OFFICIAL, "official_flame", "vertices"),
                LoadTool("flame-model, batched", "official_flame", "vertices_batched"),
            ),
            (
                AtMost(OURS, "milliseconds", 40.0),
                AtMost(OURS, "max_difference", FLAME_DIFFERENCE_LIMIT),
            ),
            key=TRACKED,
            steps=tuple(range(spec.n_tracked)),
        ),
        LoadRow(
            "import",
            "import of the data managers, whole process",
            "start",
            (
                _start(OURS, "ours", "from nersemble_async import NVSDataManager"),
                _start(
                    OFFICIAL,
                    "official",
                    "from nersemble_benchmark.data.benchmark_data import NVSDataManager",
                ),
                _start("torchcodec", "torchcodec", "from torchcodec.decoders import VideoDecoder"),
                _start("python -c pass", "ours", "pass"),
            ),
            (AtMost(OURS, "milliseconds", 400.0),),
        ),
    )
    if spec.name != FULL.name:
        # Of small frames most of the time is overhead: the targets are not about that.
        rows = tuple(replace(row, targets=()) for row in rows)
    return {row.name: row for row in rows}


def _torchcodec(threads: int, seek_mode: str = "exact") -> dict[str, Any]:
    return {"threads": threads, "seek_mode": seek_mode}


def _pointcloud_row(encoding: str, name: str, spec: LoadCorpusSpec, limit_ms: float) -> LoadRow:
    return LoadRow(
        f"pointcloud_{encoding}",
        f"pointcloud, {spec.n_points:,} points, {name}",
        "cloud",
        (
            LoadTool(OURS, "ours", "pointcloud"),
            LoadTool("ours, blocking", "ours_blocking", "pointcloud"),
            LoadTool(OFFICIAL, "official", "pointcloud"),
            LoadTool("pypcd4", "pypcd4", "pointcloud"),
            LoadTool("pypcd4, table only", "pypcd4", "table"),
            LoadTool("read()", "limits", "read_file"),
        ),
        (AtMost(OURS, "milliseconds", limit_ms),),
        encoding=encoding,
    )


def _start(name: str, family: str, code: str) -> LoadTool:
    return LoadTool(name, family, code, is_whole_process=True)
