"""The figures of a row as a table, its targets' verdicts, and the README's table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import harness
from benchmarks.load_runs import LoadRun
from benchmarks.load_scenarios import OURS, AtMost, LoadRow, Target

_HEADER = (
    "tool",
    "ms a unit (min-max)",
    "CPU ms",
    "of ours",
    "by round",
    "peak MB",
    "grew MB",
    "late MB",
    "compared",
)
_HIDDEN_FIGURES = ("idle_rss_bytes", "late_growth_bytes")


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """Medians of a tool's good runs in one row."""

    tool: str
    milliseconds: float
    """Of a unit."""
    milliseconds_range: tuple[float, float]
    cpu_milliseconds: float
    """Of a unit."""
    of_ours: float | None
    """Its median time over the median of ours; above 1 ours is faster."""
    of_ours_by_round: float | None
    """The median of the same ratio taken round by round."""
    peak_rss_bytes: int
    """The most of any run."""
    grown_bytes: int | None
    """Peak beyond what the process held before the work: without imports."""
    figures: Mapping[str, float]
    """Medians."""
    n_compared: int


@dataclass(frozen=True, slots=True)
class LoadVerdict:
    """One target: whether this session's medians meet it."""

    what: str
    figure: str
    met: bool


def summarise_load(runs: Sequence[LoadRun], ours: str = OURS) -> dict[str, LoadSummary]:
    """By tool, in order of first appearance; a tool without a good run is left out.

    Args:
        runs: of one row.
        ours: the tool that the others are compared with.
    """
    good: dict[str, dict[int, LoadRun]] = {}
    for run in runs:
        if run.problem is None:
            good.setdefault(run.tool, {})[run.round] = run
    return {tool: _summary(tool, rounds, good.get(ours, {})) for tool, rounds in good.items()}


def _summary(tool: str, rounds: Mapping[int, LoadRun], ours: Mapping[int, LoadRun]) -> LoadSummary:
    times = [run.milliseconds for run in rounds.values()]
    both = sorted(rounds.keys() & ours.keys())
    theirs_paired = [rounds[n].milliseconds for n in both]
    ours_paired = [ours[n].milliseconds for n in both]
    names = {name: None for run in rounds.values() for name in run.figures}
    figures = {
        name: statistics.median(r.figures[name] for r in rounds.values() if name in r.figures)
        for name in names
    }
    peak = max(run.peak_rss_bytes for run in rounds.values())
    idle = figures.get("idle_rss_bytes")
    return LoadSummary(
        tool=tool,
        milliseconds=statistics.median(times),
        milliseconds_range=(min(times), max(times)),
        cpu_milliseconds=statistics.median(run.cpu_milliseconds for run in rounds.values()),
        of_ours=(
            harness.ratio_of_medians(times, [r.milliseconds for r in ours.values()])
            if ours
            else None
        ),
        of_ours_by_round=harness.median_of_ratios(theirs_paired, ours_paired) if both else None,
        peak_rss_bytes=peak,
        grown_bytes=None if idle is None else max(0, peak - int(idle)),
        figures=figures,
        n_compared=min(run.n_compared for run in rounds.values()),
    )


def load_verdicts(row: LoadRow, summaries: Mapping[str, LoadSummary]) -> list[LoadVerdict]:
    """What the targets say; one that cannot be judged is missed, and says why."""
    return [_verdict(target, summaries) for target in row.targets]


def _verdict(target: Target, summaries: Mapping[str, LoadSummary]) -> LoadVerdict:
    ours = summaries.get(target.tool)
    if isinstance(target, AtMost):
        what = f"{target.tool}: {_named(target.figure, target.limit)} at most"
        value = None if ours is None else _figure(ours, target.figure)
        if value is None:
            return LoadVerdict(what, "not measured", met=False)
        return LoadVerdict(what, _named(target.figure, value), value <= target.limit)
    found = [summaries[name] for name in target.than if name in summaries]
    best = min(found, key=lambda s: s.milliseconds, default=None)
    what = f"{target.tool}: at most {target.factor:g} x {best.tool if best else target.than[0]}"
    if ours is None or best is None:
        return LoadVerdict(what, "not measured", met=False)
    ratio = ours.milliseconds / best.milliseconds
    return LoadVerdict(what, f"{ratio:.2f} x", ratio <= target.factor)


