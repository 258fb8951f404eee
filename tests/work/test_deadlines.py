"""Deadlines: what has not ended by then is canceled, begun or not, whatever else happens."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ringback.rules.retry import SECOND
from ringback.store import predictions
from ringback.store.outbox import Outbox
from ringback.store.predictions import New
from ringback.work.deadlines import Deadlines
from store.no_dispatch import NoDispatch
from store.world import ACCOUNT, LINKS, MODEL, VERSION, World, hook, opened


@pytest.fixture
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with opened(tmp_path_factory.mktemp("deadlines")) as found:
        yield found


@pytest.fixture
def stopped() -> list[str]:
    return []


@pytest.fixture
def deadlines(world: World, stopped: list[str]) -> Deadlines:
    outbox = Outbox(world.database, NoDispatch(), SECOND // 2, LINKS)
    return Deadlines(outbox, world.clock, stopped.append)


async def due(world: World, seconds: float) -> str:
    """A prediction that is to end within `seconds`."""
    deadline = world.now + int(seconds * SECOND)
    new = New(world.ids.make(world.now), ACCOUNT, VERSION, MODEL, "{}", hook(), deadline=deadline)
    await world.database.write(lambda tx: predictions.create(tx, new))
    return new.id


async def status(world: World, id_: str) -> str:
    found = await world.database.read(lambda tx: predictions.facts(tx, id_))
    assert found is not None
    return found.status


async def test_one_that_never_began_is_canceled_not_aborted(
    world: World, deadlines: Deadlines, stopped: list[str]
) -> None:
    id_ = await due(world, 5)
    world.wait(5)
    await deadlines.once()
    assert await status(world, id_) == "canceled"
    assert stopped == [id_]


async def test_one_that_runs_is_canceled_stopped_and_told(
    world: World, deadlines: Deadlines, stopped: list[str]
) -> None:
    id_ = await due(world, 5)
    (claim,) = await world.claim()
    await world.advance(claim.hold, started=True)
    world.wait(5)
    await deadlines.once()
    assert await status(world, id_) == "canceled"
    assert stopped == [id_]
    found = await world.database.read(
        lambda tx: tx.rows("SELECT event FROM deliveries WHERE prediction_id = $1 ORDER BY number", id_)
    )
    assert [row[0] for row in found][-1] == "completed"


async def test_before_it_and_after_the_end_nothing_happens(
    world: World, deadlines: Deadlines, stopped: list[str]
) -> None:
    ended, waits = await due(world, 5), await due(world, 6)
    await world.cancel(ended)
    world.wait(5)
    await deadlines.once()
    assert await status(world, waits) == "starting"
    assert stopped == []


async def test_more_than_a_batch_at_once(world: World, deadlines: Deadlines) -> None:
    ids = [await due(world, 5) for _ in range(230)]
    world.wait(5)
    await deadlines.once()
    assert {await status(world, id_) for id_ in ids} == {"canceled"}


async def test_an_earlier_one_than_it_waits_for_wakes_it(
    world: World, deadlines: Deadlines, stopped: list[str]
) -> None:
    await due(world, 3600)
    running = asyncio.create_task(deadlines.run())
    try:
        await asyncio.sleep(0)
        id_ = await due(world, 5)
        world.wait(5)
        deadlines.expect(world.now)
        async with asyncio.timeout(10):
            while not stopped:  # noqa: ASYNC110 - turns of the loop are what is waited for
                await asyncio.sleep(0)
        assert stopped == [id_]
    finally:
        running.cancel()
