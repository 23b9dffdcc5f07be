"""A set of byte ranges against a plain set of numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.cache.extents import ByteRange, ExtentSet

END = 40
SPANS = st.lists(st.tuples(st.integers(0, END), st.integers(0, END)), max_size=12)


def filled(spans: list[tuple[int, int]]) -> tuple[ExtentSet, set[int]]:
    extents, model = ExtentSet(), set[int]()
    for start, stop in spans:
        extents.add(start, stop)
        model.update(range(start, stop))
    return extents, model


def runs(numbers: set[int]) -> list[ByteRange]:
    """The maximal runs of consecutive numbers."""
    starts = sorted(n for n in numbers if n - 1 not in numbers)
    stops = sorted(n + 1 for n in numbers if n + 1 not in numbers)
    return [ByteRange(start, stop) for start, stop in zip(starts, stops, strict=True)]


@given(SPANS)
def test_it_holds_the_runs_of_the_union(spans: list[tuple[int, int]]) -> None:
    extents, model = filled(spans)
    assert list(extents) == runs(model)
    assert all(one.stop < two.start for one, two in pairwise(extents))
    assert len(extents) == len(runs(model))
    assert bool(extents) == bool(model)
    assert extents.total_bytes == len(model)


@given(SPANS, st.integers(0, END + 10))
def test_missing_is_the_complement(spans: list[tuple[int, int]], size: int) -> None:
    extents, model = filled(spans)
    assert extents.missing(size) == runs(set(range(size)) - model)


@given(SPANS)
def test_covered_until_is_the_end_of_the_run(spans: list[tuple[int, int]]) -> None:
    extents, model = filled(spans)
    for offset in range(END + 2):
        end = offset
        while end in model:
            end += 1
        assert extents.covered_until(offset) == end


@given(SPANS, st.randoms(use_true_random=False))
def test_the_order_of_adding_does_not_matter(spans: list[tuple[int, int]], random: object) -> None:
    shuffled = sorted(spans, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert list(filled(spans)[0]) == list(filled(shuffled)[0])


def test_clear_forgets_everything() -> None:
    extents, _ = filled([(0, 5), (7, 9)])
    extents.clear()
    assert (list(extents), extents.total_bytes) == ([], 0)
    assert extents.missing(3) == [ByteRange(0, 3)]


def test_iterating_is_safe_while_it_changes() -> None:
    extents, _ = filled([(0, 1), (2, 3), (4, 5)])
    for extent in extents:
        extents.add(extent.start, extent.stop + 1)
    assert list(extents) == [ByteRange(0, 6)]


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (3, 3), (4, 3), (-1, 2), (-5, -3)])
def test_a_byte_range_is_never_empty(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="not a byte range"):
        ByteRange(start, stop)


def test_a_byte_range_has_a_length_and_an_order() -> None:
    assert len(ByteRange(3, 10)) == 7
    assert sorted([ByteRange(5, 6), ByteRange(0, 9), ByteRange(0, 2)]) == [
        ByteRange(0, 2),
        ByteRange(0, 9),
        ByteRange(5, 6),
    ]
