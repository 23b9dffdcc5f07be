"""How long the import takes and how much disk a core install needs.

``python -m benchmarks.footprint``. Start-up times are of fresh interpreters, the median of N; the
bare interpreter is timed too, so that what the package adds can be told. The install is a fresh
virtual environment with this checkout and its core dependencies; it needs a package index.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.harness import alternate
from benchmarks.runs import bytes_on_disk

IMPORT_SECONDS_LIMIT = 0.4
INSTALL_BYTES_LIMIT = 300_000_000

_REPOSITORY = Path(__file__).resolve().parent.parent

_STARTS: Mapping[str, Sequence[str]] = {
    "python -c pass": ("-c", "pass"),
    "import nersemble_async": ("-c", "import nersemble_async"),
    "from nersemble_async import Fetcher": ("-c", "from nersemble_async import Fetcher"),
    "from nersemble_async import NVSDataManager": (
        "-c",
        "from nersemble_async import NVSDataManager",
    ),
    "nersemble-async --version": ("-m", "nersemble_async", "--version"),
}
_BARE = "python -c pass"


@dataclass(frozen=True, slots=True)
class Start:
    """One command in fresh interpreters."""

    command: str
    seconds: float
    """Median, from before fork to after the exit."""
    seconds_beyond_bare: float
    """Without what the bare interpreter takes to start and end."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures against their targets; returns 1 where one is missed."""
    arguments = _parser().parse_args(argv)
    if not arguments.skip_install:
        with tempfile.TemporaryDirectory(prefix="nersemble_footprint_") as folder:
            python, bytes_before = _fresh_environment(Path(folder))
            _install(python)
            install_bytes: int | None = bytes_on_disk(Path(folder))
            started = measure_starts(python, arguments.repeat)
    else:
        install_bytes, bytes_before = None, 0
        started = measure_starts(Path(sys.executable), arguments.repeat)
    missed = _print(started, install_bytes, bytes_before)
    if arguments.json is not None:
        figures = {
            "starts": [asdict(s) for s in started],
            "install_bytes": install_bytes,
            "empty_environment_bytes": bytes_before,
        }
        arguments.json.write_text(json.dumps(figures, indent=2), "utf-8")
    return int(missed)


def measure_starts(python: Path, repeat: int) -> list[Start]:
    """Medians over ``repeat`` rounds, the commands taking turns; one round before warms up.

    Raises:
        RuntimeError: a command does not work; it says which and why.
    """
    seconds: dict[str, list[float]] = {name: [] for name in _STARTS}
    for number, name in alternate(list(_STARTS), repeat + 1):
        taken = _start_seconds(python, name)
        if number > 0:
            seconds[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return [Start(name, median, median - medians[_BARE]) for name, median in medians.items()]


def _start_seconds(python: Path, name: str) -> float:
    argv = [str(python), *_STARTS[name]]
    started = time.perf_counter()
    # From the root folder: the package is the installed one, not the checkout's.
    answer = subprocess.run(argv, cwd="/", capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if answer.returncode != 0:
        said = answer.stderr.strip().splitlines()
        raise RuntimeError(f"{name}: exit {answer.returncode}: {said[-1] if said else ''}")
    return seconds


def _fresh_environment(folder: Path) -> tuple[Path, int]:
    """A virtual environment with pip only: its interpreter, and its size in bytes."""
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python", bytes_on_disk(folder)


def _install(python: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    argv = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*argv, str(_REPOSITORY)], env=environment, check=True)


def _print(started: Sequence[Start], install_bytes: int | None, bytes_before: int) -> bool:
    """Say what was found; True where a target is missed."""
    missed = False
    print(f"{'command':<44}{'seconds':>9}{'beyond bare':>13}")
    for start in started:
        verdict = ""
        if start.command.startswith("import"):
            # The target is the user's wait, so the interpreter's own start counts too.
            met = start.seconds < IMPORT_SECONDS_LIMIT
            missed |= not met
            verdict = f"  target < {IMPORT_SECONDS_LIMIT} s: {'met' if met else 'MISSED'}"
        print(
            f"{start.command:<44}{start.seconds:>9.3f}{start.seconds_beyond_bare:>13.3f}{verdict}"
        )
    if install_bytes is None:
        print("install: not measured (--skip-install)")
        return missed
    met = install_bytes < INSTALL_BYTES_LIMIT
    print(
        f"core install on disk: {install_bytes / 1e6:.0f} MB, of which an empty environment "
        f"{bytes_before / 1e6:.0f} MB; target < {INSTALL_BYTES_LIMIT / 1e6:.0f} MB: "
        f"{'met' if met else 'MISSED'}"
    )
    return missed or not met


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--repeat", type=int, default=15, help="rounds of fresh interpreters")
    parser.add_argument(
        "--skip-install", action="store_true", help="time this interpreter, install nothing"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
