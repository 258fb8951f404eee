"""Predictions in the store: each verb, its fence, and the deliveries that are written with it."""

import json

import pytest

from ringback.rules.prediction import Event, Move
from ringback.rules.snapshot import Facts
from ringback.store import predictions, runs, streams
from ringback.store.lanes import NOTHING
from ringback.store.runs import LOST, Ending
from ringback.store.subjects import Hold
from store.world import ACCOUNT, OK, ORIGIN, VERSION, World, hook


async def shown(world: World, id_: str) -> Facts:
    found = await world.database.read(lambda tx: predictions.get(tx, ACCOUNT, id_))
    assert found is not None
    return found[0]


async def test_a_prediction_is_created_starting_and_owes_nothing(world: World) -> None:
    id_ = await world.create(hook())
    facts = await shown(world, id_)
    assert (facts.status, facts.created_at, facts.started_at, facts.completed_at) == (
        *("starting", world.now),
        *(None, None),
    )
    assert await world.deliveries(id_) == []
    assert await world.rows("SELECT * FROM lanes") == []


async def test_only_its_account_sees_it(world: World) -> None:
    id_ = await world.create()
    assert await world.database.read(lambda tx: predictions.get(tx, "acct_2", id_)) is None
    with pytest.raises(LookupError):
        await world.database.write(lambda tx: runs.cancel(tx, "acct_2", id_, world.telling()))


async def test_the_oldest_is_claimed_first_and_by_one_only(world: World) -> None:
    ids = [await world.create() for _ in range(5)]
    first = await world.claim(2)
    second = await world.claim(10, holder="worker_2")
    assert [claim.hold for claim in first] == [Hold(id_, "worker_1", 1) for id_ in ids[:2]]
    assert [claim.hold for claim in second] == [Hold(id_, "worker_2", 1) for id_ in ids[2:]]
    assert await world.claim(10) == []


async def test_a_claim_is_of_one_version(world: World) -> None:
    await world.create()
    assert await world.claim(10, version="cd" * 32) == []
    assert len(await world.claim(10, version=VERSION)) == 1


async def test_what_is_handed_back_is_claimed_again_under_a_new_number(world: World) -> None:
    id_ = await world.create()
    (claim,) = await world.claim()
    await world.hand_back(claim.hold)
    (again,) = await world.claim(holder="worker_2")
    assert again.hold == Hold(id_, "worker_2", 2)


async def test_handing_back_late_takes_nothing_from_the_new_holder(world: World) -> None:
    await world.create()
    (claim,) = await world.claim()
    await world.hand_back(claim.hold)
    await world.claim(holder="worker_2")
    await world.hand_back(claim.hold)
    assert await world.claim(holder="worker_3") == []


async def test_the_start_is_told_once(world: World) -> None:
    hold = await world.running(hook())
    started_at = (await shown(world, hold.id)).started_at
    world.wait(1)
    await world.advance(hold, started=True)
    assert await world.fates(hold.id) == [(1, "start", "pending")]
    assert (await shown(world, hold.id)).started_at == started_at
    assert (await shown(world, hold.id)).status == "processing"


async def test_output_and_logs_are_appended_in_order_and_told_as_one_event(world: World) -> None:
    hold = await world.running(hook("output", "logs", "completed"))
    await world.advance(hold, ("logs", "a"), ("items", '["x"]'))
    world.wait(1)
    await world.advance(hold, ("items", '["y"]'))
    found = await world.database.read(lambda tx: predictions.get(tx, ACCOUNT, hold.id))
    assert found is not None
    assert found[1] == [("logs", "a"), ("items", '["x"]'), ("items", '["y"]')]
    assert await world.fates(hold.id) == [(1, "output", "pending")]


@pytest.mark.parametrize(
    ("move", "status", "error"),
    [("succeed", "succeeded", None), ("fail", "failed", "no"), ("cancel", "canceled", None)],
)
async def test_the_end_and_its_delivery_are_one_change(
    world: World, move: Move, status: str, error: str | None
) -> None:
    hold = await world.running(hook())
    world.wait(2)
    change = await world.end(hold, Ending(move, error, (("value", '"x"'),), predict_us=1_500_000))
    assert change.held
    facts = await shown(world, hold.id)
    assert (facts.status, facts.error, facts.completed_at) == (status, error, world.now)
    assert json.loads(facts.metrics) == {"predict_time": 1.5, "total_time": 2}
    assert (await world.fates(hold.id))[-1] == (2, "completed", "pending")
    assert await world.row("SELECT holder FROM predictions") == (None,)


