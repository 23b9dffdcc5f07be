"""The interpreters in which ours and the peers run, and how a script is started there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load_scenarios import LoadTool
from benchmarks.load_scripts.job import Job
from benchmarks.peers import official_python

_REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Family:
    """A package that is measured, in the interpreter that has it."""

    script: str
    """Module in ``load_scripts``."""
    python: str
    """``ours``, ``official`` or ``peers``: which interpreter."""
    version_code: str
    """Python that prints the version; fails where the package does not work."""


def _version_code(module: str, distribution: str) -> str:
    return (
        f"import importlib.metadata, {module}; "
        f"print('{distribution}', importlib.metadata.version('{distribution}'))"
    )


def _ours(part: str, module: str | None = None) -> Family:
    """A part of ours with a script of its own."""
    code = _version_code(module or f"nersemble_async.{part}", "nersemble-async")
    return Family(f"ours_{part}", "ours", code)


FAMILIES: Mapping[str, Family] = {
    "ours": Family(
        "ours", "ours", _version_code("nersemble_async.data_managers", "nersemble-async")
    ),
    "ours_sync": _ours("sync"),
    "ours_streams": _ours("streams", "nersemble_async.loaders.frames"),
    "ours_loaders": _ours("loaders", "nersemble_async.loaders.frame_cache"),
    "ours_blocking": _ours("blocking", "nersemble_async.formats.video.reader"),
    "ours_flame": _ours("flame", "nersemble_async.formats.flame.provider"),
    "official": Family(
        "official",
        "official",
        _version_code("nersemble_benchmark.data.benchmark_data", "nersemble_benchmark"),
    ),
    "official_flame": Family(
        "official_flame",
        "official",
        _version_code("nersemble_benchmark.models.flame", "flame_model"),
    ),
    "torchcodec": Family(
        "torchcodec_peer", "peers", _version_code("torchcodec.decoders", "torchcodec")
    ),
    "decord": Family("decord_peer", "peers", _version_code("decord", "decord")),
    "pypcd4": Family("pypcd4_peer", "peers", _version_code("pypcd4", "pypcd4")),
    "limits": Family(
        "limits",
        "ours",
        "import subprocess; "
        "said = subprocess.run(['ffmpeg', '-version'], capture_output=True, check=True).stdout; "
        "print(*said.decode().split()[:3])",
    ),
}


def interpreter(kind: str) -> str:
    """The path of an interpreter; the environment names those of the peers."""
    if kind == "official":
        return official_python()
    if kind == "peers":
        return os.environ.get("NERSEMBLE_PEERS_PYTHON", sys.executable)
    return sys.executable


def command(tool: LoadTool, job: Job, job_file: Path) -> list[str]:
    """What to run for ``job``, which is written to ``job_file``."""
    family = FAMILIES[tool.family]
    python = interpreter(family.python)
    if tool.is_whole_process:
        return [python, "-c", tool.work]
    job_file.write_text(json.dumps(asdict(job)), "utf-8")
    return [python, "-m", f"benchmarks.load_scripts.{family.script}", str(job_file)]


def environment(home: Path) -> dict[str, str]:
    """What every script sees: this checkout, no personal configuration, nothing of NERSEMBLE_*."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(_REPOSITORY),
        # The official toolkit pins nothing of what warns about its age.
        "PYTHONWARNINGS": "ignore",
    }


def versions(env: Mapping[str, str]) -> dict[str, str | None]:
    """Each family's version, None where it is missing; also warms its files in the page cache."""
    return {name: _version(family, env) for name, family in FAMILIES.items()}


def _version(family: Family, env: Mapping[str, str]) -> str | None:
    argv = [interpreter(family.python), "-c", family.version_code]
    try:
        answer = subprocess.run(
            argv, env=dict(env), capture_output=True, text=True, check=True, timeout=120
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
