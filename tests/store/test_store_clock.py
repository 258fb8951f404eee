"""What was written under a clock that went ahead is found at the start, and brought back."""

import pytest

from ringback.rules.attempt import Result
from ringback.rules.retry import SECOND
from ringback.store import clock
from ringback.store.runs import Ending
from store.world import World, hook

HOUR = 3600 * SECOND
YEARS = 10 * 365 * 24 * HOUR
WRONG_BODY = Result("status", "answered 422", 422, "", 1000)  # it says nothing against the endpoint


async def latest(world: World) -> int:
    return await world.database.read(clock.latest)


async def bring_back(world: World, ahead: int) -> int:
    return await world.database.write(lambda tx: clock.bring_back(tx, ahead))


async def failed(world: World, retry_after: float | None = None) -> str:
    """A prediction whose `completed` has failed once, now."""
    hold = await world.running(hook("completed"))
    await world.end(hold, Ending("succeed"))
    result = WRONG_BODY
    if retry_after is not None:
        result = Result("status", "answered 422", 422, "", 1000, retry_after)
    await world.settle(await world.head(), result)
    return hold.id


async def due_in(world: World) -> float:
    """Seconds until the only lane is due."""
    (due,) = await world.row("SELECT due_at FROM lanes")
    return float(due - world.now) / SECOND


async def test_with_nothing_waiting_no_time_is_known(world: World) -> None:
    await world.create()
    assert await latest(world) == 0


async def test_the_last_attempt_of_what_waits_is_the_latest_time(world: World) -> None:
    await failed(world)
    at = world.now
    world.wait(-3600)
    assert await latest(world) == at


async def test_a_throttled_event_tells_the_time_too(world: World) -> None:
    hold = await world.running(hook("output"))
    await world.advance(hold, ("items", "[1]"))
    await world.advance(hold, ("items", "[2]"))
    at = world.now
    world.wait(-3600)
    assert at <= await latest(world) <= at + SECOND // 2


@pytest.mark.parametrize("retry_after", [None, 3600.0])
async def test_a_wait_keeps_what_was_left_of_it(world: World, retry_after: float | None) -> None:
    await failed(world, retry_after)
    left = await due_in(world)
    assert left == (retry_after or 5.0)
    world.wait(-YEARS / SECOND)
    assert await bring_back(world, await latest(world) - world.now) == 1
    assert await due_in(world) == left
    world.wait(left - 1e-6)
    assert (await world.lanes()).works == ()
    world.wait(1e-6)
    assert (await world.head()).attempt == 2


async def test_a_delivery_keeps_its_window(world: World) -> None:
    """Without that it would be tried for ten years."""
    id_ = await failed(world)
    world.wait(-YEARS / SECOND)
    await bring_back(world, await latest(world) - world.now)
    world.wait(86_400 - 1)
    await world.settle(await world.head(), WRONG_BODY)
    assert [status for _, _, status in await world.fates(id_)] == ["dead"]


async def test_what_is_behind_stays_as_it_is(world: World) -> None:
    await failed(world)
    world.wait(60)
    before = await world.dump()
    assert await bring_back(world, YEARS) == 0
    assert await world.dump() == before


async def test_the_next_start_finds_nothing_ahead_any_more(world: World) -> None:
    await failed(world)
    world.wait(-YEARS / SECOND)
    await bring_back(world, await latest(world) - world.now)
    assert await latest(world) <= world.now


async def test_an_endpoint_opens_as_it_would_have(world: World) -> None:
    hold = await world.running(hook("completed"))
    await world.end(hold, Ending("succeed"))
    await world.settle(await world.head(), Result("status", "answered 429", 429, "", 1000, 600.0))
    columns = "SELECT held_until, failing_since, failed_at, changed_at FROM endpoints WHERE account_id <> ''"
    then, held = world.now, await world.row(columns)
    world.wait(-YEARS / SECOND)
    await bring_back(world, await latest(world) - world.now)
    assert [at - world.now for at in await world.row(columns)] == [at - then for at in held]
