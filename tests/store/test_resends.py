"""Sending again: the same id and bytes, a window of its own, never backwards unless it is forced."""

from dataclasses import replace

import pytest

from ringback.rules.attempt import Result
from ringback.rules.retry import SECOND
from ringback.rules.snapshot import Links
from ringback.store import endpoints, resends
from ringback.store.attempts import Work
from ringback.store.lanes import NOTHING
from ringback.store.runs import Ending
from ringback.words.errors import Conflict, Gone, NotFound
from store.crowd import crowd, place
from store.outage import REFUSED, UNFIT, Outage
from store.world import ACCOUNT, BROKEN, GONE, LINKS, OK, World, busy, hook

HOUR = 3600
DAY = 24 * HOUR
ELSEWHERE = Links("http://another.example")


async def ended(world: World, path: str = "/hook") -> str:
    """A prediction that owes a `completed` and nothing else."""
    hold = await world.running(hook("completed", path=path))
    await world.end(hold, Ending("succeed", chunks=(("items", '["x","é"]'),)))
    return hold.id


async def sent(world: World, *results: Result, path: str = "/hook") -> Work:
    """A `completed` that has been attempted with these results, each at its time; give the last attempt."""
    id_ = await ended(world, path)
    for result in results:
        ((due,),) = await world.rows("SELECT due_at FROM lanes WHERE prediction_id = $1", id_)
        world.clock.now = max(world.now, due)
        (work,) = (await world.lanes()).works
        await world.settle(work, result)
    return work


async def superseded(world: World) -> str:
    """A prediction whose `start` failed and gave way to its `completed`, which nobody has tried yet."""
    hold = await world.running(hook("start", "completed"))
    await world.settle(await world.head(), BROKEN)
    world.wait(1)
    await world.end(hold, Ending("succeed"))
    assert [fate[2] for fate in await world.fates(hold.id)] == ["superseded", "pending"]
    return hold.id


async def again(
    world: World,
    id_: str,
    number: int = 1,
    *,
    force: bool = False,
    account: str = ACCOUNT,
    links: Links = LINKS,
) -> int:
    return await world.database.write(lambda tx: resends.resend(tx, account, id_, number, links, force=force))


async def refused(world: World, id_: str, number: int = 1, *, force: bool = False) -> str:
    """Ask in vain: nothing has changed; give what was said."""
    before = await world.dump()
    with pytest.raises(Conflict) as told:
        await again(world, id_, number, force=force)
    assert await world.dump() == before
    return str(told.value)


async def asked(world: World, id_: str) -> list[tuple[int, int, bool]]:
    """Give all attempts of a prediction: of which delivery, which one, and whether somebody asked for it."""
    rows = await world.rows(
        "SELECT number, attempt, asked FROM attempts WHERE prediction_id = $1 ORDER BY started_at, number",
        id_,
    )
    return [(number, attempt, bool(was_asked)) for number, attempt, was_asked in rows]


@pytest.mark.parametrize("results", [(OK,), (GONE,), (BROKEN, BROKEN, OK)], ids=["200", "410", "503 503 200"])
async def test_it_goes_with_the_same_id_and_bytes_as_the_next_attempt_and_says_that_it_was_asked_for(
    world: World, results: tuple[Result, ...]
) -> None:
    first = await sent(world, *results)
    world.wait(HOUR)
    assert await again(world, first.prediction_id) == world.now
    work = await world.head()
    assert (work.prediction_id, work.number, work.body) == (first.prediction_id, 1, first.body)
    assert (work.attempt, work.asked) == (len(results) + 1, True)
    await world.settle(work, OK)
    assert await world.fates(first.prediction_id) == [(1, "completed", "delivered")]
    tried = [(1, number, number > len(results)) for number in range(1, len(results) + 2)]
    assert await asked(world, first.prediction_id) == tried
    assert await world.rows("SELECT 1 FROM lanes") == []


async def test_a_dead_one_whose_window_was_over_has_a_new_one_and_its_schedule_begins_anew(
    world: World,
) -> None:
    id_ = await ended(world)
    await world.settle(await world.head(), UNFIT)
    world.wait(DAY + 1)
    await world.settle(await world.head(), UNFIT)
    assert await world.fates(id_) == [(1, "completed", "dead")]
    world.wait(2 * DAY)
    await again(world, id_)
    for wait in (5, 10, 20):
        owed = await world.settle(await world.head(), UNFIT)
        assert owed.due == world.now + wait * SECOND
        world.wait(wait)
    world.wait(DAY - 36)  # a second before the new window's end
    owed = await world.settle(await world.head(), UNFIT)
    assert owed.end == "dead"
    world.wait(HOUR)
    await again(world, id_)
    await world.settle(await world.head(), OK)
    assert await world.fates(id_) == [(1, "completed", "delivered")]


async def test_what_a_newer_event_has_overtaken_goes_only_if_it_is_forced(world: World) -> None:
    id_ = await superseded(world)
    await world.settle(await world.head(), OK)
    assert f"evt_{id_}_2, which is newer, has been sent" in await refused(world, id_)
    await again(world, id_, force=True)
    work = await world.head()
    assert (work.number, work.attempt, work.asked) == (1, 2, True)
    await world.settle(work, OK)
    assert [fate[2] for fate in await world.fates(id_)] == ["delivered", "delivered"]
    assert (await world.lanes()).works == ()


