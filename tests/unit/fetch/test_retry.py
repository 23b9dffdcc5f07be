"""When to try again, and what a Retry-After says."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.fetch.retry import (
    MAX_RETRY_AFTER_SECONDS,
    MAX_WAIT_SECONDS,
    RetryBudget,
    RetryPolicy,
    parse_retry_after,
)

NOW = 1_445_412_480.0
"""Wed, 21 Oct 2015 07:28:00 GMT."""


# ---- the budget ---------------------------------------------------------------------------------


@given(st.integers(0, 30), st.floats(0, 100))
def test_so_many_tries_and_no_more(retries: int, base_seconds: float) -> None:
    budget = RetryBudget(RetryPolicy(retries, base_seconds))
    waits = [budget.next_wait(None) for _ in range(retries)]
    for number, wait in enumerate(waits):
        assert wait is not None
        assert 0 <= wait <= min(base_seconds * 2**number, MAX_WAIT_SECONDS)
    assert budget.next_wait(None) is None
    assert budget.failures == retries + 1


def test_the_wait_is_drawn_anew_each_time() -> None:
    policy = RetryPolicy(1, 10.0)
    assert len({RetryBudget(policy).next_wait(None) for _ in range(20)}) > 1


@given(st.integers(0, 5), st.lists(st.booleans(), max_size=30))
def test_progress_gives_the_budget_back(retries: int, tries: list[bool]) -> None:
    budget = RetryBudget(RetryPolicy(retries, 1.0))
    failures = 0
    for progressed in tries:
        if progressed:
            budget.progressed()
        failures = 0 if progressed else failures + 1
        wait = budget.next_wait(None)
        assert budget.failures == failures
        if failures > retries:
            assert wait is None
            return
        assert wait is not None
        assert wait <= min(2.0 ** max(failures - 1, 0), MAX_WAIT_SECONDS)


def test_a_very_long_row_of_failures_does_not_overflow() -> None:
    budget = RetryBudget(RetryPolicy(100, 1.0))
    waits = [budget.next_wait(None) for _ in range(100)]
    assert max(wait for wait in waits if wait is not None) <= MAX_WAIT_SECONDS


def test_retry_after_is_obeyed_up_to_ten_minutes() -> None:
    policy = RetryPolicy(3, 1.0)
    assert RetryBudget(policy).next_wait(120.0) == 120.0
    assert RetryBudget(policy).next_wait(MAX_RETRY_AFTER_SECONDS) == MAX_RETRY_AFTER_SECONDS
    assert RetryBudget(policy).next_wait(MAX_RETRY_AFTER_SECONDS + 1) is None
    wait = RetryBudget(policy).next_wait(0.0)
    assert wait is not None
    assert 0 <= wait <= 1.0, "jitter, so that not everybody comes back at once"


def test_retry_after_does_not_widen_the_budget() -> None:
    budget = RetryBudget(RetryPolicy(1, 1.0))
    assert budget.next_wait(5.0) == 5.0
    assert budget.next_wait(5.0) is None


# ---- the header ---------------------------------------------------------------------------------


@given(st.integers(0, 10**9))
def test_seconds(seconds: int) -> None:
    assert parse_retry_after(str(seconds), NOW) == seconds
    assert parse_retry_after(f" {seconds} ", NOW) == seconds


@given(st.integers(-(10**6), 10**6))
def test_a_date(seconds: int) -> None:
    date = format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)
    assert parse_retry_after(date, NOW) == max(seconds, 0)


@pytest.mark.parametrize(
    "date", ["Wednesday, 21-Oct-15 07:29:00 GMT", "Wed, 21 Oct 2015 09:29:00 +0200"]
)
def test_obsolete_and_foreign_dates(date: str) -> None:
    assert parse_retry_after(date, NOW) == 60


@pytest.mark.parametrize(
    "date",
    [
        "Wed Oct 21 07:29:00 2015",
        "Wed, 21 Oct 2015 07:29:00 -0000",
        "Wed, 21 Oct 2015 07:29:00 GMT",
    ],
)
def test_dates_are_in_utc_wherever_we_are(monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    """Asctime's form is in UTC too (RFC 9110 §5.6.7)."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert parse_retry_after(date, NOW) == 60
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text",
    [None, "", " ", "-5", "1.5", "1e3", "soon", "Mon, 99 Foo 2026", "0x10", "+5", "5 seconds"],
)
def test_nonsense_says_nothing(text: str | None) -> None:
    assert parse_retry_after(text, NOW) is None


def test_a_ridiculous_number_is_a_long_wait() -> None:
    wait = parse_retry_after("9" * 5000, NOW)
    assert wait is not None
    assert wait > MAX_RETRY_AFTER_SECONDS


PIECES = st.lists(
    st.sampled_from(["Wed,", "21", "Oct", "0000", "2015", "07:28:00", "GMT", "+9999", "9" * 30]),
    max_size=7,
).map(" ".join)


@given(st.text(max_size=40) | PIECES)
def test_no_header_is_a_fault(text: str) -> None:
    wait = parse_retry_after(text, NOW)
    assert wait is None or wait >= 0
