"""What /metrics reads from the store is so, and costs a few looks into indexes however much there is."""

from collections import Counter

import pytest

from ringback.rules.retry import SECOND
from ringback.store import gauges
from ringback.store.gauges import Gauges
from ringback.store.runs import Ending
from store.world import BROKEN, MODEL, OK, VERSION, World, hook

NEAR, FAR = "http://near.example:80", "http://far.example:80"


async def read(world: World) -> Gauges:
    return await world.database.read(gauges.read)


async def ended(world: World, origin: str) -> None:
    """A prediction whose `completed` is due now."""
    await world.end(await world.running(hook("completed", origin=origin)), Ending("succeed"))


async def register(world: World, version: str, model: str) -> None:
    await world.database.write(
        lambda tx: tx.run(
            "INSERT INTO versions (id, model, entry, openapi_schema, created_at, registered_at)"
            " VALUES ($1, $2, 'a.py:P', '{}', 0, 0)",
            version,
            model,
        )
    )


async def close(world: World, key: str) -> None:
    await world.database.write(
        lambda tx: tx.run(
            "INSERT INTO endpoints (key, account_id, url, origin, closed_at, changed_at)"
            " VALUES ($1, '', $1, $1, 5, 5)",
            key,
        )
    )


async def test_where_there_is_nothing_all_is_0(world: World) -> None:
    assert await read(world) == Gauges(0, 0, 0, 0, Counter())


async def test_the_oldest_is_told_from_when_it_was_due(world: World) -> None:
    await ended(world, NEAR)
    world.wait(30)
    await ended(world, FAR)
    world.wait(5)
    found = await read(world)
    assert (found.oldest_due_us, found.oldest_ready_us) == (35 * SECOND, 35 * SECOND)


async def test_what_waits_for_its_time_is_not_due(world: World) -> None:
    await ended(world, NEAR)
    await world.settle(await world.head(), BROKEN)
    world.wait(1)
    assert (await read(world)).oldest_due_us == 0


async def test_what_is_under_way_or_done_does_not_wait(world: World) -> None:
    await ended(world, NEAR)
    work = await world.head()
    world.wait(30)
    assert (await read(world)).oldest_due_us == 0
    await world.settle(work, OK)
    assert (await read(world)).oldest_due_us == 0


async def test_what_waits_for_a_closed_origin_is_due_and_not_ready(world: World) -> None:
    await ended(world, FAR)
    world.wait(100)
    await ended(world, NEAR)
    world.wait(1)
    await close(world, FAR)
    found = await read(world)
    assert (found.oldest_due_us, found.oldest_ready_us, found.closed) == (101 * SECOND, SECOND, 1)


async def test_what_stands_on_a_shelf_is_due_and_not_ready(world: World) -> None:
    await ended(world, NEAR)
    await world.database.write(lambda tx: tx.run("UPDATE lanes SET shelved = TRUE"))
    world.wait(7)
    found = await read(world)
    assert (found.oldest_due_us, found.oldest_ready_us) == (7 * SECOND, 0)


async def test_a_queue_holds_what_no_runner_has_taken(world: World) -> None:
    await register(world, VERSION, MODEL)
    await register(world, "cd" * 32, "test/other")
    for _ in range(5):
        await world.create()
    await world.claim(2)
    assert (await read(world)).queued == {MODEL: 3}
    await world.claim(3)
    assert (await read(world)).queued == {MODEL: 0}


async def test_the_versions_of_a_model_are_one_queue(world: World) -> None:
    older = "cd" * 32
    await register(world, VERSION, MODEL)
    await register(world, older, MODEL)
    await world.create()
    await world.create()
    await world.database.write(
        lambda tx: tx.run(
            "UPDATE predictions SET version_id = $1 WHERE id = (SELECT min(id) FROM predictions)", older
        )
    )
    assert (await read(world)).queued == {MODEL: 2}


@pytest.mark.parametrize("name", sorted(gauges.Q))
async def test_no_gauge_walks_over_a_table(world: World, name: str) -> None:
    """What is scanned is a recursion of its own or a bounded part; all else is found in an index."""
    sql = gauges.Q[name]
    parameters = [VERSION, 100] if "$2" in sql else [100] if "$1" in sql else []
    numbered = sql.replace("$", "?")
    steps = [str(row[3]) for row in await world.rows(f"EXPLAIN QUERY PLAN {numbered}", *parameters)]
    assert any("INDEX" in step for step in steps)
    for step in steps:
        words = step.split()
        if words[0] in ("SCAN", "SEARCH") and words[1] in ("lanes", "l", "p", "predictions", "endpoints"):
            assert "USING" in words, step
        if words[0] == "SCAN":
            assert words[1] in ("q", "w", "queue", "front") or "(subquery" in step, step
