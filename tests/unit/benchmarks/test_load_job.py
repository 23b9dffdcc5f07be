"""What a measured script is told and says, as both sides understand it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks.load_scripts.job import Job, Meter, Outcome, answer, digest, label, read_outcome


def make_job(work: str) -> Job:
    return Job(work, "/root", "/scratch", 388, "GLASSES", ["222200042"], [3, 1], [1])


def test_the_last_outcome_of_an_output_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job_file = tmp_path / "job.json"
    job_file.write_text(json.dumps(asdict(make_job("two"))))
    monkeypatch.setattr(sys, "argv", ["script", str(job_file)])

    def two(job: Job) -> Outcome:
        sys.stdout.write("a library's banner")
        return Outcome(1.5, len(job.steps), 0.5, {"a": "b"}, {"size_share": 0.4})

    answer({"two": two})
    assert read_outcome(capsys.readouterr().out) == Outcome(
        1.5, 2, 0.5, {"a": "b"}, {"size_share": 0.4}
    )
    assert read_outcome("Killed\n") is None


def test_paths_are_the_official_ones() -> None:
    job = make_job("any")
    folder = "/root/nvs/388/sequences/GLASSES"
    assert job.video("222200042") == f"{folder}/images/cam_222200042.mp4"
    assert job.pointcloud(7) == f"{folder}/pointclouds/frame_00007.pcd"
    assert label(job, "222200042", 3) == "388/GLASSES/222200042/3"


def test_a_digest_tells_bits_shapes_and_types_apart() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert digest(image) == digest(image.copy())
    others = (image.reshape(4, 1, 3), image.astype(np.int8), image + np.uint8(1))
    assert digest(image) not in {digest(other) for other in others}
    # A view with other strides holds the same frame.
    assert digest(image[:, ::-1]) == digest(np.ascontiguousarray(image[:, ::-1]))


def test_times_only_what_is_within_and_sees_late_growth() -> None:
    meter = Meter()
    idle = set()
    for _ in range(2):
        with meter:
            held = np.ones(32_000_000, np.uint8)
        idle.add(meter.figures["idle_rss_bytes"])
    assert len(idle) == 1
    assert held.nbytes > 0
    once = meter.seconds
    outcome = meter.outcome(4)
    assert outcome.seconds == once > 0
    assert "late_growth_bytes" not in outcome.figures


def test_late_growth_is_seen() -> None:
    """In a process of its own: the peak of this one may lie high above what it holds now."""
    program = (
        "import numpy as np\n"
        "from benchmarks.load_scripts.job import Meter\n"
        "with Meter() as growing:\n"
        "    growing.step(1, 3)\n"
        "    kept = np.ones(200_000_000, np.uint8)\n"
        "    growing.step(3, 3)\n"
        "print(int(growing.figures['late_growth_bytes']))\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(told.stdout) > 100_000_000
