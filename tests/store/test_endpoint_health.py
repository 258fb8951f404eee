"""An endpoint that fails is left alone, probed, and served at once when it answers; nobody else notices."""

import pytest

from ringback.rules.attempt import Result
from ringback.rules.endpoint import Target, endpoint_key
from ringback.rules.retry import SECOND
from ringback.store import endpoints, settlements
from ringback.store.attempts import Work
from ringback.store.runs import Ending
from store.outage import HANGS, MISSING, REFUSED, UNFIT, Answers, Outage
from store.world import ACCOUNT, BROKEN, OK, ORIGIN, World, busy, hook

OTHER = "http://b.example:80"
HOOK = Target(ORIGIN, endpoint_key(ACCOUNT, f"{ORIGIN}/hook"))


@pytest.fixture
def outage(world: World) -> Outage:
    return Outage(world)


def fails(result: Result, *, but: str) -> Answers:
    return lambda work: OK if but in work.url else result


def down(result: Result = REFUSED) -> Answers:
    return lambda _work: result


def up(_work: Work) -> Result:
    return OK


@pytest.mark.parametrize("result", [BROKEN, MISSING, REFUSED, HANGS], ids=lambda result: result.cause)
async def test_after_five_failures_in_a_row_the_others_wait_without_attempts(
    outage: Outage, result: Result
) -> None:
    await outage.owing(5)
    await outage.claim()
    await outage.answer(down(result))
    await outage.owing(50)
    assert await outage.claim() == []
    assert await outage.waiting() == 55


@pytest.mark.parametrize("result", [BROKEN, REFUSED, HANGS], ids=lambda result: result.cause)
async def test_probes_go_one_at_a_time_with_gaps_from_one_second_to_sixty(
    outage: Outage, result: Result
) -> None:
    await outage.owing(5)
    await outage.claim()
    await outage.answer(down(result))
    await outage.owing(20)
    closed_at, before = outage.world.now, len(outage.made)
    await outage.run(down(result), 200)
    at = [(when - closed_at) / SECOND for when, _ in outage.made[before:]]
    gaps = [round(b - a) for a, b in zip([0.0, *at], at, strict=False)]
    assert gaps == [1, 2, 4, 8, 16, 32, 60, 60]
    outage.world.wait(60)
    (probe,) = await outage.claim()
    outage.world.wait(10)
    assert await outage.claim() == []
    await outage.settle(probe, OK)


@pytest.mark.parametrize("result", [BROKEN, REFUSED, HANGS], ids=lambda result: result.cause)
async def test_the_first_answer_opens_it_and_what_waits_goes_out_ramped_up(
    outage: Outage, result: Result
) -> None:
    await outage.owing(40)
    await outage.claim()
    await outage.answer(down(result))
    await outage.run(down(result), 120)
    rounds = []
    while not await outage.claim():
        outage.world.wait(0.5)
    opened = outage.world.now
    while outage.flying:
        rounds.append(await outage.answer(up, go_on=True))
        await outage.claim()
    assert rounds[:5] == [1, 1, 2, 4, 8]
    assert sum(rounds) == 40
    assert outage.world.now == opened  # nobody waited for a time of its own
    assert await outage.waiting() == 0
    outage.world.wait(2)
    await outage.claim()
    assert await outage.rows() == []


async def test_a_closed_endpoint_hides_nobody_of_its_origin(outage: Outage) -> None:
    await outage.owing(300)
    await outage.claim()
    await outage.answer(down(BROKEN))
    await outage.owing(3, path="/well")
    for _ in range(3):
        await outage.claim()
    assert [work.url for work in outage.flying] == [f"{ORIGIN}/well?x=1"] * 3


async def test_an_origin_that_is_down_costs_the_others_nothing(outage: Outage) -> None:
    await outage.owing(300)
    await outage.claim()
    await outage.answer(down())
    await outage.owing(3, origin=OTHER)
    assert [work.origin for work in await outage.claim()] == [OTHER] * 3


async def test_an_endpoint_that_hangs_leaves_slots_of_its_origin_to_the_others(outage: Outage) -> None:
    await outage.owing(300)
    assert len(await outage.claim()) == 24
    await outage.owing(3, path="/well")
    await outage.claim()
    assert [work.url for work in outage.flying[24:]] == [f"{ORIGIN}/well?x=1"]
    await outage.settle(outage.flying[24], OK, go_on=True)
    await outage.claim()
    assert await outage.world.rows("SELECT 1 FROM deliveries WHERE status = 'delivered'")


async def test_endpoints_with_nothing_due_hide_nobody_who_stands_behind_a_full_one(outage: Outage) -> None:
    await outage.owing(20, path="/later/%d")
    await outage.claim()
    await outage.answer(down(UNFIT))
    await outage.owing(300)
    assert len(await outage.claim()) == 24
    await outage.owing(path="/well")
    assert [work.url for work in await outage.claim()] == [f"{ORIGIN}/well?x=1"]


async def test_many_endpoints_that_hang_hide_nobody_whose_name_is_between_theirs(outage: Outage) -> None:
    for _ in range(5):
        await outage.owing(24, path="/hook/%d")
        outage.world.wait(1)
    assert len(await outage.claim()) == 24
    await outage.owing(path="/hook/7/well")
    assert [work.url for work in await outage.claim()] == [f"{ORIGIN}/hook/7/well?x=1"]


async def test_what_stands_behind_a_full_endpoint_is_not_forgotten(outage: Outage) -> None:
    await outage.owing(300)
    await outage.claim()
    while outage.flying:
        await outage.answer(up, go_on=True)
        await outage.claim()
    outage.world.wait(2)
    await outage.claim()
    assert await outage.waiting() == 0
    assert await outage.rows() == []


