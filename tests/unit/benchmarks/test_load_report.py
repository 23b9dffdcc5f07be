"""Medians, ratios and verdicts of the Load rows from given runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.load_corpora import FULL, QUICK, LoadCorpusSpec
from benchmarks.load_report import load_markdown, load_verdicts, row_text, summarise_load
from benchmarks.load_runs import LoadRun
from benchmarks.load_scenarios import AtMost, LoadRow, NoSlower, load_rows


def run(tool: str, number: int, milliseconds: float, **figures: float) -> LoadRun:
    return LoadRun(tool, number, milliseconds, 2 * milliseconds, 500_000_000, figures, n_compared=3)


@pytest.fixture
def row() -> LoadRow:
    return load_rows(FULL)["sequential"]


def test_compares_medians_and_rounds() -> None:
    runs = [
        *(run("ours", n, ms) for n, ms in enumerate([1.0, 2.0, 4.0])),
        *(run("official", n, ms) for n, ms in enumerate([3.0, 2.0, 6.0])),
    ]
    official = summarise_load(runs)["official"]
    assert official.milliseconds == 3.0
    assert official.milliseconds_range == (2.0, 6.0)
    assert official.of_ours == 1.5
    assert official.of_ours_by_round == 1.5
    assert official.cpu_milliseconds == 6.0


def test_memory_beyond_the_imports_is_told_apart() -> None:
    summary = summarise_load([run("torchcodec", 0, 1.0, idle_rss_bytes=400_000_000)])["torchcodec"]
    assert summary.peak_rss_bytes == 500_000_000
    assert summary.grown_bytes == 100_000_000
    assert summarise_load([run("ffmpeg null", 0, 1.0)])["ffmpeg null"].grown_bytes is None


def test_a_void_run_does_not_count_and_is_named(row: LoadRow) -> None:
    runs = [
        run("ours", 0, 5.0),
        replace(run("ours", 1, 0.1), problem="not the official content: 388/1"),
        run("torchcodec", 0, 6.0),
        run("torchcodec", 1, 60.0),
    ]
    summaries = summarise_load(runs)
    assert summaries["ours"].milliseconds == 5.0
    assert summaries["torchcodec"].of_ours_by_round == 1.2
    text = row_text(row, runs, summaries, missing={"decord"})
    assert "failed: ours, round 2: not the official content: 388/1" in text
    assert "missing: decord (decord)" in text


def test_ours_is_held_against_the_quickest_peer() -> None:
    row = replace(
        load_rows(FULL)["multi_view"], targets=(NoSlower("ours", ("a", "b", "absent"), 1.15),)
    )
    peers = [run("a", 0, 20.0), run("b", 0, 10.0)]
    (met,) = load_verdicts(row, summarise_load([run("ours", 0, 11.5), *peers]))
    assert met.met
    assert met.what == "ours: at most 1.15 x b"
    (missed,) = load_verdicts(row, summarise_load([run("ours", 0, 11.6), *peers]))
    assert not missed.met
    assert missed.figure == "1.16 x"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (AtMost("ours", "milliseconds", 4.0), "4 ms"),
        (AtMost("ours", "late_growth_bytes", 16e6), "late growth 16.0 MB"),
        (AtMost("ours", "size_share", 0.45), "size share 45.0%"),
        (AtMost("ours", "max_difference", 1e-6), "max difference 1e-06"),
    ],
)
def test_a_figure_may_reach_its_limit_and_not_more(
    row: LoadRow, target: AtMost, shown: str
) -> None:
    def verdict(value: float) -> tuple[str, bool]:
        figures = {} if target.figure == "milliseconds" else {target.figure: value}
        milliseconds = value if target.figure == "milliseconds" else 1.0
        summaries = summarise_load([run("ours", 0, milliseconds, **figures)])
        (found,) = load_verdicts(replace(row, targets=(target,)), summaries)
        return found.figure, found.met

    assert verdict(target.limit) == (shown, True)
    assert not verdict(target.limit * 1.01)[1]


def test_what_was_not_measured_is_a_missed_target(row: LoadRow) -> None:
    verdicts = load_verdicts(row, summarise_load([run("torchcodec", 0, 5.0)]))
    assert [v.figure for v in verdicts] == ["not measured"] * len(row.targets)
    assert not any(v.met for v in verdicts)
    assert "target MISSED: ours" in row_text(row, [], {}, set())


def test_markdown_has_a_row_for_each_and_says_what_was_missed(row: LoadRow) -> None:
    runs = [run("ours", 0, 6.0, late_growth_bytes=0), run("torchcodec", 0, 5.0)]
    lines = load_markdown({"a": (row, summarise_load(runs)), "b": (row, {})}).splitlines()
    assert {line.count("|") for line in lines} == {5}
    assert "| 6 ms, 500 MB | torchcodec: 5 ms, 500 MB |" in lines[2]
    assert "1.20 x (missed)" in lines[2]


def test_targets_are_of_tools_that_run_and_of_the_full_corpus_only() -> None:
    for row in load_rows(FULL).values():
        tools = {tool.name for tool in row.tools}
        assert row.targets
        for target in row.targets:
            assert target.tool in tools
            assert not isinstance(target, NoSlower) or set(target.than) <= tools
    assert not any(row.targets for row in load_rows(QUICK).values())


@pytest.mark.parametrize("spec", [FULL, QUICK], ids=lambda spec: spec.name)
def test_rows_ask_for_frames_that_are_there(spec: LoadCorpusSpec) -> None:
    for row in load_rows(spec).values():
        assert set(row.checked) <= set(row.steps)
        assert all(0 <= step < spec.n_frames for step in row.steps)
