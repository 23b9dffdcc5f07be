"""The order of a shuffled epoch: complete, even, repeatable, bounded, and well mixed."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.mixing import (
    MixingFigures,
    averaged,
    budget_mixing,
    dataset_layout,
    measure_order,
    plan_order,
    true_order,
)
from nersemble_async.errors import SelectionError
from nersemble_async.loaders.shuffle_layout import ShuffleLayout
from nersemble_async.loaders.shuffle_plan import Mixing, Shard, ShufflePlan, plan_shuffle
from tests.support.shuffling import LAYOUTS, MIXINGS, every_shard, layout_of

SEEDS = st.integers(0, 2**64)
GIB = 2**30
PINNED_ORDER = [19, 4, 9, 10, 8, 12, 11, 5, 7, 0, 6, 14, 15, 16, 1, 13, 3, 18, 2, 17]


def plan_of(layout: ShuffleLayout, mixing: Mixing, seed: int = 0, epoch: int = 0) -> ShufflePlan:
    return plan_shuffle(layout, seed=seed, epoch=epoch, shard=Shard(), mixing=mixing)


@given(layout=LAYOUTS, mixing=MIXINGS, shards=every_shard(), seed=SEEDS, epoch=st.integers(0, 9))
def test_each_frame_once_over_all_ranks_and_workers_in_even_parts(
    layout: ShuffleLayout, mixing: Mixing, shards: list[Shard], seed: int, epoch: int
) -> None:
    plans = [
        plan_shuffle(layout, seed=seed, epoch=epoch, shard=shard, mixing=mixing) for shard in shards
    ]
    given_out = np.concatenate([plan.order for plan in plans])
    assert sorted(given_out.tolist()) == list(range(len(layout)))
    sizes = [len(plan) for plan in plans]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == [shard.count(len(layout)) for shard in shards]
    ranks = [0] * shards[0].world_size
    for shard, size in zip(shards, sizes, strict=True):
        ranks[shard.rank] += size
    assert max(ranks) - min(ranks) <= 1


@given(layout=LAYOUTS, mixing=MIXINGS, shards=every_shard(), seed=SEEDS)
def test_the_buffer_is_never_fuller_than_it_may_be(
    layout: ShuffleLayout, mixing: Mixing, shards: list[Shard], seed: int
) -> None:
    for shard in shards:
        plan = plan_shuffle(layout, seed=seed, epoch=0, shard=shard, mixing=mixing)
        steps = np.arange(len(plan))
        assert (plan.emission < steps + mixing.buffer_frames).all()
        assert sorted(plan.emission.tolist()) == steps.tolist()


@given(layout=LAYOUTS, mixing=MIXINGS, seed=SEEDS)
def test_lanes_decode_forwards_and_enter_each_segment_once(
    layout: ShuffleLayout, mixing: Mixing, seed: int
) -> None:
    plan = plan_of(layout, mixing, seed)
    assert plan.mixing.n_lanes <= mixing.n_lanes
    sizes = np.bincount(plan.lane, minlength=plan.mixing.n_lanes)
    assert sizes.max() - sizes.min() <= 1
    for lane in range(plan.mixing.n_lanes):
        frames = plan.frames[plan.lane == lane]
        segments = layout.segment[frames]
        changes = int((np.diff(segments) != 0).sum())
        assert changes == len(np.unique(segments)) - 1
        within = np.diff(segments) == 0
        assert (np.diff(frames)[within] == 1).all()


@given(layout=LAYOUTS, mixing=MIXINGS, seed=SEEDS, data=st.data())
def test_what_is_left_at_any_position_is_what_was_not_given_out(
    layout: ShuffleLayout, mixing: Mixing, seed: int, data: st.DataObject
) -> None:
    plan = plan_of(layout, mixing, seed)
    position = data.draw(st.integers(0, len(plan)))
    left = plan.lanes_left(position)
    assert len(left) == plan.mixing.n_lanes
    assert sorted(chain.from_iterable(left)) == sorted(plan.emission[position:].tolist())
    for lane, numbers in enumerate(left):
        assert numbers == sorted(numbers)
        assert (plan.lane[numbers] == lane).all()


@given(layout=LAYOUTS, mixing=MIXINGS, seed=SEEDS)
def test_the_same_arguments_give_the_same_order(
    layout: ShuffleLayout, mixing: Mixing, seed: int
) -> None:
    first, second = plan_of(layout, mixing, seed), plan_of(layout, mixing, seed)
    assert first.order.tolist() == second.order.tolist()
    assert first.lane.tolist() == second.lane.tolist()


def test_order_is_pinned_for_all_platforms_and_versions() -> None:
    layout = layout_of([[4, 4, 2], [5, 5]])
    plan = plan_of(layout, Mixing(2, 4), seed=7, epoch=3)
    assert plan.order.tolist() == PINNED_ORDER


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    layout = dataset_layout(2, 100, 10)
    orders = [
        plan_order(layout, Mixing(5, 30), seed, epoch) for seed in range(3) for epoch in range(3)
    ]
    same = [(a == b).mean() for i, a in enumerate(orders) for b in orders[:i]]
    assert max(same) < 0.1


def figures_of(layout: ShuffleLayout, mixing: Mixing | None) -> MixingFigures:
    return averaged(
        [
            measure_order(
                layout,
                true_order(layout, seed) if mixing is None else plan_order(layout, mixing, seed),
            )
            for seed in range(3)
        ]
    )


def test_a_gibibyte_mixes_the_dataset_nearly_as_a_true_shuffle_does() -> None:
    layout = dataset_layout()
    true, ours = figures_of(layout, None), figures_of(layout, budget_mixing(layout, GIB))
    assert ours.near_pairs_32 <= 1.5 * true.near_pairs_32
    assert ours.near_in_a_row <= 1.5 * true.near_in_a_row
    assert ours.segments_32 >= 0.7 * true.segments_32
    assert ours.videos_32 >= 0.85 * true.videos_32
    assert abs(ours.moved_mean - true.moved_mean) < 0.05
    assert ours.time_correlation < 0.2
    assert ours.segment_step_correlation < 0.1


def test_more_memory_mixes_better() -> None:
    layout = dataset_layout()
    figures = [figures_of(layout, budget_mixing(layout, n * GIB // 2)) for n in (1, 2, 8)]
    assert figures[0].near_pairs_256 > figures[1].near_pairs_256 > figures[2].near_pairs_256
    assert figures[0].segments_256 < figures[1].segments_256 < figures[2].segments_256


def test_beginning_and_end_are_as_mixed_as_the_middle() -> None:
    layout = dataset_layout()
    mixing = budget_mixing(layout, GIB)
    n_segments = np.array(
        [
            [len(np.unique(layout.segment[part])) for part in np.array_split(order, 60)]
            for order in (plan_order(layout, mixing, seed) for seed in range(5))
        ]
    ).mean(axis=0)
    middle = n_segments[5:-5].mean()
    assert n_segments[0] > 0.8 * middle
    assert n_segments[-1] > 0.8 * middle
    # Were all decoders to begin at keyframes, the first frames would all come from behind them.
    first = np.concatenate([plan_order(layout, mixing, seed)[:64] for seed in range(5)])
    assert 100 < (layout.frame_index[first] % 250).mean() < 150


@pytest.mark.parametrize("fields", [{"rank": 2, "world_size": 2}, {"worker": -1}, {"n_workers": 0}])
def test_refuses_a_rank_or_worker_that_does_not_exist(fields: dict[str, int]) -> None:
    with pytest.raises(SelectionError, match=r"there is no (rank|worker) -?\d of \d"):
        Shard(**fields)


@pytest.mark.parametrize("fields", [(0, 5), (5, 0)])
def test_refuses_no_lanes_and_no_buffer(fields: tuple[int, int]) -> None:
    with pytest.raises(SelectionError, match="at least 1"):
        Mixing(*fields)


@pytest.mark.parametrize("numbers", [(-1, 0), (0, -1)])
def test_refuses_negative_seeds_and_epochs(numbers: tuple[int, int]) -> None:
    with pytest.raises(SelectionError, match="not negative"):
        plan_of(layout_of([[3]]), Mixing(1, 1), *numbers)
