"""The three benchmarks in one mapping, and the words that they are described with."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nersemble_async.benchmark.layout import (
    SERIALS,
    SUBTASKS,
    TASKS,
    Asset,
    BenchmarkSpec,
    FileKind,
    Scope,
    SubmissionFile,
    Subtask,
    Task,
)
from nersemble_async.benchmark.mono_flame_avatar import MONO_FLAME_AVATAR
from nersemble_async.benchmark.nvs import NVS
from nersemble_async.benchmark.svfr import SVFR

__all__ = [
    "BENCHMARKS",
    "SERIALS",
    "SUBTASKS",
    "TASKS",
    "Asset",
    "BenchmarkSpec",
    "FileKind",
    "Scope",
    "SubmissionFile",
    "Subtask",
    "Task",
]

BENCHMARKS: Mapping[Task, BenchmarkSpec] = MappingProxyType(
    {spec.task: spec for spec in (NVS, MONO_FLAME_AVATAR, SVFR)}
)
"""By task, in the order of `TASKS`."""