async def test_an_end_quicker_than_the_record_of_its_start_owes_both(world: World) -> None:
    id_ = await world.create(hook())
    (claim,) = await world.claim()
    await world.end(claim.hold, Ending("succeed", started_at=world.now))
    assert await world.fates(id_) == [(1, "start", "pending"), (2, "completed", "pending")]
    assert (await shown(world, id_)).started_at == world.now
    work = await world.head()
    assert json.loads(work.body)["status"] == "processing"
    assert json.loads(work.body)["completed_at"] is None


async def test_success_without_a_start_is_no_move(world: World) -> None:
    await world.create(hook())
    (claim,) = await world.claim()
    before = await world.dump()
    assert await world.end(claim.hold, Ending("succeed")) == LOST
    assert await world.dump() == before


async def test_only_the_events_asked_for_are_written(world: World) -> None:
    hold = await world.running(hook("completed"))
    await world.advance(hold, ("items", '["x"]'), ("logs", "l"))
    await world.end(hold, Ending("succeed"))
    assert await world.fates(hold.id) == [(1, "completed", "pending")]


async def test_without_a_webhook_nothing_is_written(world: World) -> None:
    hold = await world.running()
    assert (await world.advance(hold, ("items", '["x"]'))).owed == NOTHING
    assert (await world.end(hold, Ending("succeed"))).owed == NOTHING
    assert await world.rows("SELECT * FROM lanes") == []


async def test_what_comes_with_the_end_is_one_event_when_completed_is_asked_for(world: World) -> None:
    hold = await world.running(hook("output", "completed"))
    await world.end(hold, Ending("succeed", chunks=(("value", '"x"'),)))
    assert await world.fates(hold.id) == [(1, "completed", "pending")]


async def test_without_completed_the_last_output_goes_out_with_the_final_snapshot(world: World) -> None:
    hold = await world.running(hook("output"))
    await world.advance(hold, ("items", '["x"]'))
    assert (await world.settle(await world.head(), OK)).due is None
    await world.advance(hold, ("items", '["y"]'))
    assert (await world.lanes()).works == ()
    await world.end(hold, Ending("succeed"))
    work = await world.head()
    assert (work.number, work.event) == (2, "output")
    assert json.loads(work.body)["status"] == "succeeded"
    assert json.loads(work.body)["output"] == ["x", "y"]


# Fences


async def late(world: World) -> Hold:
    """A hold that somebody else took over."""
    hold = await world.running(hook())
    await world.hand_back(hold)
    assert len(await world.claim(holder="worker_2")) == 1
    return hold


async def test_a_late_advance_changes_nothing(world: World) -> None:
    hold = await late(world)
    before = await world.dump()
    assert await world.advance(hold, ("items", '["late"]'), started=True) == LOST
    assert await world.dump() == before


async def test_a_late_end_changes_nothing(world: World) -> None:
    hold = await late(world)
    before = await world.dump()
    assert await world.end(hold, Ending("succeed", chunks=(("value", "1"),)), grant="dispatcher_1") == LOST
    assert await world.dump() == before


async def test_an_end_after_a_cancel_changes_nothing(world: World) -> None:
    hold = await world.running(hook())
    assert (await world.cancel(hold.id)).held
    before = await world.dump()
    assert await world.end(hold, Ending("succeed")) == LOST
    assert await world.advance(hold, ("logs", "x")) == LOST
    assert await world.dump() == before


# Cancel


async def test_a_queued_prediction_is_canceled_and_never_claimed(world: World) -> None:
    id_ = await world.create(hook())
    assert (await world.cancel(id_)).held
    facts = await shown(world, id_)
    assert (facts.status, facts.started_at, facts.completed_at) == ("canceled", None, world.now)
    assert await world.claim() == []
    assert await world.fates(id_) == [(1, "completed", "pending")]


async def test_a_running_prediction_is_canceled_with_the_time_it_ran(world: World) -> None:
    hold = await world.running(hook("completed"))
    world.wait(3)
    await world.cancel(hold.id)
    assert json.loads((await shown(world, hold.id)).metrics)["predict_time"] == 3


