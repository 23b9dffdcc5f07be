"""The figures of a scenario as a table, its targets' verdicts, and the README's table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import harness
from benchmarks.runs import Run
from benchmarks.scenarios import (
    CPU_SECONDS_PER_GB_LIMIT,
    OURS,
    PEAK_RSS_LIMIT_BYTES,
    SENT_AGAIN_LIMIT,
    Scenario,
)

_HEADER = (
    "tool",
    "seconds (min-max)",
    "MB/s",
    "ours x faster",
    "by round",
    "CPU s/GB",
    "peak MB",
    "sent %",
    "inner s",
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians of a tool's good runs in one scenario."""

    tool: str
    seconds: float
    seconds_range: tuple[float, float]
    megabytes_per_second: float
    ours_faster_medians: float | None
    """Its median time over ours; above 1 ours is faster. None where there is none of ours."""
    ours_faster_by_round: float | None
    """The median of the same ratio taken round by round."""
    cpu_seconds_per_gb: float
    peak_rss_bytes: int
    """The most of any run."""
    sent_share: float
    """Bytes that the server sent, as a share of the corpus."""
    inner_seconds: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: whether this session's medians meet it."""

    what: str
    figure: str
    met: bool


def summarise(runs: Sequence[Run], corpus_bytes: int) -> dict[str, Summary]:
    """By tool, in order of first appearance; a tool without a good run is left out."""
    good: dict[str, dict[int, Run]] = {}
    for run in runs:
        if run.problem is None:
            good.setdefault(run.tool, {})[run.round] = run
    ours = good.get(OURS.name, {})
    return {tool: _summary(tool, rounds, ours, corpus_bytes) for tool, rounds in good.items()}


def _summary(
    tool: str, rounds: Mapping[int, Run], ours: Mapping[int, Run], corpus_bytes: int
) -> Summary:
    seconds = [r.seconds for r in rounds.values()]
    both = sorted(rounds.keys() & ours.keys())
    theirs_paired = [rounds[n].seconds for n in both]
    ours_paired = [ours[n].seconds for n in both]
    inner = [r.inner_seconds for r in rounds.values() if r.inner_seconds is not None]
    median = statistics.median(seconds)
    gigabytes = corpus_bytes / 1e9
    return Summary(
        tool=tool,
        seconds=median,
        seconds_range=(min(seconds), max(seconds)),
        megabytes_per_second=corpus_bytes / median / 1e6,
        ours_faster_medians=(
            harness.ratio_of_medians(seconds, [r.seconds for r in ours.values()]) if ours else None
        ),
        ours_faster_by_round=harness.median_of_ratios(theirs_paired, ours_paired) if both else None,
        cpu_seconds_per_gb=statistics.median(r.cpu_seconds for r in rounds.values()) / gigabytes,
        peak_rss_bytes=max(r.peak_rss_bytes for r in rounds.values()),
        sent_share=statistics.median(r.sent_bytes for r in rounds.values()) / corpus_bytes,
        inner_seconds=statistics.median(inner) if inner else None,
    )


def verdicts(scenario: Scenario, summaries: Mapping[str, Summary]) -> list[Verdict]:
    """What the targets say of ours in this scenario; empty where ours was not measured."""
    ours = summaries.get(OURS.name)
    if ours is None or not scenario.has_targets:
        return []
    found = []
    for name in scenario.faster_than:
        if name in summaries:
            ratio = summaries[name].ours_faster_medians or 0.0
            found.append(Verdict(f"as fast as {name}", f"{ratio:.2f}x", ratio >= 1))
    if scenario.limits_cpu:
        cpu = ours.cpu_seconds_per_gb
        what = f"CPU ≤ {CPU_SECONDS_PER_GB_LIMIT} s/GB"
        found.append(Verdict(what, f"{cpu:.2f}", cpu <= CPU_SECONDS_PER_GB_LIMIT))
    peak = ours.peak_rss_bytes
    what = f"peak memory ≤ {PEAK_RSS_LIMIT_BYTES / 1e6:.0f} MB"
    found.append(Verdict(what, f"{peak / 1e6:.0f} MB", peak <= PEAK_RSS_LIMIT_BYTES))
    again = ours.sent_share - 1
    what = f"sent again ≤ {SENT_AGAIN_LIMIT:.0%}"
    found.append(Verdict(what, f"{again:.2%}", again <= SENT_AGAIN_LIMIT))
    return found


def scenario_text(
    scenario: Scenario, runs: Sequence[Run], summaries: Mapping[str, Summary], missing: set[str]
) -> str:
    """The table of one scenario, with what is missing or failed named under it."""
    rows = [_HEADER, *(_cells(s) for s in summaries.values())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    lines = [f"\n{scenario.name}: {scenario.title}"]
    lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    lines += [f"missing: {tool.name}" for tool in scenario.tools if tool.family in missing]
    lines += [f"failed: {r.tool}, round {r.round + 1}: {r.problem}" for r in runs if r.problem]
    lines += [
        f"target {'met' if v.met else 'MISSED'}: {v.what} ({v.figure})"
        for v in verdicts(scenario, summaries)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _cells(summary: Summary) -> tuple[str, ...]:
    low, high = summary.seconds_range
    return (
        summary.tool,
        f"{summary.seconds:.2f} ({low:.2f}-{high:.2f})",
        f"{summary.megabytes_per_second:.0f}",
        _or_dash(summary.ours_faster_medians),
        _or_dash(summary.ours_faster_by_round),
        f"{summary.cpu_seconds_per_gb:.2f}",
        f"{summary.peak_rss_bytes / 1e6:.0f}",
        f"{summary.sent_share:.2%}",
        _or_dash(summary.inner_seconds),
    )


def _or_dash(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}"


def markdown(results: Mapping[str, tuple[Scenario, Mapping[str, Summary]]]) -> str:
    """The README's table: a row for each scenario, a column for each family of tools."""
    lines = [
        "| work | ours | curl | aria2c | official toolkit |",
        "|---|---|---|---|---|",
    ]
    for scenario, summaries in results.values():
        cells = [scenario.title]
        for family in ("ours", "curl", "aria2", "official"):
            names = [t.name for t in scenario.tools if t.family == family and t.name in summaries]
            said = [_markdown_cell(scenario, summaries[name]) for name in names]
            cells.append("; ".join(said) or "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _markdown_cell(scenario: Scenario, summary: Summary) -> str:
    if scenario.kill_at is not None:
        return f"{summary.sent_share - 1:.1%} sent again"
    variant = summary.tool.partition(" x")[2]
    setting = f"x{variant}: " if variant else ""
    text = f"{setting}{summary.seconds:.2f} s"
    if scenario.limits_cpu:
        text += f", {summary.cpu_seconds_per_gb:.1f} CPU s/GB"
    return f"{text}, {summary.peak_rss_bytes / 1e6:.0f} MB"
