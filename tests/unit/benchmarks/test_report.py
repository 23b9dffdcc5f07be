"""Medians, ratios and verdicts from given runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import report
from benchmarks.runs import Run
from benchmarks.scenarios import Scenario, scenarios

CORPUS_BYTES = 1_000_000_000


def run(tool: str, number: int, seconds: float) -> Run:
    return Run(tool, number, seconds, 1.0, 50_000_000, CORPUS_BYTES, 1)


@pytest.fixture
def scenario() -> Scenario:
    return scenarios(quick=False)["many_large"]


def test_compares_medians_and_rounds() -> None:
    runs = [
        *(run("ours", n, s) for n, s in enumerate([1.0, 2.0, 4.0])),
        *(run("curl -Z", n, s) for n, s in enumerate([3.0, 2.0, 6.0])),
    ]
    curl = report.summarise(runs, CORPUS_BYTES)["curl -Z"]
    assert curl.seconds == 3.0
    assert curl.seconds_range == (2.0, 6.0)
    assert curl.ours_faster_medians == 1.5
    assert curl.ours_faster_by_round == 1.5
    assert curl.megabytes_per_second == pytest.approx(1000 / 3)


def test_a_failed_run_does_not_count_and_is_named(scenario: Scenario) -> None:
    runs = [
        run("ours", 0, 1.0),
        replace(run("ours", 1, 0.1), problem="exit 1: no"),
        run("curl -Z", 0, 2.0),
        run("curl -Z", 1, 9.0),
    ]
    summaries = report.summarise(runs, CORPUS_BYTES)
    assert summaries["ours"].seconds == 1.0
    assert summaries["curl -Z"].ours_faster_by_round == 2.0
    text = report.scenario_text(scenario, runs, summaries, missing={"aria2"})
    assert "failed: ours, round 2: exit 1: no" in text
    assert "missing: aria2c" in text


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seconds": 2.1}, "as fast as curl -Z"),
        ({"cpu_seconds": 1.71}, "CPU ≤ 1.7 s/GB"),
        ({"peak_rss_bytes": 90_000_001}, "peak memory ≤ 90 MB"),
        ({"sent_bytes": 1_010_000_001}, "sent again ≤ 1%"),
    ],
)
def test_each_target_can_be_missed(scenario: Scenario, change: dict[str, float], what: str) -> None:
    good = run("ours", 0, 1.9)
    peer = run("curl -Z", 0, 2.0)
    met = report.verdicts(scenario, report.summarise([good, peer], CORPUS_BYTES))
    assert len(met) == 4
    assert all(v.met for v in met)
    bad = replace(good, **change)  # type: ignore[arg-type]
    found = report.verdicts(scenario, report.summarise([bad, peer], CORPUS_BYTES))
    assert [v.what for v in found if not v.met] == [what]


def test_says_nothing_of_ours_where_ours_was_not_measured(scenario: Scenario) -> None:
    summaries = report.summarise([run("curl -Z", 0, 2.0)], CORPUS_BYTES)
    assert report.verdicts(scenario, summaries) == []
    assert summaries["curl -Z"].ours_faster_medians is None


def test_markdown_has_a_cell_for_every_family(scenario: Scenario) -> None:
    runs = [run("ours", 0, 1.0), run("curl -Z", 0, 2.0), run("official x16", 0, 4.0)]
    killed = scenarios(quick=False)["killed_many"]
    summaries = report.summarise(runs, CORPUS_BYTES)
    table = report.markdown({"a": (scenario, summaries), "b": (killed, summaries)}).splitlines()
    assert {line.count("|") for line in table} == {6}
    assert "x16: 4.00 s" in table[2]
    assert "0.0% sent again" in table[3]