async def test_a_newer_event_that_waits_for_its_next_attempt_follows_what_was_forced(world: World) -> None:
    id_ = await superseded(world)
    await world.settle(await world.head(), BROKEN)
    world.wait(1)
    await refused(world, id_)
    await again(world, id_, force=True)
    first = await world.head()
    assert first.number == 1
    await world.settle(first, BROKEN)  # it gives way to the newer one, as ever
    assert [fate[2] for fate in await world.fates(id_)] == ["superseded", "pending"]
    world.wait(4)
    second = await world.head()
    assert (second.number, second.attempt) == (2, 2)
    await world.settle(second, OK)
    assert await asked(world, id_) == [(1, 1, False), (2, 1, False), (1, 2, True), (2, 2, False)]


async def test_before_a_newer_event_that_nobody_has_seen_it_goes_without_force(world: World) -> None:
    id_ = await superseded(world)
    await again(world, id_)
    first = await world.head()
    owed = await world.settle(first, OK, go_on=True)
    assert first.number == 1
    assert owed.work is not None
    assert owed.work.number == 2


async def test_one_that_waits_for_its_next_attempt_is_tried_at_once(world: World) -> None:
    first = await sent(world, BROKEN, BROKEN)
    assert (await world.lanes()).works == ()
    await again(world, first.prediction_id)
    work = await world.head()
    assert (work.attempt, work.body, work.asked) == (3, first.body, True)


@pytest.mark.parametrize("result", [BROKEN, REFUSED], ids=["endpoint", "origin"])
async def test_one_that_waits_at_a_closed_endpoint_is_the_probe_and_goes_at_once(
    world: World, result: Result
) -> None:
    outage = Outage(world)
    await outage.owing(5)
    await outage.claim()
    await outage.answer(lambda _work: result)
    (first, second, _third) = await crowd(world, 3)
    assert await outage.claim() == []
    world.wait(0.1)
    await again(world, second)
    (work,) = await outage.claim()
    assert (work.prediction_id, work.asked) == (second, True)
    assert first not in {work.prediction_id for work in outage.flying}


async def test_a_retry_after_still_holds_what_is_asked_for(world: World) -> None:
    first = await sent(world, busy(300))
    await again(world, first.prediction_id)
    assert (await world.lanes()).works == ()
    world.wait(299)
    assert (await world.lanes()).works == ()
    world.wait(1)
    assert (await world.head()).attempt == 2


async def test_while_an_attempt_of_its_prediction_is_in_flight_it_is_refused(world: World) -> None:
    id_ = await superseded(world)
    await world.head()
    assert "in flight" in await refused(world, id_, 1, force=True)
    assert "in flight" in await refused(world, id_, 2, force=True)


async def test_at_a_paused_endpoint_it_is_refused(world: World) -> None:
    first = await sent(world, OK)
    await world.database.write(lambda tx: endpoints.pause(tx, place()))
    assert "paused" in await refused(world, first.prediction_id)


async def test_of_another_account_or_of_no_event_there_is_none(world: World) -> None:
    first = await sent(world, OK)
    before = await world.dump()
    for id_, number, account in [
        (first.prediction_id, 1, "acct_2"),
        (first.prediction_id, 2, ACCOUNT),
        ("none", 1, ACCOUNT),
    ]:
        with pytest.raises(NotFound):
            await again(world, id_, number, account=account)
    assert await world.dump() == before


@pytest.mark.parametrize("result", [OK, GONE], ids=["200", "410"])
async def test_once_its_data_is_removed_it_is_gone(world: World, result: Result) -> None:
    first = await sent(world, result)
    await world.database.write(lambda tx: tx.run("UPDATE predictions SET data_removed = TRUE"))
    with pytest.raises(Gone, match="removed when its time was over"):
        await again(world, first.prediction_id)


async def test_what_can_not_be_made_into_the_same_bytes_again_is_gone(world: World) -> None:
    first = await sent(world, OK)
    before = await world.dump()
    with pytest.raises(Gone, match="same bytes"):
        await again(world, first.prediction_id, links=ELSEWHERE)
    assert await world.dump() == before


async def test_what_was_sent_before_there_were_streams_is_sent_with_the_same_bytes(world: World) -> None:
    first = await sent(world, OK)  # rendered without a key, so without a stream's URL
    await again(world, first.prediction_id, links=replace(LINKS, key=b"k" * 32))
    assert (await world.head()).body == first.body


async def test_a_dead_one_has_kept_its_bytes_whatever_the_public_url_is_now(world: World) -> None:
    first = await sent(world, GONE)
    await again(world, first.prediction_id, links=ELSEWHERE)
    assert (await world.head()).body == first.body


async def test_a_late_outcome_of_a_lanes_former_life_changes_nothing(world: World) -> None:
    ghost = await _overtaken(world)
    await again(world, ghost.prediction_id)
    work = await world.head()
    assert work.holder == ghost.holder
    before = await world.dump()
    assert await world.settle(ghost, GONE) == NOTHING
    assert await world.dump() == before
    await world.settle(work, OK)
    assert await world.fates(ghost.prediction_id) == [(1, "completed", "delivered")]


async def _overtaken(world: World) -> Work:
    """An attempt whose outcome is late: its lane has been settled and removed meanwhile."""
    await ended(world)
    work = await world.head()
    await world.settle(work, OK)
    assert await world.rows("SELECT 1 FROM lanes") == []
    return work


async def test_events_of_a_prediction_that_goes_on_come_after_what_is_sent_again(world: World) -> None:
    hold = await world.running(hook("start", "completed"))
    await world.settle(await world.head(), OK)
    await again(world, hold.id)
    await world.settle(await world.head(), OK)
    await world.end(hold, Ending("succeed"))
    work = await world.head()
    assert (work.number, work.event, work.asked) == (2, "completed", False)
