"""What the operator is told: written with the change it tells of, gathered, and taken until acknowledged."""

import json
from typing import Any

import pytest

from ringback.rules.attempt import Result
from ringback.rules.retry import SECOND
from ringback.store import notices, settlements
from ringback.store.attempts import Work
from ringback.store.database import Tx
from ringback.store.endpoints import Terms
from ringback.store.notices import News, Notice
from ringback.store.settlements import Settling
from store.crowd import crowd, endpoint, place
from store.outage import REFUSED
from store.world import BROKEN, GONE, LINKS, OK, ORIGIN, SHIPPED, World, hook

URL = f"{ORIGIN}/hook"
LEASE = 60 * SECOND
TELLING = Settling(SHIPPED, LINKS, Terms(tells=True))
DEAD = News("deliveries.dead", URL, ORIGIN, "answered 410", 1)


async def settle(world: World, work: Work, result: Result, settling: Settling = TELLING) -> None:
    await world.database.write(lambda tx: settlements.settle(tx, work, result, settling, 0.0, go_on=False))


async def fail(world: World, result: Result, settling: Settling = TELLING) -> None:
    """Five attempts that fail."""
    await crowd(world, 5)
    for work in (await world.lanes()).works:
        await settle(world, work, result, settling)


async def told(world: World) -> list[tuple[str, str, dict[str, Any], int, int]]:
    """Give each notice: what, of which, its data, how many, and microseconds until it is due."""
    rows = await world.rows(
        "SELECT type, subject, data, count, due_at FROM notices ORDER BY created_at, type"
    )
    return [
        (type_, subject, json.loads(data), count, due - world.now)
        for type_, subject, data, count, due in rows
    ]


async def take(world: World, limit: int = 100) -> list[Notice]:
    return await world.database.write(lambda tx: notices.take(tx, limit, LEASE))


async def add(world: World, news: News) -> None:
    await world.database.write(lambda tx: notices.add(tx, news))


@pytest.mark.parametrize(
    ("result", "subject", "diagnosis"),
    [(BROKEN, URL, "answered 503"), (REFUSED, ORIGIN, "connection refused")],
    ids=["endpoint", "origin"],
)
async def test_when_one_closes_and_when_it_opens_the_operator_is_told(
    world: World, result: Result, subject: str, diagnosis: str
) -> None:
    await fail(world, result)
    data = {"url": subject, "origin": ORIGIN, "diagnosis": diagnosis}
    assert await told(world) == [("endpoint.closed", subject, data | {"failures": 5}, 1, 0)]
    world.wait(1)
    await settle(world, await world.head(), OK)
    assert (await told(world))[1:] == [("endpoint.opened", subject, data | {"failing_for": 1}, 1, 0)]


async def test_an_origin_that_closes_for_its_urls_says_how_many_failed(world: World) -> None:
    for number in range(5):
        await crowd(world, 1, hook("completed", path=f"/job/{number}"))
    for work in (await world.lanes()).works:
        await settle(world, work, BROKEN)
    ((type_, subject, data, _, _),) = await told(world)
    assert (type_, subject, data["failures"]) == ("endpoint.closed", ORIGIN, 5)


async def test_probes_that_fail_tell_nothing_new(world: World) -> None:
    await fail(world, BROKEN)
    for gap in (1, 2, 4):
        world.wait(gap)
        await settle(world, await world.head(), BROKEN)
    assert len(await told(world)) == 1


async def test_a_notice_is_written_with_the_change_or_not_at_all(world: World) -> None:
    await crowd(world, 5)
    *works, last = (await world.lanes()).works
    for work in works:
        await settle(world, work, BROKEN)

    async def cut_off(tx: Tx) -> None:
        await settlements.settle(tx, last, BROKEN, TELLING, 0.0, go_on=False)
        assert await tx.rows("SELECT 1 FROM notices") != []
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await world.database.write(cut_off)
    found = await endpoint(world, place().endpoint)
    assert found is not None
    assert not found.health.is_closed
    assert await told(world) == []
    await settle(world, last, BROKEN)
    found = await endpoint(world, place().endpoint)
    assert found is not None
    assert found.health.is_closed
    assert len(await told(world)) == 1


