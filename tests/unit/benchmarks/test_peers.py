"""How each tool is called: same files, same places, same number of connections."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.corpora import Corpus, CorpusFile, CorpusSpec, pointcloud_path
from benchmarks.peers import Job, Tool


def make_job(folder: Path, file_count: int) -> Job:
    files = tuple(CorpusFile(pointcloud_path(t), 10, "") for t in range(file_count))
    corpus = Corpus(CorpusSpec("c", file_count, 10), folder, files)
    return Job("http://127.0.0.1:1", corpus, folder / "downloads", 16, folder)


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/bin/{program}")


def test_curl_fetches_many_in_parallel_and_one_alone(tmp_path: Path) -> None:
    many = Tool("curl -Z", "curl").command(make_job(tmp_path, 3)).argv
    assert many[many.index("--parallel-max") + 1] == "16"
    assert (tmp_path / "curl.conf").read_text().count("output = ") == 3
    assert "--parallel" not in Tool("curl", "curl").command(make_job(tmp_path, 1)).argv


def test_curl_goes_on_only_where_something_is_there(tmp_path: Path) -> None:
    job = make_job(tmp_path, 1)
    assert "--continue-at" not in Tool("curl", "curl").command(job).argv
    job.target.mkdir()
    assert "--continue-at" in Tool("curl", "curl").command(job).argv


def test_curl_is_not_asked_for_whole_files_again(tmp_path: Path) -> None:
    job = make_job(tmp_path, 2)
    whole, begun = (job.target / f.path for f in job.corpus.files)
    whole.parent.mkdir(parents=True)
    whole.write_bytes(b"x" * 10)
    begun.write_bytes(b"x" * 9)
    Tool("curl -Z", "curl").command(job)
    config = (tmp_path / "curl.conf").read_text()
    assert begun.name in config
    assert whole.name not in config


@pytest.mark.parametrize(("file_count", "each"), [(3, 1), (1, 16)])
def test_aria2_has_as_many_connections_in_all(tmp_path: Path, file_count: int, each: int) -> None:
    argv = Tool("aria2c", "aria2").command(make_job(tmp_path, file_count)).argv
    assert f"--split={each}" in argv
    assert f"--max-connection-per-server={each}" in argv
    assert "--max-concurrent-downloads=16" in argv


def test_official_is_given_paths_below_the_task(tmp_path: Path) -> None:
    job = make_job(tmp_path, 2)
    command = Tool("official x1", "official", workers=1).command(job)
    assert command.extra_env == {"NERSEMBLE_BENCHMARK_URL": job.url}
    given = json.loads((tmp_path / "official.json").read_text())
    assert given["workers"] == 1
    assert [f"nvs/{path}" for path in given["paths"]] == [f.path for f in job.corpus.files]


def test_ours_is_an_ordinary_fetch(tmp_path: Path) -> None:
    job = make_job(tmp_path, 2)
    command = Tool("ours", "ours").command(job)
    assert command.argv[1:4] == ["-m", "nersemble_async", "fetch"]
    assert command.argv[command.argv.index("--connections") + 1] == "16"
    assert job.url not in command.argv


def test_reads_the_official_toolkits_inner_time() -> None:
    assert peers.inner_seconds("100%|\ninner_seconds=1.250000\n") == 1.25
    assert peers.inner_seconds("curl: (22)") is None


def test_a_tool_that_is_not_there_has_no_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NERSEMBLE_OFFICIAL_PYTHON", str(tmp_path / "none"))
    env = {"PATH": str(tmp_path)}
    assert peers.versions(["official"], env) == {"official": None}
