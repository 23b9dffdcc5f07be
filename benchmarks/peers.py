"""The tools that are measured: how each is told to fetch the same files to the same places."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.corpora import PARTICIPANT_ID, TASK, Corpus

_OFFICIAL_SCRIPT = """
import json, pathlib, sys, time
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
from nersemble_benchmark.scripts.download_data import download_urls
started = time.perf_counter()
download_urls(pathlib.Path(job["folder"]), job["task"], job["paths"], n_workers=job["workers"])
print(f"\\ninner_seconds={time.perf_counter() - started:.6f}")
"""
"""As the official toolkit's own script calls it, once it has its list of files."""

_OFFICIAL_VERSION_SCRIPT = """
import importlib.metadata, nersemble_benchmark.scripts.download_data
print("nersemble_benchmark", importlib.metadata.version("nersemble_benchmark"))
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One fetch of one corpus."""

    url: str
    """Of the server; a file's URL is ``{url}/{CorpusFile.path}``."""
    corpus: Corpus
    target: Path
    """Where the files go, each at ``target / CorpusFile.path``."""
    connections: int
    work: Path
    """For lists and configuration files."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program, ready to be run."""

    argv: list[str]
    extra_env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, or one of its settings, under the name that the table shows."""

    name: str
    family: str
    """``curl``, ``aria2``, ``official`` or ``ours``: what ``--tools`` chooses by."""
    workers: int | None = None
    """Overrides the job's number of connections."""

    def command(self, job: Job) -> Command:
        """What to run for ``job``; writes the lists that the tool reads. Resumes where it can."""
        return _BUILDERS[self.family](self, job)


def _curl(tool: Tool, job: Job) -> Command:
    lines = []
    for file in job.corpus.files:
        target = job.target / file.path
        # Asked to continue a whole file, curl fails with the server's 416: a script around it
        # would leave such files out, so they are.
        if target.exists() and target.stat().st_size == file.size_bytes:
            continue
        lines.append(f'url = "{job.url}/{file.path}"')
        lines.append(f'output = "{target}"')
    config = job.work / "curl.conf"
    config.write_text("\n".join([*lines, ""]), "utf-8")
    argv = [_require("curl"), "--disable", "--fail", "--no-progress-meter", "--create-dirs"]
    if len(job.corpus.files) > 1:
        # Without --parallel-immediate curl waits for the first connection before it opens more.
        argv += ["--parallel", "--parallel-immediate"]
        argv += ["--parallel-max", str(tool.workers or job.connections)]
    if job.target.exists():
        argv += ["--continue-at", "-"]
    return Command([*argv, "--config", str(config)])


def _aria2(tool: Tool, job: Job) -> Command:
    lines = [f"{job.url}/{file.path}\n  out={file.path}" for file in job.corpus.files]
    listing = job.work / "aria2.txt"
    listing.write_text("\n".join([*lines, ""]), "utf-8")
    connections = tool.workers or job.connections
    # In all as many connections as the others have: one to a file, or all to the only file.
    each = connections if len(job.corpus.files) == 1 else 1
    return Command(
        [
            _require("aria2c"),
            "--no-conf",
            f"--input-file={listing}",
            f"--dir={job.target}",
            f"--max-connection-per-server={each}",
            f"--split={each}",
            f"--max-concurrent-downloads={connections}",
            "--min-split-size=1M",
            "--file-allocation=none",
            "--continue=true",
            "--auto-file-renaming=false",
            "--console-log-level=error",
            "--summary-interval=0",
            "--download-result=hide",
        ]
    )


def _official(tool: Tool, job: Job) -> Command:
    description = job.work / "official.json"
    content = {
        "folder": str(job.target),
        "task": TASK,
        "paths": [f.path.removeprefix(f"{TASK}/") for f in job.corpus.files],
        "workers": tool.workers or job.connections,
    }
    description.write_text(json.dumps(content), "utf-8")
    return Command(
        [official_python(), "-c", _OFFICIAL_SCRIPT, str(description)],
        {"NERSEMBLE_BENCHMARK_URL": job.url},
    )


def _ours(tool: Tool, job: Job) -> Command:
    selection = ["fetch", TASK, "--assets", "pointclouds", "--pointcloud-frames", "all"]
    connections = tool.workers or job.connections
    return Command(
        [
            *(sys.executable, "-m", "nersemble_async", *selection),
            *("--participant", str(PARTICIPANT_ID), "--root", str(job.target)),
            *("--connections", str(connections), "--format", "quiet"),
        ],
        {"NERSEMBLE_BENCHMARK_URL": job.url},
    )


_BUILDERS = {"curl": _curl, "aria2": _aria2, "official": _official, "ours": _ours}
FAMILIES = tuple(_BUILDERS)


def official_python() -> str:
    """The interpreter that has the official toolkit; by default this one."""
    return os.environ.get("NERSEMBLE_OFFICIAL_PYTHON", sys.executable)


def inner_seconds(output: str) -> float | None:
    """What the official toolkit's process took without its imports, from its output."""
    match = re.search(r"^inner_seconds=([\d.]+)$", output, re.MULTILINE)
    return float(match[1]) if match else None


def versions(families: Sequence[str], env: Mapping[str, str]) -> dict[str, str | None]:
    """Each tool's version, None where it is missing; also warms its files in the page cache."""
    return {family: _version(family, env) for family in families}


def _version(family: str, env: Mapping[str, str]) -> str | None:
    argv = {
        "curl": ["curl", "--version"],
        "aria2": ["aria2c", "--version"],
        "official": [official_python(), "-c", _OFFICIAL_VERSION_SCRIPT],
        "ours": [sys.executable, "-m", "nersemble_async", "--version"],
    }[family]
    try:
        answer = subprocess.run(
            argv, env=dict(env), capture_output=True, text=True, check=True, timeout=120
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    words = answer.stdout.split()
    return " ".join(words[:3] if family == "aria2" else words[:2]) or None


def _require(program: str) -> str:
    """The program's path; only asked for once `versions` has found it."""
    path = shutil.which(program)
    if path is None:
        raise FileNotFoundError(program)
    return path
