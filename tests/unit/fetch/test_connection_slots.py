"""Slots: loaders first, in turn within a priority, never too many, none lost to a cancellation."""

from __future__ import annotations

import random

import anyio
import anyio.lowlevel
import pytest

from nersemble_async.fetch.connection_slots import ConnectionSlots, Priority

LOADER, BACKGROUND = Priority.LOADER, Priority.BACKGROUND


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


@pytest.mark.asyncio
async def test_loaders_first_and_in_turn() -> None:
    slots = ConnectionSlots(2)
    order: list[str] = []

    async def request(name: str, priority: Priority) -> None:
        async with slots.of(priority):
            order.append(name)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group, slots.of(BACKGROUND), slots.of(BACKGROUND):
        for name in ("b1", "b2", "b3"):
            group.start_soon(request, name, BACKGROUND)
        await settle()
        for name in ("l1", "l2", "l3"):
            group.start_soon(request, name, LOADER)
        await settle()
        assert order == []
        assert slots.tasks_waiting == 6
    assert order == ["l1", "l2", "l3", "b1", "b2", "b3"]


@pytest.mark.asyncio
async def test_a_free_slot_is_had_at_once() -> None:
    slots = ConnectionSlots(1)
    for priority in (LOADER, BACKGROUND, LOADER):
        async with slots.of(priority):
            assert slots.tasks_waiting == 0


def test_attached_loaders_are_counted() -> None:
    slots = ConnectionSlots(1)
    assert not slots.has_loaders
    with slots.attach_loader():
        with slots.attach_loader():
            pass
        assert slots.has_loaders
    assert not slots.has_loaders


@pytest.mark.asyncio
async def test_cancelled_with_the_slot_already_granted() -> None:
    slots = ConnectionSlots(1)
    await slots.acquire(BACKGROUND)

    async def request() -> None:
        async with slots.of(LOADER):
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(request)
        await settle()
        slots.release()  # grants it
        group.cancel_scope.cancel()
    with anyio.fail_after(10):
        await slots.acquire(BACKGROUND)


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(20))
async def test_random_cancellations_lose_no_slot(seed: int) -> None:
    draw = random.Random(seed)
    connections = draw.randrange(1, 5)
    slots = ConnectionSlots(connections)
    held = most = 0

    async def request(priority: Priority, turns: int, scope: anyio.CancelScope) -> None:
        nonlocal held, most
        with scope:
            async with slots.of(priority):
                held += 1
                most = max(most, held)
                try:
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                finally:
                    held -= 1

    async with anyio.create_task_group() as group:
        scopes = [anyio.CancelScope() for _ in range(60)]
        for scope in scopes:
            group.start_soon(request, draw.choice([*Priority]), draw.randrange(4), scope)
            for _ in range(draw.randrange(3)):
                await anyio.lowlevel.checkpoint()
            draw.choice(scopes).cancel()
    assert held == 0
    assert 0 < most <= connections
    assert slots.tasks_waiting == 0
    with anyio.fail_after(10):  # all of them are there again
        for _ in range(connections):
            await slots.acquire(BACKGROUND)
