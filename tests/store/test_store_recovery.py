"""After kill -9: what a dead holder had is taken over, once, and by the rules."""

import json
from typing import Literal

import pytest

from ringback.rules.prediction import INTERRUPTED
from ringback.store import predictions, runs, settlements, streams
from ringback.store.runs import LOST, Ending
from store.world import ACCOUNT, BROKEN, MODEL, OK, World, hook


async def recover(world: World, holder: str = "worker_2", rerun: str = "unpublished") -> dict[str, int]:
    """As a new server does it: lanes first."""
    telling = world.telling()
    await world.database.write(lambda tx: settlements.recover(tx, holder))
    return await world.database.write(lambda tx: runs.recover(tx, holder, {MODEL: rerun}, telling))


async def shown(world: World, id_: str) -> dict[str, object]:
    columns = ("status", "error", "interruptions", "holder")
    return dict(
        zip(
            columns,
            await world.row(f"SELECT {', '.join(columns)} FROM predictions WHERE id = $1", id_),
            strict=True,
        )
    )


async def chunks(world: World, id_: str) -> list[tuple[str, str]]:
    found = await world.database.read(lambda tx: predictions.get(tx, ACCOUNT, id_))
    assert found is not None
    return found[1]


async def test_what_was_claimed_and_not_begun_goes_back_as_if_never_claimed(world: World) -> None:
    id_ = await world.create(hook())
    await world.claim()
    assert await recover(world, rerun="never") == {"release": 1, "again": 0, "fail": 0}
    assert await shown(world, id_) == {
        "status": "starting",
        "error": None,
        "interruptions": 0,
        "holder": None,
    }
    (claim,) = await world.claim(holder="worker_2")
    assert claim.hold.run == 2


async def test_what_nobody_has_seen_runs_again_from_the_beginning(world: World) -> None:
    hold = await world.running(hook())
    await world.settle(await world.head(), OK)  # the start, which is no output
    await world.advance(hold, ("items", "[1]"), ("logs", "first run\n"))
    assert await recover(world) == {"release": 0, "again": 1, "fail": 0}
    assert await chunks(world, hold.id) == []
    assert await world.fates(hold.id) == [(1, "start", "delivered")]
    (claim,) = await world.claim(holder="worker_2")
    assert claim.status == "processing"
    await world.advance(claim.hold, ("items", "[2]"), started=True)
    assert await world.fates(hold.id) == [(1, "start", "delivered"), (3, "output", "pending")]
    world.wait(1)
    work = await world.head()
    assert (json.loads(work.body)["output"], json.loads(work.body)["logs"]) == ([2], "")


async def test_the_dead_workers_run_is_fenced_off(world: World) -> None:
    hold = await world.running(hook())
    await recover(world)
    before = await world.dump()
    assert await world.advance(hold, ("items", "[1]")) == LOST
    assert await world.end(hold, Ending("succeed")) == LOST
    assert await world.dump() == before


@pytest.mark.parametrize("kind", ["items", "logs"])
async def test_what_somebody_has_seen_fails_with_the_code_pa(
    world: World, kind: Literal["items", "logs"]
) -> None:
    hold = await world.running(hook("output", "logs", "completed"))
    await world.advance(hold, (kind, "[1]"))
    await world.settle(await world.head(), BROKEN)  # it was sent: that it was refused proves nothing
    assert await recover(world) == {"release": 0, "again": 0, "fail": 1}
    assert (await shown(world, hold.id))["error"] == INTERRUPTED
    work = await world.head()
    assert (work.event, json.loads(work.body)["error"]) == ("completed", INTERRUPTED)
    assert await chunks(world, hold.id) == [(kind, "[1]")]


async def test_what_was_in_flight_at_the_kill_counts_as_seen(world: World) -> None:
    hold = await world.running(hook("output", "completed"))
    await world.advance(hold, ("items", "[1]"))
    await world.head()
    assert (await recover(world))["fail"] == 1


async def test_a_second_interruption_fails(world: World) -> None:
    hold = await world.running(hook("completed"))
    assert (await recover(world))["again"] == 1
    (claim,) = await world.claim(holder="worker_2")
    await world.advance(claim.hold, started=True)
    assert (await recover(world, "worker_3"))["fail"] == 1
    assert (await shown(world, hold.id))["status"] == "failed"


async def test_a_claim_lost_before_it_was_begun_is_no_interruption(world: World) -> None:
    hold = await world.running(hook("completed"))
    await world.claim()
    await recover(world)
    for number in range(3):
        (claim,) = await world.claim(holder=f"worker_{number}")
        await world.hand_back(claim.hold)
    assert (await shown(world, hold.id))["interruptions"] == 1


