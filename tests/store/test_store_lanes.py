"""Lanes in the store: throttled, merged, superseded, attempted, settled; and who comes too late."""

import hashlib
import json

import pytest

from ringback.rules.retry import SECOND
from ringback.store import accounts
from ringback.store.database import Tx
from ringback.store.lanes import NOTHING, Owed
from ringback.store.runs import Ending
from store.world import ACCOUNT, BROKEN, GONE, OK, ORIGIN, World, busy, hook

DAY = 86400


async def ended(world: World) -> str:
    """A prediction that owes a `completed` and nothing else."""
    hold = await world.running(hook("completed"))
    await world.end(hold, Ending("succeed", chunks=(("value", '"x"'),)))
    return hold.id


async def test_the_throttle_lets_one_through_and_holds_the_next_until_its_time(world: World) -> None:
    hold = await world.running(hook("output"))
    await world.advance(hold, ("items", "[1]"))
    await world.settle(await world.head(), OK)
    world.wait(0.2)
    await world.advance(hold, ("items", "[2]"))
    world.wait(0.2)
    await world.advance(hold, ("items", "[3]"))
    world.wait(0.099_999)
    early = await world.lanes()
    assert early.works == ()
    assert early.later == ((ORIGIN, world.now + 1),)
    world.wait(0.000_001)
    work = await world.head()
    assert (work.number, json.loads(work.body)["output"]) == (2, [1, 2, 3])
    assert await world.fates(hold.id) == [(1, "output", "delivered"), (2, "output", "pending")]


async def test_a_clock_that_steps_back_delays_and_loses_nothing(world: World) -> None:
    hold = await world.running(hook("output", "completed"))
    await world.advance(hold, ("items", "[1]"))
    await world.settle(await world.head(), OK)
    world.wait(-3600)
    await world.advance(hold, ("items", "[2]"))
    assert (await world.lanes()).works == ()
    await world.end(hold, Ending("succeed"))
    assert (await world.head()).event == "completed"


async def test_an_attempted_output_keeps_its_body_and_the_newer_one_is_another_event(world: World) -> None:
    hold = await world.running(hook("output"))
    await world.advance(hold, ("items", "[1]"))
    first = await world.head()
    world.wait(1)
    await world.advance(hold, ("items", "[2]"))
    assert await world.fates(hold.id) == [(1, "output", "pending"), (2, "output", "pending")]
    owed = await world.settle(first, BROKEN)
    assert await world.fates(hold.id) == [(1, "output", "superseded"), (2, "output", "pending")]
    assert owed.due is not None
    work = await world.head()
    assert (work.number, json.loads(work.body)["output"]) == (2, [1, 2])


async def test_a_failed_head_that_waits_is_superseded_when_something_newer_happens(world: World) -> None:
    hold = await world.running(hook())
    await world.settle(await world.head(), BROKEN)
    assert (await world.lanes()).works == ()
    await world.advance(hold, ("items", "[1]"))
    assert await world.fates(hold.id) == [(1, "start", "superseded"), (2, "output", "pending")]
    assert (await world.head()).number == 2


async def test_the_end_supersedes_what_was_throttled(world: World) -> None:
    hold = await world.running(hook("output", "completed"))
    await world.advance(hold, ("items", "[1]"))
    await world.settle(await world.head(), OK)
    await world.advance(hold, ("items", "[2]"))
    await world.end(hold, Ending("succeed"))
    assert await world.fates(hold.id) == [
        (1, "output", "delivered"),
        (2, "output", "superseded"),
        (3, "completed", "pending"),
    ]


async def test_only_the_head_is_attempted_and_the_next_follows_it(world: World) -> None:
    hold = await world.running(hook())
    await world.end(hold, Ending("succeed"))
    work = await world.head()
    assert work.event == "start"
    assert (await world.lanes()).works == ()
    owed = await world.settle(work, OK, go_on=True)
    assert owed.work is not None
    assert (owed.work.event, owed.work.fence) == ("completed", work.fence + 1)
    assert (await world.settle(owed.work, OK, go_on=True)) == Owed(end="delivered")
    assert await world.rows("SELECT * FROM lanes") == []  # the last delivery took the closed lane with it


async def test_without_going_on_the_lane_is_free_for_anybody(world: World) -> None:
    hold = await world.running(hook())
    await world.end(hold, Ending("succeed"))
    owed = await world.settle(await world.head(), OK, go_on=False)
    assert owed.work is None
    assert owed.due is not None
    (work,) = (await world.lanes(holder="dispatcher_2")).works
    assert (work.event, work.holder) == ("completed", "dispatcher_2")


async def test_the_body_is_frozen_at_the_first_attempt(world: World) -> None:
    id_ = await ended(world)
    first = await world.head()
    await world.settle(first, BROKEN)
    await world.database.write(lambda tx: tx.run("UPDATE predictions SET input = '{}', model = 'a/b'"))
    world.wait(10)
    second = await world.head()
    assert second.body == first.body
    assert (first.attempt, second.attempt) == (1, 2)
    (delivery,) = await world.deliveries(id_)
    assert delivery.digest == hashlib.sha256(first.body).hexdigest()
    assert delivery.length == len(first.body)


