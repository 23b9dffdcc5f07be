"""One run of one tool in one row: measured, its content compared with the official toolkit's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import harness, load_peers
from benchmarks.load_corpora import MANY_CAMERAS, LoadCorpus
from benchmarks.load_scenarios import LoadRow, LoadTool
from benchmarks.load_scripts.job import Job, Outcome, read_outcome

_TIMEOUT_SECONDS = 600.0
_CLOUD_READS = 4
"""Of every pointcloud: the first reads of a process also pay for fresh memory."""


@dataclass(frozen=True, slots=True)
class LoadRun:
    """What one run of one tool came to."""

    tool: str
    round: int
    milliseconds: float
    """Of one unit; imports excluded unless the row measures them."""
    cpu_milliseconds: float
    """Of the CPU, for one unit, as `milliseconds`."""
    peak_rss_bytes: int
    """Of the whole process, imports included."""
    figures: Mapping[str, float] = field(default_factory=dict)
    n_compared: int = 0
    """Contents that were compared with the official toolkit's."""
    problem: str | None = None
    """Why the run does not count: it failed, or its content is wrong."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The official toolkit's content of a row; empty where that is missing."""

    digests: Mapping[str, str]
    vertices: Path
    """(T, V, 3) float64 npy; exists where the row has a tracking."""


_REFERENCES = {
    "pointcloud": LoadTool("reference", "official", "pointcloud"),
    "flame": LoadTool("reference", "official_flame", "vertices"),
}
"""What tells a row's content, by the first word of its name; else frames by their index."""


class LoadBench:
    """A corpus, and a place to work in."""

    def __init__(self, corpus: LoadCorpus, work: Path) -> None:
        self.corpus = corpus
        """What the tools load."""
        self._work = work
        self._env = load_peers.environment(work / "home")
        (work / "home" / ".cache").mkdir(parents=True)
        if corpus.flame_folder.exists():
            # Where the official toolkit looks, and nowhere else.
            (work / "home" / ".cache" / "FLAME").symlink_to(corpus.flame_folder.resolve())

    @property
    def env(self) -> Mapping[str, str]:
        """Of every tool."""
        return self._env

    def reference(self, row: LoadRow) -> Reference:
        """Ask the official toolkit once for what a row has to give; kept with the corpus.

        Raises:
            RuntimeError: it fails.
        """
        folder = self.corpus.root / "reference"
        folder.mkdir(exist_ok=True)
        kept, vertices = folder / f"{row.name}.json", folder / "vertices.npy"
        kind = row.name.partition("_")[0]
        tool = _REFERENCES.get(kind, LoadTool("reference", "official", "random"))
        job = self._job(row, tool, None)
        if kind == "flame":
            job.options["save_to"] = str(vertices)
        elif row.encoding is None:
            job.steps[:] = job.checked
        wanted = {"checked": job.checked, "serials": job.serials}
        if kept.exists():
            content = json.loads(kept.read_text("utf-8"))
            if content["wanted"] == wanted and (kind != "flame" or vertices.exists()):
                return Reference(content["digests"], vertices)
        measured, outcome = self._measure(tool, job)
        if outcome is None:
            raise RuntimeError(f"the official toolkit's {row.name}: {_last_line(measured)}")
        kept.write_text(json.dumps({"wanted": wanted, "digests": outcome.digests}), "utf-8")
        return Reference(outcome.digests, vertices)

    def run(
        self, row: LoadRow, tool: LoadTool, number: int, reference: Reference | None
    ) -> LoadRun:
        """One process; round ``number`` is only noted."""
        vertices = reference.vertices if reference and row.name == "flame" else None
        job = self._job(row, tool, vertices)
        measured, outcome = self._measure(tool, job)
        if tool.is_whole_process and measured.exit_code == 0:
            outcome = Outcome(measured.seconds, 1, measured.cpu_seconds)
        if outcome is None:
            return LoadRun(tool.name, number, 0.0, 0.0, 0, problem=_last_line(measured))
        expected = reference.digests if reference else {}
        wrong = [k for k, v in outcome.digests.items() if expected.get(k, v) != v]
        return LoadRun(
            tool.name,
            number,
            milliseconds=outcome.seconds / outcome.units * 1e3,
            cpu_milliseconds=outcome.cpu_seconds / outcome.units * 1e3,
            peak_rss_bytes=measured.peak_rss_bytes,
            figures=outcome.figures,
            n_compared=len(outcome.digests.keys() & expected.keys()),
            problem=f"not the official content: {', '.join(wrong)}" if wrong else None,
        )

    def steps_of(self, row: LoadRow) -> list[int]:
        """The row's frame indices or timesteps; empty where the corpus has no such content."""
        if row.encoding is not None:
            return self.corpus.pointcloud_timesteps(row.encoding) * _CLOUD_READS
        if row.name == "flame" and not self.corpus.flame_folder.exists():
            return []
        return list(row.steps)

    def _job(self, row: LoadRow, tool: LoadTool, vertices: Path | None) -> Job:
        steps = self.steps_of(row)
        checked = steps[:1] if row.encoding is not None else list(row.checked)
        serials = self.corpus.serials[: row.n_cameras] if row.key == MANY_CAMERAS else ()
        options = dict(tool.options)
        if vertices is not None:
            options["reference"] = str(vertices)
        return Job(
            work=tool.work,
            root=str(self.corpus.root),
            scratch=str(self._work / "scratch"),
            participant_id=row.key.participant_id,
            sequence_name=row.key.sequence_name,
            serials=list(serials or self.corpus.serials[:1]),
            steps=steps[: tool.n_steps],
            checked=checked,
            options=options,
        )

    def _measure(self, tool: LoadTool, job: Job) -> tuple[harness.Measurement, Outcome | None]:
        scratch = Path(job.scratch)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        os.sync()
        measured = harness.measure(
            load_peers.command(tool, job, self._work / "job.json"),
            env=self._env,
            output_file=self._work / "output.txt",
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        shutil.rmtree(scratch)
        # The harness keeps the end of the output only; digests may be longer.
        output = (self._work / "output.txt").read_text("utf-8", errors="replace")
        return measured, read_outcome(output) if measured.exit_code == 0 else None


def _last_line(measured: harness.Measurement) -> str:
    said = measured.output.strip().splitlines()
    return f"exit {measured.exit_code}: {said[-1] if said else 'no output'}"
