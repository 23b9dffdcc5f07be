"""Ours side by side with the official toolkit, torchcodec, decord, pypcd4 and FFmpeg alone.

``python -m benchmarks.load --dir DIR``. The tools take turns in one run on one corpus, so that
what else the machine does falls on all alike: read the ratios, not the milliseconds. Interpreters:
NERSEMBLE_OFFICIAL_PYTHON has the official toolkit, NERSEMBLE_PEERS_PYTHON torchcodec, decord and
pypcd4; ffmpeg is on the PATH. What is not there is reported as missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import harness, load_peers, load_report
from benchmarks.load_corpora import FULL, QUICK, ready_load_corpus
from benchmarks.load_report import LoadSummary
from benchmarks.load_runs import LoadBench, LoadRun
from benchmarks.load_scenarios import OFFICIAL, LoadRow, load_rows

NOTES = """\
What is measured: the work alone, in a fresh process, imports excluded, opening files, decoders
and indices included ("import": the whole process). Of FFmpeg the same command's time for one frame
is subtracted. CPU: of all threads in that time, which a busy machine disturbs less. Peak: VmHWM of
the process with all it imports; grew: the peak beyond what it held before the work; late: the peak
at the end beyond the peak at a third. "of ours": a tool's median time over the median of the row's
first tool, above 1 that one is faster; "by round": the median of the same ratio taken in each
round. "compared": contents whose sha-256 is that of the official toolkit's; one that differs voids
the run. Page cache warm. Videos are a stand-in: rendered heads moved about under noise, at the
dataset's mean size of a frame (about 65 kB) and its x264 settings; the decoder's cost follows from
those."""

Results = dict[str, tuple[LoadRow, list[LoadRun], dict[str, LoadSummary]]]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 1 where a run failed or its content was wrong.

    A missed target is printed and does not change the exit code: one noisy minute must not fail
    a smoke test.
    """
    arguments = _parser().parse_args(argv)
    spec = QUICK if arguments.quick else FULL
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    rows = load_rows(spec)
    chosen = {name: rows[name] for name in rows if not arguments.rows or name in arguments.rows}
    arguments.dir.mkdir(parents=True, exist_ok=True)
    corpus = ready_load_corpus(spec, arguments.dir)
    with tempfile.TemporaryDirectory(prefix="load_", dir=arguments.dir) as folder:
        bench = LoadBench(corpus, Path(folder))
        versions = load_peers.versions(bench.env)
        facts = {
            "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs",
            "python": platform.python_version(),
            "file_system": f"{harness.file_system(arguments.dir)} ({arguments.dir})",
            "corpus": f"{spec.name}, {corpus.frame_bytes / 1e3:.1f} kB a frame",
            **{name: version or "MISSING" for name, version in versions.items()},
        }
        print("\n".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
        missing = {name for name, version in versions.items() if version is None}
        results: Results = {}
        for row in chosen.values():
            runs = _measure_row(bench, row, rounds, missing, arguments.tools)
            summaries = load_report.summarise_load(runs, row.tools[0].name)
            results[row.name] = (row, runs, summaries)
            print(load_report.row_text(row, runs, summaries, missing), flush=True)
    print(f"\n{NOTES}")
    if arguments.markdown:
        print(f"\n{load_report.load_markdown({n: (r, s) for n, (r, _, s) in results.items()})}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(_as_json(facts, results), indent=2), "utf-8")
    return int(any(run.problem for _, runs, _ in results.values() for run in runs))


def _measure_row(
    bench: LoadBench, row: LoadRow, rounds: int, missing: set[str], families: Sequence[str]
) -> list[LoadRun]:
    needs_steps = not all(tool.is_whole_process for tool in row.tools)
    if needs_steps and not bench.steps_of(row):
        print(f"\n{row.name}: not measured, the corpus has no such content")
        return []
    reference = None
    if OFFICIAL in missing:
        print(f"\n{row.name}: contents are not compared, the official toolkit is missing")
    elif row.checked or row.encoding is not None or row.name == "flame":
        reference = bench.reference(row)
    tools = [t for t in row.tools if t.family in families and t.family not in missing]
    print(f"\n{row.name}: load average {os.getloadavg()[0]:.1f} before", flush=True)
    return [
        bench.run(row, tool, number, reference) for number, tool in harness.alternate(tools, rounds)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--dir", type=Path, required=True, help="for the corpus, which is kept there (1 GB)"
    )
    parser.add_argument("--rows", nargs="+", choices=list(load_rows(QUICK)), metavar="ROW")
    parser.add_argument("--rounds", type=_positive, help="default 5, quick 1")
    parser.add_argument("--quick", action="store_true", help="a small corpus: a smoke test")
    parser.add_argument(
        "--tools",
        nargs="+",
        choices=list(load_peers.FAMILIES),
        default=list(load_peers.FAMILIES),
        help="default all",
    )
    parser.add_argument("--json", type=Path, help="write every run and summary to this file")
    parser.add_argument("--markdown", action="store_true", help="print the README's table too")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of 1 or more")
    return int(text)


def _as_json(facts: Mapping[str, str], results: Results) -> dict[str, object]:
    return {
        "machine": dict(facts),
        "rows": {
            name: {
                "title": row.title,
                "runs": [asdict(run) for run in runs],
                "summaries": {tool: asdict(s) for tool, s in summaries.items()},
                "verdicts": [asdict(v) for v in load_report.load_verdicts(row, summaries)],
            }
            for name, (row, runs, summaries) in results.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
