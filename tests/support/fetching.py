"""Runs of the fetch path in tests: in this process, and as the command line in another."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from nersemble_async.fetch.fetcher import Fetcher
from nersemble_async.fetch.plan import FetchPlan
from nersemble_async.fetch.progress import FetchEvent, FetchReport, FileFinished
from nersemble_async.settings import Settings

Event = TypeVar("Event")


def settings_for(url: str, root: Path, **given: Any) -> Settings:
    """Settings that wait next to nothing between tries."""
    fields: dict[str, Any] = {"read_timeout": 20.0, "retry_base_seconds": 0.001, **given}
    return Settings(benchmark_url=SecretStr(url), benchmark_folder=root, **fields)


@dataclass(slots=True)
class Run:
    """What a fetch told."""

    report: FetchReport
    events: list[FetchEvent] = field(default_factory=list)

    def file(self, path: str) -> FileFinished:
        """The one `FileFinished` of a path in the report."""
        (finished,) = [f for f in self.report.files if f.path == path]
        return finished

    @property
    def problems(self) -> list[str]:
        """What went wrong; to be compared with an empty list, so that a failing test says it."""
        told = [str(f.error or f.outcome) for f in self.report.files if f.grade is None]
        assert bool(told) == (self.report.exit_code != 0)
        return told

    def of_kind(self, kind: type[Event]) -> list[Event]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


async def fetch(
    url: str,
    root: Path,
    plan: FetchPlan,
    *,
    overwrite: bool = False,
    check_remote: bool = False,
    fail_fast: bool = False,
    **given: Any,
) -> Run:
    """One run of a new `Fetcher`; ``given`` are fields of the settings."""
    events: list[FetchEvent] = []
    async with Fetcher(settings_for(url, root, **given)) as fetcher:
        report = await fetcher.fetch(
            plan,
            overwrite=overwrite,
            check_remote=check_remote,
            fail_fast=fail_fast,
            on_event=events.append,
        )
    return Run(report, events)


def command(*arguments: str) -> list[str]:
    """The command line as a user without the script on the path runs it."""
    return [sys.executable, "-m", "nersemble_async", *arguments]


def command_environment(url: str | None, root: Path, **given: str) -> dict[str, str]:
    """Environment of the command line; ``given`` are more variables."""
    own = {"NERSEMBLE_BENCHMARK_FOLDER": str(root), "NERSEMBLE_RETRY_BASE_SECONDS": "0.001"}
    if url is not None:
        own["NERSEMBLE_BENCHMARK_URL"] = url
    return {**os.environ, "PYTHONWARNINGS": "error", **own, **given}


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The report object that ``--format json`` printed."""
        return json.loads(self.out)


def run_command(
    arguments: Sequence[str], environment: dict[str, str], timeout_seconds: float = 60.0
) -> Finished:
    """Run the command line to its end."""
    done = subprocess.run(
        command(*arguments),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_seconds,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(
    arguments: Sequence[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """The command line, running in a session of its own; killed at the end where it still runs."""
    with subprocess.Popen(
        command(*arguments),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            kill(process)


def kill(process: subprocess.Popen[str]) -> int:
    """SIGKILL for the process and its children, where they still run. Its exit code."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait(timeout=30)