async def test_a_delivered_body_is_dropped_and_its_digest_kept(world: World) -> None:
    await ended(world)
    work = await world.head()
    await world.settle(work, OK)
    digest = hashlib.sha256(work.body).hexdigest()
    assert await world.row("SELECT body, digest, length FROM deliveries") == (None, digest, len(work.body))


async def test_a_retry_is_due_when_the_schedule_says(world: World) -> None:
    await ended(world)
    for wait in (5, 10, 20):
        owed = await world.settle(await world.head(), BROKEN)
        assert owed.due == world.now + wait * SECOND
        world.wait(wait - 0.000_001)
        assert (await world.lanes()).works == ()
        world.wait(0.000_001)


async def test_retry_after_holds_back_whatever_happens_meanwhile(world: World) -> None:
    hold = await world.running(hook())
    await world.settle(await world.head(), busy(60.0))
    await world.end(hold, Ending("succeed"))
    world.wait(59.9)
    assert (await world.lanes()).works == ()
    world.wait(0.1)
    assert (await world.head()).event == "completed"


async def test_a_delivery_that_could_not_be_tried_for_days_still_has_its_whole_window(world: World) -> None:
    id_ = await ended(world)
    world.wait(3 * DAY)
    assert (await world.settle(await world.head(), BROKEN)).end is None
    world.wait(DAY - 1)
    assert (await world.settle(await world.head(), OK)).end == "delivered"
    assert await world.fates(id_) == [(1, "completed", "delivered")]


async def test_after_the_window_a_delivery_is_dead_with_its_body_kept(world: World) -> None:
    id_ = await ended(world)
    await world.settle(await world.head(), BROKEN)
    world.wait(DAY)
    work = await world.head()
    owed = await world.settle(work, BROKEN)
    assert (owed.work, owed.due, owed.end) == (None, None, "dead")
    assert await world.fates(id_) == [(1, "completed", "dead")]
    assert await world.row("SELECT body FROM deliveries") == (work.body.decode(),)
    world.wait(DAY)
    assert (await world.lanes()).works == ()


async def test_410_is_the_end_at_once_and_what_follows_is_still_tried(world: World) -> None:
    hold = await world.running(hook())
    await world.end(hold, Ending("succeed"))
    await world.settle(await world.head(), GONE)
    assert await world.fates(hold.id) == [(1, "start", "dead"), (2, "completed", "pending")]
    await world.settle(await world.head(), GONE)
    assert (await world.fates(hold.id))[1] == (2, "completed", "dead")


async def test_each_attempt_is_recorded(world: World) -> None:
    id_ = await ended(world)
    begun = []
    for result in (BROKEN, busy(7.0), OK):
        begun.append(world.now)
        await world.settle(await world.head(), result)
        world.wait(20)
    found = await world.attempts(id_)
    assert [(item.number, item.attempt, item.started_at, item.status) for item in found] == [
        (1, 1, begun[0], 503),
        (1, 2, begun[1], 429),
        (1, 3, begun[2], 200),
    ]
    assert [item.diagnosis for item in found] == ["answered 503", "answered 429", ""]


async def test_settling_twice_changes_nothing_the_second_time(world: World) -> None:
    await ended(world)
    work = await world.head()
    await world.settle(work, BROKEN)
    before = await world.dump()
    assert await world.settle(work, OK) == NOTHING
    assert await world.dump() == before


async def test_settling_after_somebody_else_took_over_changes_nothing(world: World) -> None:
    await ended(world)
    late = await world.head()
    await world.settle(late, BROKEN)
    world.wait(5)
    (work,) = (await world.lanes(holder=late.holder)).works  # the same name: only the fence tells them apart
    before = await world.dump()
    assert await world.settle(late, OK, go_on=True) == NOTHING
    assert await world.dump() == before
    await world.settle(work, OK)


@pytest.mark.parametrize("overlap_s", [0.0, 60.0])
async def test_during_a_rotation_both_secrets_sign(world: World, overlap_s: float) -> None:
    old = (await world.database.read(lambda tx: accounts.secret(tx, ACCOUNT)),)
    await world.database.write(
        lambda tx: accounts.rotate(tx, ACCOUNT, secret_id="secret_2", key="whsec_bmV3", overlap_s=overlap_s)
    )
    await ended(world)
    work = await world.head()
    assert work.secrets == ("whsec_bmV3", *(old if overlap_s else ()))
    await world.settle(work, BROKEN)
    world.wait(60)
    assert (await world.head()).secrets == ("whsec_bmV3",)


async def test_a_rotation_and_a_claim_in_one_commit_sign_with_the_new_secret(world: World) -> None:
    await ended(world)

    async def rotated_between(tx: Tx) -> tuple[str, ...]:
        before = await accounts.live_secrets(tx, ACCOUNT)
        await accounts.rotate(tx, ACCOUNT, secret_id="secret_2", key="whsec_bmV3", overlap_s=9)
        return (await accounts.live_secrets(tx, ACCOUNT))[:1] + before

    found = await world.database.write(rotated_between)
    assert found == ("whsec_bmV3", "whsec_c2VjcmV0")
