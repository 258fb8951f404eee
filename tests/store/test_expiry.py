"""What nobody tried while its endpoint was closed: given up when its time is over, and it says so."""

import pytest

from ringback.deliver.housekeeping import tidy
from ringback.rules.attempt import Result
from ringback.rules.retry import SECOND
from ringback.store import endpoints, resends
from ringback.store.runs import Ending
from store.crowd import closed, crowd, given_up, place, well
from store.outage import REFUSED, Outage
from store.world import ACCOUNT, BROKEN, LINKS, OK, ORIGIN, World, busy, hook

DAY = 24 * 3600
A_MOMENT = 0.000_001
WINDOW_S = 86400.0
OTHER = "http://b.example:80"


async def failing(world: World, result: Result, path: str = "/hook", origin: str = ORIGIN) -> Outage:
    """Five deliveries fail there, so that it, or its origin, is closed."""
    outage = Outage(world)
    await crowd(world, 5, hook("completed", origin=origin, path=path))
    await outage.claim()
    await outage.answer(lambda _work: result)
    return outage


async def reason(world: World, id_: str, number: int = 1) -> str | None:
    sql = "SELECT reason FROM deliveries WHERE prediction_id = $1 AND number = $2"
    told: str | None = (await world.row(sql, id_, number))[0]
    return told


@pytest.mark.parametrize(
    ("result", "last"),
    [(BROKEN, "answered 503"), (REFUSED, "connection refused")],
    ids=["endpoint", "origin"],
)
async def test_what_nobody_tried_is_dead_exactly_after_its_window_and_says_why(
    world: World, result: Result, last: str
) -> None:
    outage = await failing(world, result)
    (id_,) = await crowd(world, 1)
    assert await outage.claim() == []
    world.wait(DAY - A_MOMENT)
    assert await given_up(world) == [0]
    world.wait(A_MOMENT)
    assert await given_up(world) == [1, 0]
    assert await world.fates(id_) == [(1, "completed", "dead")]
    assert await reason(world, id_) == f"not tried: endpoint failing since 2023-11-14T22:13:20Z, last: {last}"
    assert await world.rows("SELECT 1 FROM lanes WHERE prediction_id = $1", id_) == []


async def test_what_was_tried_before_says_that_it_was_not_tried_again(world: World) -> None:
    outage = await failing(world, BROKEN)
    world.wait(DAY + 5)
    assert await given_up(world) == [5, 0]
    told = await reason(world, outage.made[0][1].prediction_id)
    assert told == "not tried again: endpoint failing since 2023-11-14T22:13:20Z, last: answered 503"


@pytest.mark.parametrize("result", [BROKEN, REFUSED], ids=["endpoint", "origin"])
async def test_what_was_given_up_can_be_sent_again(world: World, result: Result) -> None:
    outage = await failing(world, result)
    (id_,) = await crowd(world, 1)
    await outage.claim()
    world.wait(DAY)
    await given_up(world)
    await world.database.write(lambda tx: resends.resend(tx, ACCOUNT, id_, 1, LINKS, force=False))
    assert await given_up(world) == [0]
    (work,) = await outage.claim()
    assert (work.prediction_id, work.attempt, work.asked) == (id_, 1, True)
    await outage.settle(work, OK)
    assert await world.fates(id_) == [(1, "completed", "delivered")]
    assert await reason(world, id_) is None


async def test_what_somebody_has_asked_for_is_not_given_up_with_those_before_which_it_was_put(
    world: World,
) -> None:
    outage = await failing(world, BROKEN)
    first, second = await crowd(world, 2)
    await outage.claim()
    world.wait(DAY - 1)
    await world.database.write(lambda tx: resends.resend(tx, ACCOUNT, second, 1, LINKS, force=False))
    world.wait(1)
    assert sum(await given_up(world)) == 1
    assert await world.fates(first) == [(1, "completed", "dead")]
    assert await world.fates(second) == [(1, "completed", "pending")]
    (work,) = await outage.claim()
    assert work.prediction_id == second


async def test_where_the_endpoint_is_open_nothing_is_given_up(world: World) -> None:
    await crowd(world, 3)  # nobody claims: the server was off
    world.wait(5 * DAY)
    assert await given_up(world) == [0]
    await Outage(world).run(lambda _work: OK, 2)
    assert await world.rows("SELECT 1 FROM deliveries WHERE status <> 'delivered'") == []


@pytest.mark.parametrize("closes", [False, True], ids=["open", "closed"])
async def test_where_the_endpoint_is_paused_nothing_is_given_up(world: World, closes: bool) -> None:
    if closes:
        await closed(world, place())
    await world.database.write(lambda tx: endpoints.pause(tx, place()))
    await crowd(world, 3)
    await world.lanes()
    world.wait(5 * DAY)
    assert await given_up(world) == [0]
    assert await Outage(world).waiting() == 3


