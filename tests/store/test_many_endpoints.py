"""An origin with hundreds of endpoints: none of them starves, and all go at once when they may."""

import re

import pytest

from ringback.deliver.housekeeping import tidy
from ringback.rules.attempt import Result
from ringback.rules.endpoint import Health
from ringback.rules.retry import SECOND
from ringback.store import resends
from ringback.store.attempts import Work
from ringback.store.database import T, Unit, queries
from store.crowd import closed, crowd, endpoint, place
from store.outage import HANGS, Answers, Outage
from store.world import ACCOUNT, BROKEN, LINKS, OK, ORIGIN, World, hook

WINDOW_S = 86400.0
JOBS = "/job/%d/done"
TOMORROW = Result("status", "answered 422", 422, "", 1000, WINDOW_S)


@pytest.fixture
def outage(world: World) -> Outage:
    return Outage(world)


def fails(result: Result, *, but: str = "nowhere") -> Answers:
    return lambda work: OK if but in work.url else result


def up(_work: Work) -> Result:
    return OK


async def of_origin(world: World) -> Health:
    found = await endpoint(world, ORIGIN)
    assert found is not None
    return found.health


async def closed_by_job_ids(outage: Outage, count: int) -> None:
    """One attempt each at so many URLs of the origin, as far as it lets them; all of them fail."""
    await outage.owing(count, path=JOBS)
    await outage.claim()
    await outage.answer(fails(BROKEN))
    assert (await of_origin(outage.world)).is_closed


async def seconds_until_nothing_waits(
    outage: Outage, most: float, step: float = 0.1, *, but: int = 0
) -> float:
    """Let all answer; give how far the clock had to move until no more than `but` were left."""
    began = outage.world.now
    while await outage.waiting() > but:
        while await outage.claim():
            await outage.answer(up)
        assert outage.world.now - began <= most * SECOND, f"{await outage.waiting()} still wait"
        outage.world.wait(step)
    return (outage.world.now - began) / SECOND


async def test_behind_an_origin_closed_by_its_job_ids_what_has_waited_longest_has_its_turn(
    outage: Outage,
) -> None:
    await closed_by_job_ids(outage, 6)
    await outage.run(fails(BROKEN), 60)
    await outage.owing(path="/well")
    probes: list[str] = []
    for number in range(300):
        outage.world.wait(1)
        await outage.owing(path=f"/later/{number}")
        for work in await outage.claim():
            probes.append(work.url)
            await outage.settle(work, fails(BROKEN, but="/well")(work))
        if any("/well" in url for url in probes):
            break
    assert f"{ORIGIN}/well?x=1" in probes[:6]


async def test_behind_an_origin_closed_by_its_job_ids_the_newest_has_its_turn_too(outage: Outage) -> None:
    await closed_by_job_ids(outage, 100)
    await outage.run(fails(BROKEN), 60)
    await outage.owing(path="/well")
    before = len(outage.made)
    await outage.run(fails(BROKEN, but="/well"), 60)
    assert any("/well" in work.url for _, work in outage.made[before : before + 6])


async def test_behind_an_origin_closed_by_its_job_ids_those_that_failed_before_have_their_turn(
    outage: Outage,
) -> None:
    await closed_by_job_ids(outage, 6)
    tried = {work.url for _, work in outage.made}
    before = len(outage.made)
    for number in range(60):
        await outage.owing(path=f"/later/{number}")
        await outage.run(fails(BROKEN), 1, step=1)
    assert [work.url for _, work in outage.made[before:] if work.url in tried][:1]


async def test_once_an_origin_opens_what_failed_before_does_not_wait_for_its_own_time(outage: Outage) -> None:
    await closed_by_job_ids(outage, 20)
    await outage.owing(path="/well")
    outage.world.wait(1)
    (work,) = await outage.claim()
    assert "/well" in work.url
    await outage.settle(work, OK)
    assert not (await of_origin(outage.world)).is_closed
    assert await outage.world.row("SELECT min(due_at) FROM lanes") == (outage.world.now + 4 * SECOND,)
    assert await seconds_until_nothing_waits(outage, 2) <= 2


async def test_an_origin_that_somebody_opens_by_sending_again_lets_all_its_shelves_go(outage: Outage) -> None:
    world = outage.world
    await outage.owing(40, path=JOBS)
    for _ in range(3):
        await outage.claim()
        await outage.answer(fails(HANGS))
    await outage.run(fails(HANGS), 400, step=1)
    (id_,) = await world.row("SELECT id FROM predictions WHERE endpoint LIKE '%/job/7/done'")
    await sent_again(world, id_)
    (work,) = await outage.claim()
    assert work.prediction_id == id_
    await outage.settle(work, OK)
    assert not (await of_origin(world)).is_closed
    assert await seconds_until_nothing_waits(outage, 2) <= 2


async def opened_with_shelves(outage: Outage, count: int) -> None:
    """An origin that has just opened; so many jobs wait on shelves, for half a minute by their own times."""
    for number in range(count):
        await outage.owing(path=f"/job/{number}")
        await outage.owing(path="/well")
        await outage.claim()
        await outage.answer(fails(BROKEN, but="/well"))
    await outage.run(fails(BROKEN), 40, step=1)
    await outage.owing(5, path="/hangs")
    await outage.claim()
    await outage.answer(fails(HANGS))
    assert (await of_origin(outage.world)).is_closed
    while not await outage.claim():
        outage.world.wait(0.1)
    await outage.answer(up)
    assert not (await of_origin(outage.world)).is_closed
    standing = await outage.world.row(
        "SELECT count(*) FROM lanes WHERE shelved AND due_at > $1", outage.world.now
    )
    assert standing[0] >= count


