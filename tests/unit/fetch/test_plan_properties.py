"""The planner under any selection: no duplicates, order, subsets."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nersemble_async.benchmark.spec import BENCHMARKS, SERIALS, TASKS
from nersemble_async.errors import SelectionError
from nersemble_async.fetch.plan import (
    PlannedFile,
    PointcloudFrames,
    Selection,
    TimestepRange,
    plan_fetch,
)
from tests.support.planning import METADATA, plan, stage


def some(values: list[Any]) -> st.SearchStrategy[tuple[Any, ...] | None]:
    return st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=6).map(tuple)


ASSETS = list(dict.fromkeys(a.key for spec in BENCHMARKS.values() for a in spec.assets))
PARTICIPANTS = [p for spec in BENCHMARKS.values() for p in spec.participants]
SEQUENCES = list(dict.fromkeys(n for spec in BENCHMARKS.values() for n in spec.sequence_names))
FRAME_CHOICES = st.sampled_from(
    [PointcloudFrames(), PointcloudFrames((0, 5)), PointcloudFrames((), (TimestepRange(0, 50, 7),))]
)
FILTERS = st.fixed_dictionaries(
    {
        "tasks": st.lists(st.sampled_from(TASKS), min_size=1).map(tuple),
        "assets": some(ASSETS),
        "participants": some(PARTICIPANTS),
        "sequences": some(SEQUENCES),
        "serials": some(list(SERIALS)),
        "pointcloud_frames": FRAME_CHOICES,
    }
)


def planned_or_none(filters: dict[str, Any]) -> list[PlannedFile] | None:
    try:
        return list(plan_fetch(Selection(**filters), METADATA))
    except SelectionError:
        return None


EVERYTHING = set(plan(frames="all", assets=tuple(ASSETS)))


@settings(deadline=None)
@given(FILTERS)
def test_no_path_twice_stages_in_order_and_nothing_unheard_of(filters: dict[str, Any]) -> None:
    files = planned_or_none(filters)
    assume(files)
    assert files is not None
    assert len({file.path for file in files}) == len(files)
    assert [stage(f) for f in files] == sorted(stage(f) for f in files)
    assert set(files) <= EVERYTHING
    for file in files:
        path = PurePosixPath(file.path)
        assert path.parts[0] == file.task
        assert not path.is_absolute()
        assert ".." not in path.parts
        assert str(path) == file.path


@settings(deadline=None)
@given(FILTERS, st.randoms(use_true_random=False))
def test_the_order_of_values_does_not_matter(filters: dict[str, Any], random: Any) -> None:
    shuffled = {
        name: tuple(random.sample(values, len(values))) if isinstance(values, tuple) else values
        for name, values in filters.items()
    }
    assert planned_or_none(shuffled) == planned_or_none(filters)


@settings(deadline=None)
@given(FILTERS, st.data())
def test_narrowing_leaves_a_subset_in_the_same_order(
    filters: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["tasks", "assets", "participants", "sequences", "serials"]))
    values = filters[name]
    whole: dict[str, list[Any]] = {"assets": [k for k in ASSETS if k != "flame2023_tracking"]}
    whole |= {"participants": PARTICIPANTS, "sequences": SEQUENCES, "serials": list(SERIALS)}
    candidates = list(dict.fromkeys(values)) if values is not None else whole[name]
    fewer = data.draw(st.lists(st.sampled_from(candidates), min_size=1, unique=True))
    wide = planned_or_none(filters)
    narrow = planned_or_none(filters | {name: tuple(fewer)})
    assume(wide and narrow)
    assert wide is not None
    assert narrow is not None
    kept = set(narrow)
    assert [file for file in wide if file in kept] == narrow
