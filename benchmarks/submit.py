"""Submitting, ours side by side with the official toolkit and FFmpeg: speed, memory, fidelity.

``python -m benchmarks.submit --dir DIR``. The tools take turns in one run on the same frames: read
the ratios. NERSEMBLE_OFFICIAL_PYTHON has the official toolkit; ffmpeg is on the PATH (the official
writer needs it too). What is not there is reported as missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import harness, load_peers, load_report
from benchmarks.load_report import LoadSummary
from benchmarks.load_runs import LoadRun
from benchmarks.load_scenarios import LoadRow, LoadTool
from benchmarks.submit_rows import FULL, QUICK, submit_rows
from benchmarks.submit_runs import SubmitBench, ready_frames, versions

NOTES = """\
What is measured: the work alone, in a fresh process, imports excluded; ours checks every frame,
looks at each video when it is closed, validates the finished zip and syncs it to the disk. CPU: of
all threads and child processes. Peak: VmHWM of the process with all it imports, without its
children (the official writer's ffmpeg). late: the peak at the end beyond the peak at a third.
Fidelity: PSNR and SSIM of every frame, as the official reader gives it back. Frames: rendered
heads moved about under noise on white."""

FIDELITY_TOOLS = (
    LoadTool("ours", "ours", "at_once"),
    LoadTool("ours, compensate_reader_bias", "ours", "at_once", {"compensate": True}),
    LoadTool("official", "official", "encode"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 1 where a run failed."""
    arguments = _parser().parse_args(argv)
    sizes = QUICK if arguments.quick else FULL
    rounds = arguments.rounds or (1 if arguments.quick else 3)
    rows = submit_rows(sizes)
    wanted = arguments.rows or [*rows, "fidelity"]
    arguments.dir.mkdir(parents=True, exist_ok=True)
    frames = ready_frames(sizes, arguments.dir)
    results: dict[str, tuple[LoadRow, list[LoadRun], dict[str, LoadSummary]]] = {}
    with tempfile.TemporaryDirectory(prefix="submit_", dir=arguments.dir) as folder:
        env = load_peers.environment(Path(folder))
        bench = SubmitBench(frames, Path(folder), env)
        found = versions(env)
        facts = {
            "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs",
            "python": platform.python_version(),
            "file_system": f"{harness.file_system(arguments.dir)} ({arguments.dir})",
            **{name: version or "MISSING" for name, version in found.items()},
        }
        print("\n".join(f"{name}: {value}" for name, value in facts.items()), flush=True)
        missing = {name for name, version in found.items() if version is None}
        for row in rows.values():
            if row.name not in wanted:
                continue
            tools = [tool for tool in row.tools if tool.family not in missing]
            once = 1 if row.name.endswith("_video") else rounds
            print(f"\n{row.name}: load average {os.getloadavg()[0]:.1f} before", flush=True)
            runs = [bench.run(row, tool, n) for n, tool in harness.alternate(tools, once)]
            summaries = load_report.summarise_load(runs)
            results[row.name] = row, runs, summaries
            print(load_report.row_text(row, runs, summaries, missing), flush=True)
        if "fidelity" in wanted and "official" not in missing:
            _print_fidelity(bench, min(30, sizes.n_frames))
    print(f"\n{NOTES}")
    if arguments.markdown:
        print(f"\n{load_report.load_markdown({n: (r, s) for n, (r, _, s) in results.items()})}")
    if arguments.json is not None:
        said = {name: [asdict(run) for run in runs] for name, (_, runs, _) in results.items()}
        arguments.json.write_text(json.dumps({"machine": facts, "runs": said}, indent=2), "utf-8")
    return int(any(run.problem for _, runs, _ in results.values() for run in runs))


def _print_fidelity(bench: SubmitBench, n_frames: int) -> None:
    """Each writer's zip through the official reader."""
    print(f"\nfidelity: {n_frames} frames of each camera through the official reader")
    judge = LoadTool("judge", "official", "fidelity")
    for tool in FIDELITY_TOOLS:
        zip_path = bench.work / "fidelity.zip"
        zip_path.unlink(missing_ok=True)
        bench.measure(tool, len(bench.frames), n_frames, zip_path)
        _, judged = bench.measure(judge, len(bench.frames), n_frames, zip_path)
        if judged is None:
            print(f"{tool.name}: FAILED")
            continue
        figures = judged.figures
        print(
            f"{tool.name}: PSNR {figures['psnr']:.3f} dB, SSIM {figures['ssim']:.5f}, "
            f"{figures['frame_bytes'] / 1e3:.1f} kB a frame",
            flush=True,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.submit", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--dir", type=Path, required=True, help="for the frames, kept there (2 GB)")
    parser.add_argument("--rows", nargs="+", choices=[*submit_rows(QUICK), "fidelity"])
    parser.add_argument("--rounds", type=int, help="default 3, quick 1; of long videos always 1")
    parser.add_argument("--quick", action="store_true", help="a few frames: a smoke test")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    parser.add_argument("--markdown", action="store_true", help="print the README's table too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
