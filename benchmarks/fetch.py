"""Ours side by side with curl, aria2c and the official toolkit: ``python -m benchmarks.fetch``.

The tools take turns in one run against one nginx on loopback, so that what else the machine does
falls on all alike: read the ratios, not the seconds. Tools: curl, aria2c and nginx on the PATH;
the official toolkit in the interpreter that NERSEMBLE_OFFICIAL_PYTHON names.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import harness, nginx, peers, report
from benchmarks.corpora import Corpus, CorpusSpec, make_corpus
from benchmarks.runs import Run, bench
from benchmarks.scenarios import Scenario, scenarios

NOTES = """\
What is measured: the whole process, interpreter start and imports included ("inner s": the
official toolkit without its imports). CPU: user + system of the tool, not of nginx. Peak: VmHWM.
Ours hashes every byte (sha-256), syncs each file to disk before it gets its name, checks its
content and keeps a record; no peer does any of that. After every run all bytes are compared by
sha-256, outside the timing. Loopback, page cache warm. After kill -9 "sent" counts what the link
delivered to both processes, the seconds are the second one's. "ours x faster": a tool's median
time over ours; "by round": the median of the same ratio taken in each round. GB = 10⁹ bytes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 1 where a run failed or its bytes were wrong.

    A missed target is printed and does not change the exit code: one noisy minute must not fail
    a smoke test.
    """
    arguments = _parser().parse_args(argv)
    if arguments.repeat is None:
        arguments.repeat = 1 if arguments.quick else 5
    chosen = scenarios(quick=arguments.quick)
    if arguments.only:
        chosen = {name: chosen[name] for name in chosen if name in arguments.only}
    nginx_version = nginx.version()
    if nginx_version is None:
        print("nginx is not installed: there is nothing to measure against", file=sys.stderr)
        return 2
    if arguments.dir is not None:
        arguments.dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nersemble_benchmark_", dir=arguments.dir) as folder:
        work = Path(folder)
        _require_room(chosen, work)
        env = _environment(work)
        versions = peers.versions(arguments.tools, env)
        facts = {
            "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs",
            "python": platform.python_version(),
            "file_system": f"{harness.file_system(work)} ({work.parent})",
            "nginx": f"{nginx_version}, {arguments.nginx_workers} worker process(es)",
            **{name: version or "MISSING" for name, version in versions.items()},
        }
        print("\n".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
        missing = {name for name, version in versions.items() if version is None}
        results = _measure_all(chosen, arguments, work, env, missing)
    print(f"\n{NOTES}")
    summaries = {
        name: (chosen[name], report.summarise(runs, size)) for name, (size, runs) in results.items()
    }
    if arguments.markdown:
        print(f"\n{report.markdown(summaries)}")
    if arguments.json is not None:
        arguments.json.write_text(
            json.dumps(_as_json(facts, results, summaries), indent=2), "utf-8"
        )
    return int(any(run.problem for _, runs in results.values() for run in runs))


Results = dict[str, tuple[int, list[Run]]]
"""By scenario: the corpus's size in bytes, and every run."""


def _measure_all(
    chosen: Mapping[str, Scenario],
    arguments: argparse.Namespace,
    work: Path,
    env: Mapping[str, str],
    missing: set[str],
) -> Results:
    corpora: dict[CorpusSpec, Corpus] = {}
    results: Results = {}
    for name, scenario in chosen.items():
        if scenario.corpus not in corpora:
            corpora[scenario.corpus] = make_corpus(
                scenario.corpus, work / "corpora" / scenario.corpus.name
            )
        corpus = corpora[scenario.corpus]
        tools = [
            t for t in scenario.tools if t.family in arguments.tools and t.family not in missing
        ]
        bench_folder = work / name
        bench_folder.mkdir()
        with bench(scenario, corpus, bench_folder, env, arguments.nginx_workers) as here:
            runs = [
                here.run(tool, number)
                for number, tool in harness.alternate(tools, arguments.repeat)
            ]
        results[name] = (corpus.size_bytes, runs)
        asked = missing & set(arguments.tools)
        summaries = report.summarise(runs, corpus.size_bytes)
        print(report.scenario_text(scenario, runs, summaries, asked), flush=True)
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fetch", description=(__doc__ or "").splitlines()[0]
    )
    names = list(scenarios(quick=False))
    parser.add_argument("--quick", action="store_true", help="small corpora: a smoke test")
    parser.add_argument("--only", action="append", choices=names, help="may be given repeatedly")
    parser.add_argument("--repeat", type=_positive, default=None, help="rounds; default 5, quick 1")
    parser.add_argument("--dir", type=Path, help="for corpora and downloads; default: a temporary")
    parser.add_argument(
        "--tools",
        type=_families,
        default=list(peers.FAMILIES),
        help=f"of {','.join(peers.FAMILIES)}; default all",
    )
    parser.add_argument("--nginx-workers", type=_positive, default=1)
    parser.add_argument("--json", type=Path, help="write every run and summary to this file")
    parser.add_argument("--markdown", action="store_true", help="print the README's table too")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number of 1 or more")
    return int(text)


def _families(text: str) -> list[str]:
    names = text.split(",")
    unknown = sorted(set(names) - set(peers.FAMILIES))
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{', '.join(unknown)}: choose from {', '.join(peers.FAMILIES)}"
        )
    return names


def _environment(work: Path) -> dict[str, str]:
    """What every tool sees: no proxy, no personal configuration, nothing of NERSEMBLE_*."""
    home = work / "home"
    home.mkdir()
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8"}


def _require_room(chosen: Mapping[str, Scenario], work: Path) -> None:
    """Stop before a full disk would: all corpora, and once more the largest as a download."""
    sizes = {s.corpus: s.corpus.file_count * s.corpus.file_bytes for s in chosen.values()}
    needed_bytes = int((sum(sizes.values()) + max(sizes.values())) * 1.05)
    free_bytes = shutil.disk_usage(work).free
    if free_bytes < needed_bytes:
        sys.exit(
            f"{work.parent} has {free_bytes / 1e9:.1f} GB free, {needed_bytes / 1e9:.1f} GB are "
            "needed: name another folder with --dir, or measure less with --only"
        )


def _as_json(
    facts: Mapping[str, str],
    results: Results,
    summaries: Mapping[str, tuple[Scenario, Mapping[str, report.Summary]]],
) -> dict[str, object]:
    return {
        "machine": dict(facts),
        "scenarios": {
            name: {
                "title": scenario.title,
                "corpus_bytes": results[name][0],
                "runs": [asdict(run) for run in results[name][1]],
                "summaries": {tool: asdict(summary) for tool, summary in figures.items()},
                "verdicts": [asdict(v) for v in report.verdicts(scenario, figures)],
            }
            for name, (scenario, figures) in summaries.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
