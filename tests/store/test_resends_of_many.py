"""Sending all dead ones again: in batches, spaced out, and none of them backwards."""

from dataclasses import dataclass

import pytest

from ringback.rules.retry import SECOND
from ringback.store import resends
from ringback.store.resends import START, Batch, Place, Wish
from ringback.store.runs import Ending
from store.crowd import closed, crowd, given_up, place, well
from store.outage import UNFIT, Outage
from store.test_resends import DAY, again
from store.world import ACCOUNT, GONE, LINKS, OK, ORIGIN, World, hook


async def died(world: World, count: int, path: str = "/hook") -> list[str]:
    """Deliveries that nobody tried until their time was over."""
    await closed(world, place(path))
    ids = await crowd(world, count, hook("completed", path=path))
    assert (await world.lanes()).works == ()
    world.wait(DAY)
    assert sum(await given_up(world)) == count
    await well(world, place(path))
    return ids


@dataclass
class Mass:
    """What a mass resend came to."""

    batches: list[Batch]

    def sums(self) -> tuple[int, int, int, int]:
        """Give resent, newer, gone and busy."""
        every = self.batches
        return (
            sum(batch.resent for batch in every),
            sum(batch.newer for batch in every),
            sum(batch.gone for batch in every),
            sum(batch.busy for batch in every),
        )


async def all_again(
    world: World,
    *,
    account: str = ACCOUNT,
    endpoint: str | None = None,
    since: int = 0,
    until: int | None = None,
    per_s: float = 10,
) -> Mass:
    wish = Wish(account, endpoint, since, world.now + 1 if until is None else until, per_s)
    mass, after = Mass([]), START
    while True:
        batch = await world.database.write(
            lambda tx, after=after: resends.resend_dead(tx, wish, LINKS, after)  # type: ignore[misc] # now
        )
        mass.batches.append(batch)
        if batch.after is None:
            return mass
        after = batch.after


async def dues(world: World) -> list[int]:
    rows = await world.rows("SELECT due_at FROM deliveries WHERE status = 'pending' ORDER BY due_at")
    return [due - world.now for (due,) in rows]


async def test_all_dead_ones_are_owed_again_in_batches_spaced_as_wished(world: World) -> None:
    await died(world, 230)
    mass = await all_again(world, per_s=20)
    assert [batch.resent for batch in mass.batches] == [100, 100, 30]
    assert await dues(world) == [place * SECOND // 20 for place in range(230)]
    assert mass.batches[-1].last_due == world.now + 229 * SECOND // 20
    assert (await all_again(world)).sums() == (0, 0, 0, 0)


async def test_they_go_out_no_faster_than_wished_and_each_once(world: World) -> None:
    ids = await died(world, 30)
    outage = Outage(world)
    await all_again(world, per_s=2)
    began = world.now
    await outage.run(lambda _work: OK, 90)
    assert sorted(work.prediction_id for _, work in outage.made) == sorted(ids)
    assert all(work.asked for _, work in outage.made)
    for count, (at, _) in enumerate(outage.made):
        assert at >= began + count * SECOND // 2
    assert await outage.waiting() == 0


async def test_what_comes_later_waits_for_those_that_were_asked_for_before(world: World) -> None:
    await died(world, 3)
    await died(world, 3, "/other")
    await all_again(world, endpoint=f"{ORIGIN}/hook", per_s=1)
    await all_again(world, endpoint=f"{ORIGIN}/other", per_s=1)
    assert await dues(world) == [number * SECOND for number in range(6)]


async def test_what_failed_again_and_waits_holds_up_no_later_wish(world: World) -> None:
    (first,) = await died(world, 1)
    await died(world, 1, "/other")
    await again(world, first)
    await Outage(world).run(lambda _work: UNFIT, 200, step=5)
    await all_again(world, endpoint=f"{ORIGIN}/other")
    ((due,),) = await world.rows("SELECT due_at FROM lanes WHERE endpoint = $1", place("/other").endpoint)
    assert due == world.now


@pytest.mark.parametrize(
    ("path", "account", "count"),
    [
        ("/hook", ACCOUNT, 2),
        ("/other", ACCOUNT, 1),
        (None, ACCOUNT, 3),
        ("/none", ACCOUNT, 0),
        (None, "acct_2", 0),
    ],
)
async def test_only_those_of_the_endpoint_and_account_are_owed_again(
    world: World, path: str | None, account: str, count: int
) -> None:
    await died(world, 2)
    await died(world, 1, "/other")
    endpoint = None if path is None else f"{ORIGIN}{path}"
    assert (await all_again(world, endpoint=endpoint, account=account)).sums() == (count, 0, 0, 0)


async def test_only_those_of_the_time_are_owed_again(world: World) -> None:
    made = []
    for _ in range(3):
        made.append(world.now)
        await died(world, 2)
    counts = [
        (await all_again(world, since=since, until=until)).sums()[0]
        for since, until in [
            (0, made[0]),
            (made[1] + 1, made[2]),
            (made[1], made[1] + 1),
            (made[2], world.now),
        ]
    ]
    assert counts == [0, 0, 2, 2]
    assert (await all_again(world)).sums()[0] == 2


async def test_what_goes_backwards_is_gone_or_busy_is_counted_and_left(world: World) -> None:
    holds = [await world.running(hook("start", "completed")) for _ in range(4)]
    newer, gone, busy_one, fine = [hold.id for hold in holds]
    for work in (await world.lanes()).works:
        await world.settle(work, GONE)
    for hold in holds:
        await world.end(hold, Ending("succeed"))
    for work in (await world.lanes()).works:
        await world.settle(work, OK if work.prediction_id == newer else GONE)
    await world.database.write(
        lambda tx: tx.run("UPDATE predictions SET data_removed = TRUE WHERE id = $1", gone)
    )
    await again(world, busy_one, 1, force=True)
    assert (await world.head()).prediction_id == busy_one
    mass = await all_again(world)
    # Of three of them both are dead, and the older one would go after the newer.
    assert mass.sums() == (1, 3, 1, 1)
    work = await world.head()
    assert (work.prediction_id, work.number) == (fine, 2)


async def test_a_newer_event_that_is_owed_is_not_held_up_by_an_old_one(world: World) -> None:
    dead = await died(world, 20, "/other")
    hold = await world.running(hook("start", "completed"))
    await world.settle(await world.head(), GONE)
    await world.end(hold, Ending("succeed"))
    mass = await all_again(world, per_s=1)
    assert mass.sums() == (len(dead), 1, 0, 0)
    (work,) = [work for work in (await world.lanes()).works if work.prediction_id == hold.id]
    assert work.event == "completed"


def test_a_place_is_ordered_as_the_rows_are() -> None:
    first: Place = (1, "b", 1)
    assert sorted([(1, "b", 2), (2, "a", 1), first]) == [first, (1, "b", 2), (2, "a", 1)]