async def test_what_is_about_the_body_counts_against_nobody(outage: Outage) -> None:
    await outage.owing(20)
    await outage.claim()
    await outage.answer(down(UNFIT))
    assert await outage.rows() == []
    await outage.owing()
    assert len(await outage.claim()) == 1


async def test_an_answer_in_between_begins_the_count_anew(outage: Outage) -> None:
    await outage.owing(9)
    await outage.claim()
    for number, work in enumerate(list(outage.flying)):
        await outage.settle(work, OK if number == 4 else BROKEN)
    await outage.owing()
    assert len(await outage.claim()) == 1


async def test_where_each_url_is_another_five_of_them_close_the_origin(outage: Outage) -> None:
    await outage.owing(40, path="/job/%d/done")
    await outage.claim()
    await outage.answer(down(BROKEN))
    await outage.owing(40, path="/later/%d/done")
    before = len(outage.made)
    await outage.run(down(BROKEN), 60)
    assert len(outage.made) - before <= 15
    assert await outage.waiting() == 80


async def test_an_origin_closed_for_its_urls_opens_when_one_of_them_answers(outage: Outage) -> None:
    await outage.owing(40, path="/job/%d/done")
    await outage.claim()
    await outage.answer(down(BROKEN))
    await outage.owing(path="/well")
    await outage.run(fails(BROKEN, but="/well"), 6)
    for count in (1, 2, 3):
        delivered = await outage.world.rows("SELECT 1 FROM deliveries WHERE status = 'delivered'")
        assert len(delivered) == count
        await outage.owing(path="/well")
        await outage.run(fails(BROKEN, but="/well"), 6)


async def test_once_the_receiver_is_well_all_its_urls_are_served(outage: Outage) -> None:
    await outage.owing(60, path="/job/%d/done")
    await outage.claim()
    await outage.answer(down(BROKEN))
    await outage.run(down(BROKEN), 300)
    await outage.run(up, 120)
    assert await outage.waiting() == 0
    outage.world.wait(7200)
    await outage.world.database.write(lambda tx: endpoints.forget_idle(tx, 1000))
    assert await outage.rows() == []


async def test_retry_after_holds_the_whole_endpoint_and_a_recovery_does_not_shorten_it(
    outage: Outage,
) -> None:
    await outage.owing(2)
    await outage.claim()
    first, second = outage.flying
    await outage.settle(first, busy(300))
    await outage.owing(3)
    await outage.settle(second, OK)  # an answer that was under way
    before = len(outage.made)
    await outage.run(up, 299)
    assert len(outage.made) == before
    await outage.run(up, 3)
    assert await outage.waiting() == 0


async def test_retry_after_of_one_endpoint_holds_no_other(outage: Outage) -> None:
    await outage.owing()
    await outage.claim()
    await outage.answer(down(busy(300)))
    await outage.owing(path="/well")
    assert len(await outage.claim()) == 1


async def test_a_paused_endpoint_keeps_everything_until_it_is_resumed(outage: Outage) -> None:
    await outage.owing(3)
    await outage.world.database.write(lambda tx: endpoints.pause(tx, HOOK))
    await outage.owing(3)
    await outage.run(up, 86400 * 3, step=3600)
    assert outage.made == []
    await outage.world.database.write(lambda tx: endpoints.resume(tx, HOOK))
    await outage.run(up, 5)
    assert await outage.waiting() == 0
    assert await outage.rows() == []


async def test_to_resume_what_was_never_paused_writes_nothing(outage: Outage) -> None:
    await outage.world.database.write(lambda tx: endpoints.resume(tx, HOOK))
    assert await outage.rows() == []


async def test_a_pause_that_ends_before_anything_was_owed_leaves_nothing(outage: Outage) -> None:
    await outage.world.database.write(lambda tx: endpoints.pause(tx, HOOK))
    await outage.world.database.write(lambda tx: endpoints.resume(tx, HOOK))
    assert await outage.rows() == []


async def test_a_probe_that_dies_with_its_dispatcher_is_made_again_at_once(outage: Outage) -> None:
    await outage.owing(8)
    await outage.claim()
    await outage.answer(down(BROKEN))
    outage.world.wait(1)
    assert len(await outage.claim()) == 1
    after = Outage(outage.world, holder="dispatcher_2")
    await after.world.database.write(lambda tx: settlements.recover(tx, "dispatcher_2"))
    assert len(await after.claim()) == 1


async def test_a_new_event_of_a_lane_that_waits_is_not_held_up_by_the_old_ones_time(outage: Outage) -> None:
    world = outage.world
    hold = await world.running(hook("start", "completed"))
    await outage.claim()
    await outage.answer(down(BROKEN))
    await world.end(hold, Ending("succeed"))
    (work,) = await outage.claim()
    assert work.event == "completed"


async def test_many_dead_urls_of_one_origin_share_their_probes(outage: Outage) -> None:
    await outage.owing(200, path="/job/%d/done")
    for _ in range(6):
        await outage.owing(path="/well")  # so that the origin stays open
        await outage.run(fails(BROKEN, but="/well"), 60, step=2)
    before = len(outage.made)
    for _ in range(10):
        await outage.owing(path="/well")
        await outage.run(fails(BROKEN, but="/well"), 60, step=2)
    assert len(outage.made) - before < 10 * 60 * 3


async def test_what_has_a_later_time_of_its_own_on_a_shelf_is_not_forgotten(outage: Outage) -> None:
    for _ in range(2):
        await outage.owing()
        await outage.claim()
        await outage.answer(down(BROKEN))
        outage.world.wait(3)
    (first,) = await outage.claim()
    await outage.settle(first, OK)
    outage.world.wait(3)
    (second,) = await outage.claim()
    assert second.prediction_id != first.prediction_id