async def test_once_an_origin_opens_all_its_shelves_go_when_its_ramp_is_over_too(outage: Outage) -> None:
    await opened_with_shelves(outage, 60)
    assert await seconds_until_nothing_waits(outage, 3) <= 3


async def test_what_is_not_due_yet_does_not_end_the_waking_of_an_origins_shelves(outage: Outage) -> None:
    await outage.owing(path="/later")
    await outage.claim()
    await outage.answer(fails(TOMORROW))
    await opened_with_shelves(outage, 40)
    await outage.claim()
    await outage.answer(fails(BROKEN))
    await outage.claim()
    assert await seconds_until_nothing_waits(outage, 3, but=2) <= 3


async def test_when_one_of_a_hundred_closed_endpoints_opens_the_others_are_probed_at_once(
    outage: Outage,
) -> None:
    for number in range(100):
        await crowd(outage.world, 1, hook("completed", path=f"/closed/{number}"))
        await closed(outage.world, place(f"/closed/{number}"))
        await outage.run(fails(BROKEN), 0.5)  # so that their probes are spread out
    await outage.run(fails(BROKEN), 300, step=1)
    while not await outage.claim():
        outage.world.wait(0.1)
    await outage.answer(up)
    assert await outage.waiting() > 80
    assert await seconds_until_nothing_waits(outage, 5) <= 5


async def sent_again(world: World, id_: str) -> None:
    await world.database.write(lambda tx: resends.resend(tx, ACCOUNT, id_, 1, LINKS, force=False))


class Patient:
    """The store, in which a transaction takes 3 ms; a walk that finds no end fails."""

    def __init__(self, world: World, most: int) -> None:
        self._world = world
        self._left = most

    async def write(self, unit: Unit[T]) -> T:
        self._left -= 1
        assert self._left > 0, "it finds no end"
        self._world.wait(0.003)
        return await self._world.database.write(unit)

    async def read(self, unit: Unit[T]) -> T:
        return await self._world.database.read(unit)

    async def close(self) -> None:
        await self._world.database.close()


@pytest.mark.parametrize("before", [False, True], ids=["the first", "not the first"])
async def test_housekeeping_ends_however_many_deliveries_were_asked_for_at_a_closed_endpoint(
    world: World, *, before: bool
) -> None:
    if before:
        await closed(world, place("/a"))
    asked = await crowd(world, 70, hook("completed", path="/b"))
    await closed(world, place("/b"))
    behind = await crowd(world, 3, hook("completed", path="/c"))
    await closed(world, place("/c"))
    await world.lanes()
    world.wait(WINDOW_S - 60)
    for id_ in asked:
        await sent_again(world, id_)
    world.wait(120)
    assert await tidy(Patient(world, 100), WINDOW_S, tells=False) == len(behind)
    for id_ in behind:
        assert await world.fates(id_) == [(1, "completed", "dead")]
    for id_ in asked:
        assert await world.fates(id_) == [(1, "completed", "pending")]


HOT = ("claims", "settlements", "endpoints", "expiry", "resends")
LARGE = {"lanes", "deliveries", "predictions"}
ONCE = {("settlements", "orphaned"), ("endpoints", "forget_probes")}
"""At the start, before anything is accepted."""

FIRST_OF_AN_INDEX = {("claims", "first_origin"), ("claims", "anything")}
"""One step along an index in its own order: SQLite calls that a scan."""

STATEMENTS = [(noun, name) for noun in HOT for name in queries(noun)]


@pytest.mark.parametrize(("noun", "name"), STATEMENTS, ids=[".".join(each) for each in STATEMENTS])
async def test_no_statement_walks_over_a_table_that_grows(world: World, noun: str, name: str) -> None:
    sql = queries(noun)[name]
    aliases = dict(re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)(?:\s+AS)?\s+([a-z])\b", sql))
    named = {alias: table for table, alias in aliases.items()}
    count = max(map(int, re.findall(r"\$(\d+)", sql)), default=0)
    plan = [row[3] for row in await world.rows(f"EXPLAIN QUERY PLAN {sql}", *[None] * count)]
    walks = [line for line in plan if (found := re.match(r"SCAN (\w+)", line)) and is_large(found[1], named)]
    if (noun, name) in FIRST_OF_AN_INDEX:
        assert re.search(r"LIMIT 1\b", sql)
        assert not any("TEMP B-TREE" in line for line in plan)
        walks = [line for line in walks if "INDEX" not in line]
    assert not walks or (noun, name) in ONCE


def is_large(name: str, named: dict[str, str]) -> bool:
    return named.get(name, name) in LARGE


def test_what_makes_a_walk_is_looked_for_by_its_table_whatever_it_is_called() -> None:
    assert is_large("l", {"l": "lanes"})
    assert is_large("lanes", {})
    assert not is_large("e", {"e": "endpoints"})
