"""One run of one tool in one row of submitting, and the frames that all of them write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import harness
from benchmarks.load_corpora import FULL as LOAD_FULL
from benchmarks.load_corpora import MANY_CAMERAS, moving_frames
from benchmarks.load_runs import LoadRun
from benchmarks.load_scenarios import LoadRow, LoadTool
from benchmarks.load_scripts.job import Outcome, read_outcome
from benchmarks.peers import official_python
from benchmarks.submit_rows import SubmitSizes
from benchmarks.submit_scripts.job import SubmitJob

_TIMEOUT_SECONDS = 900.0
_VERSION_CODES = {
    "ours": "import importlib.metadata as m; print(m.version('nersemble-async'))",
    "official": "import importlib.metadata as m; print(m.version('nersemble_benchmark'))",
    "ffmpeg": "import subprocess; print(*subprocess.run(['ffmpeg', '-version'], "
    "capture_output=True, check=True).stdout.decode().split()[:3])",
}
FAMILIES = tuple(_VERSION_CODES)


def _python(family: str) -> str:
    return official_python() if family == "official" else sys.executable


def versions(env: Mapping[str, str]) -> dict[str, str | None]:
    """Each family's version; None where it is missing."""
    return {family: _version(family, env) for family in FAMILIES}


def _version(family: str, env: Mapping[str, str]) -> str | None:
    argv = [_python(family), "-c", _VERSION_CODES[family]]
    try:
        said = subprocess.run(
            argv, env=dict(env), capture_output=True, text=True, check=True, timeout=120
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()


def ready_frames(sizes: SubmitSizes, folder: Path) -> list[Path]:
    """A ``.npy`` for each camera, (T, H, W, 3) uint8; made where they are not there (a minute)."""
    width, height = sizes.frame_size
    spec = replace(LOAD_FULL, frame_size=sizes.frame_size, n_cameras=sizes.n_cameras)
    paths = []
    for camera in range(sizes.n_cameras):
        path = folder / f"frames_{sizes.name}_{camera}.npy"
        paths.append(path)
        if path.exists():
            continue
        fresh = path.with_suffix(".part")
        shape = (sizes.n_frames, height, width, 3)
        frames = np.lib.format.open_memmap(fresh, "w+", np.uint8, shape)
        moving = moving_frames(spec, MANY_CAMERAS, camera, sizes.n_frames)
        for index, image in enumerate(moving):
            frames[index] = image
        frames.flush()
        fresh.rename(path)
    return paths


@dataclass(frozen=True, slots=True)
class SubmitBench:
    """Frames, and a place to work in."""

    frames: Sequence[Path]
    work: Path
    env: Mapping[str, str]

    def run(self, row: LoadRow, tool: LoadTool, number: int) -> LoadRun:
        """One process; round ``number`` is only noted."""
        zip_path = self.work / ("meshes.zip" if not row.steps else "videos.zip")
        if not zip_path.exists() and tool.work.startswith("validate"):
            raise FileNotFoundError(f"{zip_path}: the row meshes is measured before it")
        measured, outcome = self.measure(tool, row.n_cameras, len(row.steps), zip_path)
        if outcome is None:
            said = measured.output.strip().splitlines()
            problem = f"exit {measured.exit_code}: {said[-1] if said else 'no output'}"
            return LoadRun(tool.name, number, 0.0, 0.0, 0, problem=problem)
        return LoadRun(
            tool.name,
            number,
            milliseconds=outcome.seconds / outcome.units * 1e3,
            cpu_milliseconds=outcome.cpu_seconds / outcome.units * 1e3,
            peak_rss_bytes=measured.peak_rss_bytes,
            figures=outcome.figures,
        )

    def measure(
        self, tool: LoadTool, n_cameras: int, n_frames: int, zip_path: Path
    ) -> tuple[harness.Measurement, Outcome | None]:
        """Run a tool; None where it failed."""
        scratch = self.work / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        job = SubmitJob(
            tool.work,
            [str(path) for path in self.frames[:n_cameras]],
            n_frames,
            str(scratch),
            str(zip_path),
            dict(tool.options),
        )
        job_file = self.work / "job.json"
        job_file.write_text(json.dumps(asdict(job)), "utf-8")
        os.sync()
        measured = harness.measure(
            [_python(tool.family), "-m", f"benchmarks.submit_scripts.{tool.family}", str(job_file)],
            env=self.env,
            output_file=self.work / "output.txt",
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        output = (self.work / "output.txt").read_text("utf-8", errors="replace")
        return measured, read_outcome(output) if measured.exit_code == 0 else None
