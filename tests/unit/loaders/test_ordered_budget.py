"""The budget of items made ahead: bounded, in any order of making, and never stuck."""

from __future__ import annotations

import random

import anyio
import anyio.lowlevel
import pytest

from nersemble_async.loaders.ordered_budget import OrderedBudget


@pytest.mark.asyncio
async def test_the_next_in_turn_always_gets_its_bytes() -> None:
    budget = OrderedBudget(100)
    assert budget.try_take(1, 60)
    assert budget.try_take(2, 40)
    assert not budget.try_take(3, 1)
    assert budget.try_take(0, 500)
    assert budget.held_bytes == 600
    budget.hand_out(0)
    assert not budget.try_take(3, 1)
    assert budget.try_take(1, 200), "its turn"
    budget.hand_out(1)
    assert budget.try_take(3, 60)
    assert budget.held_bytes == 100


@pytest.mark.asyncio
async def test_giving_back_wakes_whoever_waits() -> None:
    budget = OrderedBudget(100)
    assert budget.try_take(1, 100)
    async with anyio.create_task_group() as group:
        group.start_soon(budget.take, 2, 50)
        await anyio.lowlevel.checkpoint()
        assert budget.held_bytes == 100
        assert budget.try_take(1, 50)
    assert budget.held_bytes == 100


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(10))
async def test_any_order_ends_within_the_bound(seed: int) -> None:
    draw = random.Random(seed)
    sizes = [draw.randrange(1, 120) for _ in range(50)]
    budget = OrderedBudget(100)
    ready = [anyio.Event() for _ in sizes]
    most = 0

    async def make(item: int) -> None:
        nonlocal most
        for _ in range(draw.randrange(5)):
            await anyio.lowlevel.checkpoint()
        await budget.take(item, draw.randrange(sizes[item] + 1))
        await budget.take(item, sizes[item])
        most = max(most, budget.held_bytes)
        ready[item].set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for item in draw.sample(range(50), 50):
                group.start_soon(make, item)
            for item in range(50):
                await ready[item].wait()
                budget.hand_out(item)
    assert budget.held_bytes == 0
    assert most <= 100 + max(sizes)