async def test_a_second_cancel_changes_nothing(world: World) -> None:
    id_ = await world.create(hook())
    await world.cancel(id_)
    before = await world.dump()
    world.wait(1)
    assert await world.cancel(id_) == LOST
    assert await world.dump() == before


async def test_a_clock_that_steps_back_makes_no_negative_times(world: World) -> None:
    hold = await world.running(hook("completed"))
    world.wait(-3600)
    await world.cancel(hold.id)
    assert json.loads((await shown(world, hold.id)).metrics) == {"predict_time": 0, "total_time": 0}


# The grant


async def test_a_lane_due_at_once_is_granted_in_the_same_transaction(world: World) -> None:
    hold = await world.running(hook("completed"))
    owed = (await world.end(hold, Ending("succeed"), grant="dispatcher_1")).owed
    assert owed.work is not None
    assert (owed.work.number, owed.work.attempt, owed.work.origin) == (1, 1, ORIGIN)
    assert await world.row("SELECT holder, fence FROM lanes") == ("dispatcher_1", owed.work.fence)
    assert (await world.lanes()).works == ()
    await world.settle(owed.work, OK)
    assert await world.fates(hold.id) == [(1, "completed", "delivered")]


async def test_a_lane_that_is_held_is_granted_to_nobody(world: World) -> None:
    hold = await world.running(hook())
    work = await world.head()
    owed = (await world.end(hold, Ending("succeed"), grant="dispatcher_2")).owed
    assert owed == NOTHING
    assert await world.row("SELECT holder, fence FROM lanes") == ("dispatcher_1", work.fence)


async def test_a_throttled_lane_is_left_free_and_its_time_is_told(world: World) -> None:
    hold = await world.running(hook("output"))
    first = (await world.advance(hold, ("items", "[1]"), grant="dispatcher_1")).owed
    assert first.work is not None
    await world.settle(first.work, OK)
    second = (await world.advance(hold, ("items", "[2]"), grant="dispatcher_1")).owed
    assert second.work is None
    assert second.due == world.now + 500_000
    assert await world.row("SELECT holder FROM lanes") == (None,)


@pytest.mark.parametrize("events", [("start",), ("output",), ("logs",), ("start", "logs")])
async def test_a_granted_body_is_the_one_that_an_ordinary_claim_gives(
    world: World, events: tuple[Event, ...]
) -> None:
    """The grant takes a shorter way to the body; it must lead to the same place."""
    bodies = []
    for grant in ("dispatcher_1", None):
        await world.create(hook(*events))
        (claim,) = await world.claim()
        change = await world.advance(claim.hold, ("logs", "l"), ("items", "[1]"), started=True, grant=grant)
        work = change.owed.work or await world.head()
        bodies.append(json.loads(work.body.replace(claim.hold.id.encode(), b"ID")))
    assert bodies[0] == bodies[1]


async def test_a_start_shows_no_output_even_if_both_are_written_at_once(world: World) -> None:
    await world.create(hook("start"))
    (claim,) = await world.claim()
    ending = Ending("succeed", chunks=(("value", '"x"'),), started_at=world.now)
    work = (await world.end(claim.hold, ending, grant="dispatcher_1")).owed.work
    assert work is not None
    assert json.loads(work.body)["status"] == "processing"
    assert json.loads(work.body)["output"] is None


async def test_a_look_of_a_stream_is_bounded_by_characters_and_by_chunks(world: World) -> None:
    hold = await world.running()
    sizes = [400_000, 500_000, 200_000, 2_500_000, 1, 2, 3]
    await world.advance(hold, *(("logs", "x" * size) for size in sizes))

    async def look(sequence: int, limit: int = 100) -> tuple[list[int], bool]:
        found = await world.database.read(lambda tx: streams.since(tx, hold.id, sequence, limit))
        assert found is not None
        assert [number for number, _ in found.chunks] == list(range(sequence, sequence + len(found.chunks)))
        return [len(data) for _, (_, data) in found.chunks], found.more

    assert await look(1) == ([400_000, 500_000], True)
    assert await look(3) == ([200_000], True)
    assert await look(4) == ([2_500_000], True)
    assert await look(5) == ([1, 2, 3], False)
    assert await look(5, limit=2) == ([1, 2], True)
    assert await look(7, limit=2) == ([3], False)
    assert await look(8) == ([], False)