def _figure(summary: LoadSummary, name: str) -> float | None:
    return summary.milliseconds if name == "milliseconds" else summary.figures.get(name)


def _named(name: str, value: float) -> str:
    """A figure with its unit."""
    if name == "milliseconds":
        return f"{value:.4g} ms"
    if name.endswith("_bytes"):
        return f"{name.removesuffix('_bytes').replace('_', ' ')} {value / 1e6:.1f} MB"
    if name.endswith("_share"):
        return f"{name.replace('_', ' ')} {value:.1%}"
    return f"{name.replace('_', ' ')} {value:.3g}"


def row_text(
    row: LoadRow,
    runs: Sequence[LoadRun],
    summaries: Mapping[str, LoadSummary],
    missing: set[str],
) -> str:
    """The table of one row, with what is missing, failed or missed named under it.

    Args:
        row: what was measured.
        runs: every run.
        summaries: of `summarise_load`.
        missing: families that are not installed.
    """
    rows = [_HEADER, *(_cells(s) for s in summaries.values())]
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(_HEADER))]
    lines = [f"\n{row.name}: {row.title} (unit: {row.unit})"]
    lines += ["  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) for cells in rows]
    for summary in summaries.values():
        others = {k: v for k, v in summary.figures.items() if k not in _HIDDEN_FIGURES}
        lines += [f"{summary.tool}: {_named(name, value)}" for name, value in others.items()]
    lines += [f"missing: {t.name} ({t.family})" for t in row.tools if t.family in missing]
    lines += [f"failed: {r.tool}, round {r.round + 1}: {r.problem}" for r in runs if r.problem]
    lines += [
        f"target {'met' if v.met else 'MISSED'}: {v.what} ({v.figure})"
        for v in load_verdicts(row, summaries)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _cells(summary: LoadSummary) -> tuple[str, ...]:
    low, high = summary.milliseconds_range
    late = summary.figures.get("late_growth_bytes")
    return (
        summary.tool,
        f"{summary.milliseconds:.4g} ({low:.4g}-{high:.4g})",
        f"{summary.cpu_milliseconds:.4g}",
        _or_dash(summary.of_ours),
        _or_dash(summary.of_ours_by_round),
        f"{summary.peak_rss_bytes / 1e6:.0f}",
        "-" if summary.grown_bytes is None else f"{summary.grown_bytes / 1e6:.0f}",
        "-" if late is None else f"{late / 1e6:.0f}",
        str(summary.n_compared) if summary.n_compared else "-",
    )


def _or_dash(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}"


def load_markdown(results: Mapping[str, tuple[LoadRow, Mapping[str, LoadSummary]]]) -> str:
    """The README's table: a row of the targets each, ours first, then every other tool."""
    lines = ["| work | ours | others | target |", "|---|---|---|---|"]
    for row, summaries in results.values():
        ours = [_markdown_cell(s) for s in summaries.values() if s.tool.startswith(OURS)]
        others = [_markdown_cell(s) for s in summaries.values() if not s.tool.startswith(OURS)]
        verdicts = [
            f"{v.what}: {v.figure}{'' if v.met else ' (missed)'}"
            for v in load_verdicts(row, summaries)
        ]
        cells = (row.title, *("; ".join(c) or "-" for c in (ours, others, verdicts)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _markdown_cell(summary: LoadSummary) -> str:
    name = summary.tool.removeprefix(OURS).removeprefix(", ")
    said = f"{name}: " if name else ""
    return f"{said}{summary.milliseconds:.3g} ms, {summary.peak_rss_bytes / 1e6:.0f} MB"
