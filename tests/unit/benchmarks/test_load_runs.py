"""Real scripts on a real, small corpus: what they measure, and what voids a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import load_peers
from benchmarks.load_corpora import MANY_CAMERAS, QUICK, LoadCorpus, ready_load_corpus
from benchmarks.load_runs import LoadBench, LoadRun, Reference
from benchmarks.load_scenarios import LoadTool, load_rows
from nersemble_async.formats.video.index import build_video_index

ROWS = load_rows(QUICK)
BLOCKING = LoadTool("ours, blocking", "ours_blocking", "sequential")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadCorpus]:
    # Without an official interpreter: nothing here is about what only that can make.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NERSEMBLE_OFFICIAL_PYTHON", "/nowhere/python")
        said: list[str] = []
        yield ready_load_corpus(QUICK, tmp_path_factory.mktemp("load"), said.append)
    assert any("no LZF pointclouds" in line for line in said)


@pytest.fixture
def bench(corpus: LoadCorpus, tmp_path: Path) -> LoadBench:
    return LoadBench(corpus, tmp_path)


def measured(bench: LoadBench, digests: dict[str, str]) -> LoadRun:
    reference = Reference(digests, Path("/nowhere"))
    return bench.run(ROWS["sequential"], BLOCKING, 0, reference)


def test_the_corpus_has_what_its_spec_says(corpus: LoadCorpus) -> None:
    for key, serial, n_frames in corpus.videos():
        index = build_video_index(corpus.path("images", key, serial))
        assert index.n_frames == n_frames
        assert (index.info.width, index.info.height) == QUICK.frame_size
    assert corpus.path("alpha_maps", MANY_CAMERAS, corpus.serials[0]).exists()
    assert corpus.pointcloud_timesteps("binary") == [0]
    assert corpus.pointcloud_timesteps("lzf") == []


def test_a_corpus_is_made_once(corpus: LoadCorpus) -> None:
    path = corpus.path("images", MANY_CAMERAS, corpus.serials[0])
    made = path.stat().st_mtime_ns
    ready_load_corpus(QUICK, corpus.root.parent, lambda _line: None)
    assert path.stat().st_mtime_ns == made


def test_content_is_compared_and_a_wrong_one_voids_the_run(bench: LoadBench) -> None:
    serial = bench.corpus.serials[0]
    run = measured(bench, {})
    assert run.problem is None
    assert run.milliseconds > 0
    assert run.peak_rss_bytes > 0
    assert run.n_compared == 0
    wrong = f"422/EXP-2-eyes/{serial}/0"
    assert measured(bench, {wrong: "another"}).problem == f"not the official content: {wrong}"
    assert measured(bench, {"of another row": "x"}).n_compared == 0


def test_a_script_that_fails_says_why(bench: LoadBench) -> None:
    run = bench.run(ROWS["sequential"], replace(BLOCKING, work="nothing"), 0, None)
    assert run.problem == "exit 1: KeyError: 'nothing'"


def test_a_whole_process_is_timed_from_outside(bench: LoadBench) -> None:
    tool = LoadTool("python", "ours", "pass", is_whole_process=True)
    run = bench.run(ROWS["import"], tool, 0, None)
    assert run.problem is None
    assert run.milliseconds > 1


def test_a_row_without_content_has_no_steps(bench: LoadBench) -> None:
    assert bench.steps_of(ROWS["pointcloud_lzf"]) == []
    assert bench.steps_of(ROWS["pointcloud_binary"])


def test_a_family_that_does_not_work_has_no_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        load_peers,
        "FAMILIES",
        {
            "there": load_peers.Family("s", "ours", "print('there 1.0')"),
            "broken": load_peers.Family("s", "ours", "import nowhere_to_be_found"),
            "absent": load_peers.Family("s", "peers", "print('absent 1.0')"),
        },
    )
    monkeypatch.setenv("NERSEMBLE_PEERS_PYTHON", str(tmp_path / "none"))
    found = load_peers.versions(load_peers.environment(tmp_path))
    assert found == {"there": "there 1.0", "broken": None, "absent": None}
