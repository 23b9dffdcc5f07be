"""Totals, rate and remaining time, also where sizes are unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cli.tally import Kind, SizeEstimate, Tally
from nersemble_async.errors import TransientFetchError
from nersemble_async.fetch.progress import (
    BytesReceived,
    FileFinished,
    FileRestarted,
    FileRetried,
    FileStarted,
    Outcome,
    RunStarted,
)

KINDS: dict[str, Kind] = {
    "nvs/a.pcd": ("nvs", "pointclouds", "388"),
    "nvs/b.pcd": ("nvs", "pointclouds", "388"),
    "nvs/c.pcd": ("nvs", "pointclouds", "475"),
    "svfr/d.png": ("svfr", "images", "078"),
}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make_tally() -> tuple[Tally, Clock]:
    clock = Clock()
    return Tally(KINDS, clock), clock


def test_nothing_is_known_at_first() -> None:
    tally, _ = make_tally()
    tally.add(RunStarted(files=4, present_files=0, present_bytes=0, expected_bytes=None))
    assert tally.total_bytes is None
    assert tally.remaining_seconds is None
    assert not tally.total_is_exact
    assert (tally.files, tally.have_bytes) == (4, 0)


def test_unknown_sizes_are_guessed_from_the_nearest_kind() -> None:
    tally, _ = make_tally()
    tally.add(FileStarted("nvs/a.pcd", 1000, 0))
    assert tally.total_bytes == 4000
    tally.add(FileStarted("svfr/d.png", 10, 0))
    assert tally.total_bytes == 1000 + 10 + 2 * 1000
    tally.add(FileStarted("nvs/c.pcd", 100, 0))
    assert tally.total_bytes == 1000 + 10 + 100 + 1000
    assert not tally.total_is_exact
    tally.add(FileStarted("nvs/b.pcd", 3000, 0))
    assert tally.total_bytes == 4110
    assert tally.total_is_exact


def test_the_runs_own_estimate_counts_until_all_sizes_are_known() -> None:
    tally, _ = make_tally()
    tally.add(RunStarted(files=4, present_files=0, present_bytes=0, expected_bytes=9_000))
    assert tally.total_bytes == 9_000
    for path in KINDS:
        tally.add(FileStarted(path, 1_000, 0))
        assert tally.total_bytes == (4_000 if path == "svfr/d.png" else 9_000)


def test_rate_and_remaining_time_come_from_received_bytes_only() -> None:
    tally, clock = make_tally()
    for path in KINDS:
        tally.add(FileStarted(path, 1000, 500 if path == "nvs/a.pcd" else 0))
    for _ in range(10):
        clock.now += 1
        tally.add(BytesReceived("nvs/b.pcd", 100))
    assert tally.bytes_per_second == pytest.approx(100)
    assert tally.have_bytes == 1500
    assert tally.remaining_seconds == pytest.approx(25)
    assert tally.received_bytes == 1000


def test_the_rate_forgets_what_is_long_ago() -> None:
    tally, clock = make_tally()
    tally.add(FileStarted("nvs/a.pcd", None, 0))
    clock.now += 1
    tally.add(BytesReceived("nvs/a.pcd", 1_000_000))
    for _ in range(40):
        clock.now += 1
        tally.add(BytesReceived("nvs/a.pcd", 10))
    assert tally.bytes_per_second == pytest.approx(10, rel=0.2)


def test_a_file_without_length_counts_when_it_ends() -> None:
    tally, _ = make_tally()
    tally.add(FileStarted("nvs/a.pcd", None, 0))
    tally.add(BytesReceived("nvs/a.pcd", 700))
    assert tally.total_bytes is None
    tally.add(FileFinished("nvs/a.pcd", Outcome.FETCHED, 700, 700))
    assert tally.total_bytes == 4 * 700
    assert tally.have_bytes == 700


def test_discarded_bytes_are_taken_back() -> None:
    tally, _ = make_tally()
    tally.add(FileStarted("nvs/a.pcd", 1000, 300))
    tally.add(BytesReceived("nvs/a.pcd", 100))
    tally.add(FileRestarted("nvs/a.pcd", 400, "it changed"))
    assert tally.have_bytes == 0
    assert tally.active["nvs/a.pcd"].note == "anew: it changed"


def test_a_retry_is_counted_and_noted_until_bytes_come() -> None:
    tally, _ = make_tally()
    tally.add(FileStarted("nvs/a.pcd", 1000, 0))
    tally.add(FileRetried("nvs/a.pcd", 1, 3.2, "reset"))
    tally.add(FileRetried("nvs/never-started.pcd", 1, 3.2, "reset"))
    assert tally.retries == 2
    assert tally.active["nvs/a.pcd"].note == "again in 3 s: reset"
    tally.add(BytesReceived("nvs/a.pcd", 1))
    assert not tally.active["nvs/a.pcd"].note


def test_a_failed_file_leaves_the_total() -> None:
    tally, _ = make_tally()
    tally.add(FileStarted("nvs/a.pcd", 1000, 0))
    tally.add(FileStarted("nvs/b.pcd", 2000, 0))
    error = TransientFetchError("nvs/b.pcd", "reset")
    tally.add(BytesReceived("nvs/b.pcd", 50))
    tally.add(FileFinished("nvs/b.pcd", Outcome.FAILED, 0, 50, error=error))
    tally.add(FileFinished("nvs/c.pcd", Outcome.SKIPPED))
    tally.add(FileFinished("svfr/d.png", Outcome.FAILED, error=error))
    assert tally.total_bytes == 1050
    assert tally.failed_files == 2
    tally.add(FileFinished("nvs/a.pcd", Outcome.FETCHED, 1000, 1000))
    assert tally.have_bytes == tally.total_bytes == 1050


def test_present_files_count_without_having_started() -> None:
    tally, _ = make_tally()
    tally.add(FileFinished("nvs/a.pcd", Outcome.PRESENT, 1000))
    assert (tally.complete_files, tally.have_bytes, tally.bytes_per_second) == (1, 1000, 0)


def test_no_estimate_without_sizes() -> None:
    assert SizeEstimate().guess_bytes(("nvs",)) is None


@given(st.dictionaries(st.sampled_from(sorted(KINDS)), st.integers(0, 10**12), min_size=4))
def test_when_all_is_fetched_have_and_total_are_the_sum(sizes: dict[str, int]) -> None:
    tally, clock = make_tally()
    for path, size_bytes in sizes.items():
        tally.add(FileStarted(path, size_bytes, 0))
        clock.now += 1
        tally.add(BytesReceived(path, size_bytes))
        tally.add(FileFinished(path, Outcome.FETCHED, size_bytes, size_bytes))
        assert tally.total_bytes is not None
        assert tally.total_bytes >= tally.have_bytes
    assert tally.have_bytes == tally.total_bytes == sum(sizes.values())
    assert tally.remaining_seconds in (0, None)
    assert not tally.active


def test_remaining_time_of_what_has_no_bytes() -> None:
    clock = Clock()
    tally = Tally({}, clock, unit="frames")
    tally.files = 30
    assert tally.remaining_seconds is None
    clock.now += 4
    tally.complete_files = 10
    assert tally.remaining_seconds == 8
    assert tally.share == 10 / 30
