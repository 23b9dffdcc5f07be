"""One run of one tool in one scenario: fetched, measured, checked byte for byte, counted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import harness, nginx
from benchmarks.corpora import Corpus, wrong_files
from benchmarks.delay_proxy import RunningLink, delayed
from benchmarks.peers import Job, Tool, inner_seconds
from benchmarks.scenarios import Scenario

_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of one tool came to."""

    tool: str
    round: int
    seconds: float
    """Of the process that ended the work; after a kill, of the second one."""
    cpu_seconds: float
    peak_rss_bytes: int
    sent_bytes: int
    """Bodies that nginx sent, or what a limited link delivered; after a kill, to both processes."""
    requests: int
    inner_seconds: float | None = None
    """Without imports; only the official toolkit's process says it."""
    problem: str | None = None
    """Why the run does not count: it failed, or its bytes are wrong."""


class Bench:
    """A scenario's corpus behind its server and link, and a place to fetch to."""

    def __init__(
        self,
        scenario: Scenario,
        corpus: Corpus,
        *,
        server: nginx.Nginx,
        link: RunningLink | None,
        work: Path,
        env: Mapping[str, str],
    ) -> None:
        self._scenario = scenario
        self._corpus = corpus
        self._server = server
        self._link = link
        self._url = f"http://127.0.0.1:{server.port if link is None else link.port}"
        self._work = work
        self._target = work / "downloads"
        self._env = env

    def run(self, tool: Tool, number: int) -> Run:
        """Fetch with ``tool`` into an empty folder; round ``number`` is only noted."""
        self._clear()
        first: harness.Measurement | None = None
        if self._scenario.kill_at is not None:
            enough_bytes = self._scenario.kill_at * self._corpus.size_bytes
            first = self._measure(tool, lambda: bytes_on_disk(self._target) >= enough_bytes)
        last = self._measure(tool, None)
        sent = self._server.take_sent()
        if self._link is not None and self._scenario.link_rate_bytes is not None:
            # What nginx sent is partly still before the bottleneck; so count behind it.
            sent = nginx.Sent(self._link.take_delivered_bytes(), sent.requests)
        problem = self._problem(first, last)
        self._clear()
        return Run(
            tool=tool.name,
            round=number,
            seconds=last.seconds,
            cpu_seconds=last.cpu_seconds,
            peak_rss_bytes=max(m.peak_rss_bytes for m in (first, last) if m is not None),
            sent_bytes=sent.body_bytes,
            requests=sent.requests,
            inner_seconds=inner_seconds(last.output),
            problem=problem,
        )

    def _measure(self, tool: Tool, kill_when: Callable[[], bool] | None) -> harness.Measurement:
        job = Job(self._url, self._corpus, self._target, self._scenario.connections, self._work)
        command = tool.command(job)
        return harness.measure(
            command.argv,
            env={**self._env, **command.extra_env},
            output_file=self._work / "output.txt",
            timeout_seconds=_TIMEOUT_SECONDS,
            kill_when=kill_when,
        )

    def _problem(self, first: harness.Measurement | None, last: harness.Measurement) -> str | None:
        if first is not None and not first.killed:
            return "ended before it was killed"
        if last.exit_code != 0:
            said = last.output.strip().replace(self._url, "URL").splitlines()
            return f"exit {last.exit_code}: {said[-1] if said else 'no output'}"
        wrong = wrong_files(self._corpus, self._target)
        return f"{len(wrong)} files with wrong bytes, such as {wrong[0]}" if wrong else None

    def _clear(self) -> None:
        """Empty the target, and leave no writing-back of one tool's files to the next one."""
        shutil.rmtree(self._target, ignore_errors=True)
        os.sync()


@contextmanager
def bench(
    scenario: Scenario, corpus: Corpus, work: Path, env: Mapping[str, str], nginx_workers: int
) -> Iterator[Bench]:
    """Start the scenario's server, and its link if it has one.

    Args:
        scenario: what is measured.
        corpus: the scenario's, on disk.
        work: an existing folder; ``downloads`` below it is emptied before and after every run.
        env: the environment of every tool.
        nginx_workers: processes of the server.
    """
    with ExitStack() as stack:
        server = stack.enter_context(
            nginx.serve(
                corpus.root,
                work,
                connection_rate_bytes=scenario.connection_rate_bytes,
                workers=nginx_workers,
            )
        )
        link: RunningLink | None = None
        if scenario.rtt_seconds is not None or scenario.link_rate_bytes is not None:
            rtt_seconds = scenario.rtt_seconds or 0.0
            link = stack.enter_context(delayed(server.port, rtt_seconds, scenario.link_rate_bytes))
        yield Bench(scenario, corpus, server=server, link=link, work=work, env=env)


def bytes_on_disk(folder: Path) -> int:
    """Allocated below ``folder``, hidden files included: a sparse part file counts what it holds.

    Files come and go under the walk; one that is gone counts nothing.
    """
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{parent}/{name}").st_blocks * 512
            except FileNotFoundError:
                continue
    return total