@pytest.mark.parametrize("result", [BROKEN, GONE])
async def test_without_an_operators_webhook_nothing_is_written(world: World, result: Result) -> None:
    await fail(world, result, Settling(SHIPPED, LINKS))
    assert await told(world) == []
    found = await endpoint(world, place().endpoint)
    assert found is not None
    assert found.health.is_closed


async def test_deliveries_that_die_are_gathered_for_five_seconds(world: World) -> None:
    await crowd(world, 4)
    for work in (await world.lanes()).works:
        await settle(world, work, GONE)
        world.wait(1)
    data = {"url": URL, "origin": ORIGIN, "diagnosis": "answered 410"}
    assert await told(world) == [("deliveries.dead", ORIGIN, data, 4, SECOND)]
    assert await take(world) == []
    world.wait(1)
    (notice,) = await take(world)
    assert (notice.count, notice.attempts) == (4, 1)


async def test_what_dies_after_a_notice_was_taken_is_told_in_another(world: World) -> None:
    await add(world, DEAD)
    world.wait(5)
    (first,) = await take(world)
    await add(world, DEAD)
    await add(world, DEAD)
    world.wait(5)
    (second,) = await take(world)
    assert (first.count, second.count) == (1, 2)
    assert first.id != second.id


async def test_deaths_of_all_urls_of_an_origin_are_told_in_one_with_the_last_of_them(world: World) -> None:
    for number in range(300):
        await add(world, News("deliveries.dead", f"{ORIGIN}/job/{number}", ORIGIN, "answered 410", 1))
    data = {"url": f"{ORIGIN}/job/299", "origin": ORIGIN, "diagnosis": "answered 410"}
    assert await told(world) == [("deliveries.dead", ORIGIN, data, 300, 5 * SECOND)]


async def test_deaths_of_another_origin_are_told_for_themselves(world: World) -> None:
    await add(world, DEAD)
    await add(
        world, News("deliveries.dead", "https://other.example:443/", "https://other.example:443", "", 3)
    )
    assert {(subject, count) for _, subject, _, count, _ in await told(world)} == {
        (ORIGIN, 1),
        ("https://other.example:443", 3),
    }


async def test_what_closes_and_opens_is_taken_before_what_died_earlier(world: World) -> None:
    for number in range(4):
        origin = f"https://{number}.example:443"
        await add(world, News("deliveries.dead", f"{origin}/", origin, "answered 410", 1))
    world.wait(5)
    await add(world, News("endpoint.closed", URL, ORIGIN, "answered 503", 5))
    world.wait(1)
    await add(world, News("endpoint.opened", URL, ORIGIN, "answered 503", SECOND))
    taken = [[notice.type for notice in await take(world, 3)] for _ in range(2)]
    assert taken == [["endpoint.closed", "endpoint.opened", "deliveries.dead"], ["deliveries.dead"] * 3]


async def test_a_notice_that_was_taken_is_due_again_unless_it_is_removed(world: World) -> None:
    await add(world, DEAD)
    world.wait(5)
    (first,) = await take(world)
    assert await take(world) == []
    assert await world.database.read(notices.next_due) == world.now + LEASE
    world.wait(60)
    (second,) = await take(world)
    assert (second.id, second.data, second.attempts) == (first.id, first.data, 2)
    await world.database.write(lambda tx: notices.postpone(tx, second.id, world.now + 7))
    assert await world.database.read(notices.next_due) == world.now + 7
    await world.database.write(lambda tx: notices.remove(tx, second.id))
    assert await world.database.read(notices.next_due) is None


async def test_the_oldest_are_taken_first_and_no_more_than_asked_for(world: World) -> None:
    for number in range(5):
        await add(world, News("endpoint.closed", f"{ORIGIN}/{number}", ORIGIN, "answered 503", 5))
        world.wait(1)
    taken = [await take(world, 2) for _ in range(3)]
    assert [[notice.subject[-1] for notice in part] for part in taken] == [["0", "1"], ["2", "3"], ["4"]]


async def test_one_that_closes_and_opens_again_and_again_leaves_one_of_each_to_tell(world: World) -> None:
    for _ in range(3):
        await add(world, News("endpoint.closed", URL, ORIGIN, "answered 503", 5))
        world.wait(1)
        await add(world, News("endpoint.opened", URL, ORIGIN, "answered 503", SECOND))
        world.wait(10)
    counts = [(type_, count) for type_, _, _, count, _ in await told(world)]
    assert counts == [("endpoint.closed", 3), ("endpoint.opened", 3)]