@pytest.mark.parametrize(
    ("policy", "published", "becomes"),
    [
        ("never", False, "fail"),
        ("never", True, "fail"),
        ("unpublished", False, "again"),
        ("unpublished", True, "fail"),
        ("always", False, "again"),
        ("always", True, "again"),
    ],
)
async def test_the_models_policy_decides(world: World, policy: str, published: bool, becomes: str) -> None:
    hold = await world.running(hook("output", "completed"))
    await world.advance(hold, ("items", "[1]"))
    if published:
        await world.settle(await world.head(), OK)
    assert (await recover(world, rerun=policy))[becomes] == 1


async def test_the_living_keep_what_they_have(world: World) -> None:
    hold = await world.running(hook())
    work = await world.head()
    before = await world.dump()
    await recover(world, holder="worker_1")  # the dispatcher is another holder: its lane is freed
    await world.settle(work, OK)
    assert (await world.advance(hold, ("items", "[1]"))).held
    assert before["predictions"] == (await world.dump())["predictions"]


async def test_recovering_twice_is_recovering_once(world: World) -> None:
    hold = await world.running(hook())
    await world.head()
    await recover(world)
    before = await world.dump()
    assert await recover(world, "worker_3") == {"release": 0, "again": 0, "fail": 0}
    assert await world.dump() == before
    assert hold.run == 1


# Handing back at a drain is no death, but what the run had written is not the next run's


async def test_what_is_handed_back_in_the_middle_begins_anew(world: World) -> None:
    hold = await world.running(hook("completed"))
    await world.advance(hold, ("items", "[1]"), ("logs", "l"))
    await world.hand_back(hold)
    (claim,) = await world.claim(holder="worker_2")
    await world.advance(claim.hold, ("items", "[1]"), started=True)
    await world.end(claim.hold, Ending("succeed", chunks=(("items", "[2]"),)))
    assert await chunks(world, hold.id) == [("items", "[1]"), ("items", "[2]")]
    assert (await shown(world, hold.id))["interruptions"] == 0


# Lanes


async def test_an_attempt_cut_off_is_recorded_and_repeated_at_once_with_the_same_body(world: World) -> None:
    hold = await world.running(hook("completed"))
    await world.end(hold, Ending("succeed"))
    cut_off = await world.head()
    world.wait(1)
    assert await world.database.write(lambda tx: settlements.recover(tx, "dispatcher_2")) == 1
    (work,) = (await world.lanes(holder="dispatcher_2")).works
    assert (work.number, work.attempt, work.body) == (1, 2, cut_off.body)
    (attempt,) = await world.attempts(hold.id)
    assert (attempt.attempt, attempt.cause, attempt.status) == (1, "interrupted", None)
    assert attempt.started_at == cut_off.begun_at


async def test_an_attempt_cut_off_gives_way_to_what_is_newer(world: World) -> None:
    hold = await world.running(hook())
    await world.head()
    await world.end(hold, Ending("succeed"))
    await world.database.write(lambda tx: settlements.recover(tx, "dispatcher_2"))
    assert await world.fates(hold.id) == [(1, "start", "superseded"), (2, "completed", "pending")]
    assert (await world.head()).event == "completed"


async def test_a_late_settle_of_the_dead_dispatcher_changes_nothing(world: World) -> None:
    hold = await world.running(hook("completed"))
    await world.end(hold, Ending("succeed"))
    late = await world.head()
    await world.database.write(lambda tx: settlements.recover(tx, "dispatcher_2"))
    await world.lanes(holder=late.holder)
    before = await world.dump()
    await world.settle(late, OK)
    assert await world.dump() == before


async def test_recovery_leaves_lanes_that_wait_for_their_time_alone(world: World) -> None:
    hold = await world.running(hook("completed"))
    await world.end(hold, Ending("succeed"))
    await world.settle(await world.head(), BROKEN)
    before = await world.dump()
    assert await world.database.write(lambda tx: settlements.recover(tx, "dispatcher_2")) == 0
    assert await world.dump() == before


async def test_what_was_streamed_to_somebody_is_not_silently_begun_anew(world: World) -> None:
    hold = await world.running(hook())
    await world.settle(await world.head(), OK)
    await world.advance(hold, ("items", "[1]"))
    assert await world.database.write(lambda tx: streams.mark(tx, hold.id, hold.run))
    assert await recover(world) == {"release": 0, "again": 0, "fail": 1}
    assert await chunks(world, hold.id) == [("items", "[1]")]


async def test_a_stream_of_an_earlier_run_can_mark_nothing(world: World) -> None:
    hold = await world.running(hook())
    await world.advance(hold, ("items", "[1]"))
    await recover(world)
    await world.claim(holder="worker_2")
    assert not await world.database.write(lambda tx: streams.mark(tx, hold.id, hold.run))
    found = await world.database.read(lambda tx: streams.since(tx, hold.id, 1, 10))
    assert found is not None
    assert (found.run, found.streamed, found.chunks) == (hold.run + 1, False, [])
