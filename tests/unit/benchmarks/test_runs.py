"""Whole runs with a peer that is always there: measured, checked and counted."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.corpora import CorpusFile, make_corpus
from benchmarks.runs import Bench, bench, bytes_on_disk
from benchmarks.scenarios import CURL, CURL_PARALLEL, Scenario, scenarios
from tests.support.nginx import find_nginx

needs_programs = pytest.mark.usefixtures("_programs")
QUICK = scenarios(quick=True)


@pytest.fixture
def _programs() -> None:
    find_nginx()
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")


def test_counts_what_is_allocated_and_not_holes(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    with (tmp_path / ".hidden" / "part").open("wb") as file:
        file.write(b"x" * 8192)
        file.truncate(50_000_000)
    assert 8192 <= bytes_on_disk(tmp_path) < 50_000_000
    assert bytes_on_disk(tmp_path / "none") == 0


@needs_programs
@pytest.mark.parametrize("name", ["many_large", "delayed"])
def test_fetches_checks_and_clears(tmp_path: Path, name: str) -> None:
    scenario = QUICK[name]
    corpus = make_corpus(scenario.corpus, tmp_path / "corpus")
    with bench(scenario, corpus, tmp_path, {"PATH": os.environ["PATH"]}, 1) as here:
        run = here.run(CURL_PARALLEL, 3)
    assert run.problem is None
    assert run.round == 3
    assert run.sent_bytes == corpus.size_bytes
    assert run.requests == len(corpus.files)
    assert not (tmp_path / "downloads").exists()


@needs_programs
def test_kills_half_way_and_resumes(tmp_path: Path) -> None:
    scenario = QUICK["killed_one"]
    corpus = make_corpus(scenario.corpus, tmp_path / "corpus")
    with bench(scenario, corpus, tmp_path, {"PATH": os.environ["PATH"]}, 1) as here:
        run = here.run(CURL, 0)
    assert run.problem is None
    assert run.requests == 2
    assert corpus.size_bytes < run.sent_bytes < 1.5 * corpus.size_bytes


def problem_of(scenario: Scenario, tmp_path: Path, files: tuple[CorpusFile, ...]) -> str:
    corpus = make_corpus(scenario.corpus, tmp_path / "corpus")
    changed = replace(corpus, files=files or corpus.files)
    env = {"PATH": os.environ["PATH"]}
    with bench(scenario, changed, tmp_path, env, 1) as here:
        return describe(here)


def describe(here: Bench) -> str:
    problem = here.run(CURL_PARALLEL, 0).problem
    assert problem is not None
    return problem


@needs_programs
def test_wrong_bytes_and_failures_are_problems(tmp_path: Path) -> None:
    small = QUICK["delayed"]
    scenario = replace(small, rtt_seconds=None)
    files = make_corpus(scenario.corpus, tmp_path / "corpus").files
    wrong = (replace(files[0], sha256="0" * 64), *files[1:])
    assert "1 files with wrong bytes" in problem_of(scenario, tmp_path, wrong)
    gone = (replace(files[0], path="nvs/none.pcd"), *files[1:])
    assert "exit 22" in problem_of(scenario, tmp_path, gone)
    assert "before it was killed" in problem_of(replace(scenario, kill_at=2.0), tmp_path, ())