async def test_where_a_retry_after_holds_the_endpoint_nothing_is_given_up(world: World) -> None:
    outage = Outage(world)
    await outage.owing()
    await outage.claim()
    await outage.answer(lambda _work: busy(DAY))
    await crowd(world, 3)
    await outage.claim()
    world.wait(DAY)
    assert await given_up(world) == [0]
    await outage.run(lambda _work: OK, 2)
    assert await outage.waiting() == 0


@pytest.mark.parametrize("shelves", [False, True], ids=["before a claim", "after it"])
async def test_behind_an_origin_that_is_down_a_paused_endpoint_keeps_what_it_has(
    world: World, shelves: bool
) -> None:
    await world.database.write(lambda tx: endpoints.pause(tx, place("/paused")))
    (paused,) = await crowd(world, 1, hook("completed", path="/paused"))
    if shelves:
        await world.lanes()
    await failing_origin(world)
    (other,) = await crowd(world, 1)
    world.wait(DAY + 1)
    await given_up(world)
    assert await world.fates(other) == [(1, "completed", "dead")]
    assert await world.fates(paused) == [(1, "completed", "pending")]


async def failing_origin(world: World) -> None:
    health = await closed(world, place("/none"))
    origin = endpoints.Endpoint(ORIGIN, "", ORIGIN, ORIGIN, None, health)
    await world.database.write(lambda tx: endpoints.save(tx, origin))
    await well(world, place("/none"))


async def test_at_another_origin_nothing_is_given_up(world: World) -> None:
    await failing_origin(world)
    (id_,) = await crowd(world, 1, hook("completed", origin=OTHER))
    world.wait(DAY + 1)
    assert await given_up(world) == [0]
    assert await world.fates(id_) == [(1, "completed", "pending")]


@pytest.mark.parametrize("result", [BROKEN, REFUSED], ids=["endpoint", "origin"])
async def test_a_lane_that_owes_more_goes_on_to_the_next(world: World, result: Result) -> None:
    outage = await failing(world, result)
    hold = await world.running(hook("start", "completed"))
    await outage.claim()
    world.wait(DAY / 2)
    await world.end(hold, Ending("succeed"))
    await outage.world.database.write(
        lambda tx: tx.run("UPDATE endpoints SET not_before = $1", tx.now + SECOND)
    )
    await outage.claim()
    world.wait(DAY / 2)
    await given_up(world)
    assert [fate[2] for fate in await world.fates(hold.id)] == ["dead", "pending"]
    world.wait(DAY / 2 - A_MOMENT)
    await given_up(world)
    assert [fate[2] for fate in await world.fates(hold.id)] == ["dead", "pending"]
    world.wait(A_MOMENT)
    await given_up(world)
    assert [fate[2] for fate in await world.fates(hold.id)] == ["dead", "dead"]
    assert await world.rows("SELECT 1 FROM lanes WHERE prediction_id = $1", hold.id) == []


async def test_a_prediction_that_still_runs_tells_its_later_events_all_the_same(world: World) -> None:
    await closed(world, place())
    hold = await world.running(hook("start", "completed"))
    await world.lanes()
    world.wait(DAY)
    assert await given_up(world) == [1, 0]
    await well(world, place())
    await world.end(hold, Ending("succeed"))
    await Outage(world).run(lambda _work: OK, 3)
    assert [fate[2] for fate in await world.fates(hold.id)] == ["dead", "delivered"]


@pytest.mark.parametrize("is_origin", [False, True], ids=["endpoint", "origin"])
async def test_a_thousand_of_them_are_given_up_in_small_steps(world: World, is_origin: bool) -> None:
    await (failing_origin(world) if is_origin else closed(world, place()))
    await crowd(world, 1000)
    for _ in range(8):
        await world.lanes()
    world.wait(DAY)
    steps = await given_up(world)
    assert sum(steps) == 1000
    assert max(steps) <= 64
    assert await world.rows("SELECT 1 FROM lanes") == []


async def test_a_round_of_housekeeping_gives_up_all_of_all_endpoints(world: World) -> None:
    for number in range(20):
        await closed(world, place(f"/job/{number}"))
        await crowd(world, 70 if number == 10 else 2, hook("completed", path=f"/job/{number}"))
    for _ in range(4):
        await world.lanes()
    world.wait(DAY)
    assert await tidy(world.database, WINDOW_S, tells=True) == 108
    assert await Outage(world).waiting() == 0
    rows = await world.rows("SELECT subject, count FROM notices WHERE type = 'deliveries.dead'")
    assert [count for _, count in rows] == [19 * 2 + 70]  # all of one origin: one notice


async def test_without_an_operators_webhook_nothing_is_written_for_it(world: World) -> None:
    await closed(world, place())
    await crowd(world, 1)
    await world.lanes()
    world.wait(DAY)
    assert await tidy(world.database, WINDOW_S, tells=False) == 1
    assert await world.rows("SELECT 1 FROM notices") == []
