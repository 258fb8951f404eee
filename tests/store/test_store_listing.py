"""Lists of deliveries: in order, only one's own, a bounded look at a time, and never a whole table."""

import re
import sqlite3
from functools import partial

import pytest

from ringback.rules.retry import SECOND
from ringback.store import deliveries, standing
from ringback.store.database import Tx, queries
from ringback.store.deliveries import Place, Wanted
from ringback.words.ids import PredictionIds
from store.world import ACCOUNT, MODEL, VERSION, World

URL = "http://a.example/hook"
DAY = 86_400 * SECOND


async def prediction(
    world: World,
    *fates: tuple[str, str],
    account: str = ACCOUNT,
    endpoint: str | None = URL,
    after_s: float = 0.0,
) -> str:
    """Write a prediction and its deliveries, each an event and a status, `after_s` seconds after it."""
    id_ = world.ids.make(world.now)
    origin = None if endpoint is None else "http://a.example:80"
    created = world.now + int(after_s * SECOND)

    async def write(tx: Tx) -> None:
        await tx.run(
            "INSERT INTO predictions (id, account_id, version_id, model, input, created_at, webhook,"
            " endpoint, origin) VALUES ($1, $2, $3, $4, '{}', $5, $6, $7, $8)",
            *(id_, account, VERSION, MODEL, world.now, endpoint, endpoint, origin),
        )
        for number, (event, status) in enumerate(fates, 1):
            await tx.run(
                "INSERT INTO deliveries (prediction_id, number, event, status, snapshot, upto, due_at,"
                " created_at, settled_at) VALUES ($1, $2, $3, $4, 'succeeded', 0, $5, $5, $6)",
                *(id_, number, event, status, created, None if status == "pending" else created),
            )

    await world.database.write(write)
    world.wait(1)
    return id_


async def walk(
    world: World, wanted: Wanted | None = None, *, account: str = ACCOUNT, look: int = 3
) -> list[tuple[str, int]]:
    """Walk through the whole list, `look` rows at a time."""
    found: list[tuple[str, int]] = []
    place: Place | None = None
    while True:
        after = place
        verb = partial(deliveries.look, account=account, wanted=wanted or Wanted(), after=after, limit=look)
        seen = await world.database.read(verb)
        found += [(each.prediction_id, each.number) for each in seen.found]
        assert seen.last is None or seen.last != after, "the walk does not get on"
        place = seen.last
        if place is None:
            return found


DONE = ("completed", "delivered")
OPEN = ("completed", "pending")
DEAD = ("completed", "dead")


@pytest.mark.parametrize("look", [1, 2, 3, 7, 100])
async def test_the_walk_gives_each_delivery_once_newest_first(world: World, look: int) -> None:
    first = await prediction(world, ("start", "delivered"), ("output", "superseded"), DONE)
    await prediction(world, endpoint=None)  # one without a webhook is no obstacle
    await prediction(world)  # nor one without deliveries
    second = await prediction(world, ("start", "delivered"), OPEN)
    await prediction(world, endpoint=None)
    expected = [(second, 2), (second, 1), (first, 3), (first, 2), (first, 1)]
    assert await walk(world, look=look) == expected


@pytest.mark.parametrize("status", [None, "pending", "dead"])
async def test_another_accounts_deliveries_are_not_listed(world: World, status: str | None) -> None:
    mine = await prediction(world, OPEN, DEAD)
    theirs = await prediction(world, OPEN, DEAD, account="acct_2")
    numbers = {None: [2, 1], "pending": [1], "dead": [2]}[status]
    assert await walk(world, Wanted(status=status)) == [(mine, number) for number in numbers]
    assert await walk(world, Wanted(prediction=theirs)) == []
    assert await world.database.read(lambda tx: deliveries.shown(tx, ACCOUNT, theirs, 1)) is None


@pytest.mark.parametrize("look", [1, 3, 100])
async def test_each_filter_leaves_exactly_what_it_names(world: World, look: int) -> None:
    a = await prediction(world, ("start", "delivered"), ("output", "superseded"), DEAD)
    b = await prediction(world, ("start", "dead"), OPEN, endpoint="http://a.example/other")
    everything = {(a, 1), (a, 2), (a, 3), (b, 1), (b, 2)}
    cases = [
        (Wanted(), everything),
        (Wanted(prediction=a), {(a, 1), (a, 2), (a, 3)}),
        (Wanted(prediction=a, status="dead"), {(a, 3)}),
        (Wanted(prediction=b, status="pending"), {(b, 2)}),
        (Wanted(endpoint=URL), {(a, 1), (a, 2), (a, 3)}),
        (Wanted(status="dead"), {(a, 3), (b, 1)}),
        (Wanted(status="dead", endpoint=URL), {(a, 3)}),
        (Wanted(status="pending"), {(b, 2)}),
        (Wanted(event="start"), {(a, 1), (b, 1)}),
        (Wanted(event="start", status="dead"), {(b, 1)}),
        (Wanted(event="logs"), set()),
    ]
    for wanted, expected in cases:
        found = await walk(world, wanted, look=look)
        assert sorted(found) == sorted(expected), wanted


@pytest.mark.parametrize("status", [None, "pending", "dead"])
async def test_times_are_those_of_the_events_from_the_first_and_before_the_second(
    world: World, status: str | None
) -> None:
    started = world.now
    slow = await prediction(world, OPEN, DEAD, after_s=3600)
    quick = await prediction(world, OPEN, DEAD)
    assert world.now - started == 2 * SECOND
    happened = started + 3600 * SECOND
    cases = [
        (Wanted(status=status, created_after=happened), {slow}),
        (Wanted(status=status, created_after=happened + 1), set()),
        (Wanted(status=status, created_before=happened), {quick}),
        (Wanted(status=status, created_before=happened + 1), {quick, slow}),
        (Wanted(status=status, created_after=started, created_before=started + SECOND), set()),
        (Wanted(status=status, created_after=started + SECOND, created_before=started + SECOND + 1), {quick}),
    ]
    for wanted, expected in cases:
        assert {id_ for id_, _ in await walk(world, wanted)} == expected, wanted


async def test_a_walk_for_late_events_ends_a_day_before_them(world: World) -> None:
    await prediction(world, DONE)
    for _ in range(20):
        world.wait(3600)
        await prediction(world, DONE)
    wanted = Wanted(created_after=world.now + 10 * DAY)
    seen = await world.database.read(lambda tx: deliveries.look(tx, ACCOUNT, wanted, None, 5))
    assert seen.last is None, "it looked at what can't be meant"


async def test_a_look_is_at_so_many_rows_whatever_they_are(world: World) -> None:
    for _ in range(10):
        await prediction(world, endpoint=None)
    await prediction(world, *[("output", "superseded")] * 10)
    wanted = Wanted(status="delivered")
    seen = await world.database.read(lambda tx: deliveries.look(tx, ACCOUNT, wanted, None, 4))
    assert (seen.found, seen.last and seen.last.number) == ([], 7)


def plan(world: World, name: str) -> list[str]:
    """How SQLite carries out a statement."""
    sql = re.sub(r"\$(\d+)", r"?\1", queries("listing")[name])
    count = max(int(number) for number in re.findall(r"\?(\d+)", sql))
    database = sqlite3.connect(world.path)
    steps = [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", [1] * count)]
    database.close()
    return steps


@pytest.mark.parametrize("name", sorted(queries("listing")))
async def test_no_statement_scans_a_table(world: World, name: str) -> None:
    tables = "predictions|deliveries|attempts|lanes|endpoints|[pdlahm]"
    scanned = [step for step in plan(world, name) if re.match(rf"SCAN ({tables})\b", step)]
    # Along an index that holds the pending or the dead only, up to a LIMIT, is no scan of a table.
    assert [step for step in scanned if not re.search(r"USING INDEX deliveries_(pending|dead)$", step)] == []
    assert not scanned or "LIMIT" in queries("listing")[name]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("walk", "predictions_account"),
        ("walk_pending", "deliveries_pending"),
        ("walk_dead", "deliveries_dead"),
        ("owed", "deliveries_pending"),
        ("dead", "deliveries_dead"),
        ("dead_in_all", "deliveries_dead"),
        ("used", "predictions_account"),
        ("special", "endpoints_account"),
        ("shelved", "lanes_shelf"),
        ("unshelved", "lanes_due"),
    ],
)
async def test_a_walk_goes_along_its_own_index_and_sorts_no_more_than_a_prediction(
    world: World, name: str, index: str
) -> None:
    steps = plan(world, name)
    assert any(f"INDEX {index}" in step for step in steps), steps
    if name.startswith("walk"):
        assert "USE TEMP B-TREE FOR ORDER BY" not in steps


async def test_an_older_event_that_waits_is_named_by_the_one_behind_it(world: World) -> None:
    id_ = await prediction(world, ("output", "pending"), OPEN)
    head = await world.database.read(lambda tx: deliveries.shown(tx, ACCOUNT, id_, 1))
    behind = await world.database.read(lambda tx: deliveries.shown(tx, ACCOUNT, id_, 2))
    assert head is not None
    assert behind is not None
    assert head.queued is not None
    assert behind.queued is not None
    assert (head.queued.behind, behind.queued.behind) == (None, 1)


# Endpoints


async def page(world: World, after: str | None = None) -> standing.Page:
    async def read(tx: Tx) -> standing.Page:
        dead = await standing.dead(tx, ACCOUNT)
        others = [*await standing.in_use(tx, ACCOUNT), *dead.counts]
        return await standing.page(tx, ACCOUNT, after, dead, others)

    return await world.database.read(read)


async def special(world: World, url: str, account: str = ACCOUNT, **columns: object) -> None:
    """Write the row of an endpoint of an account, or (account '') of an origin."""
    names = ["key", "account_id", "url", "origin", "changed_at", *columns]
    key = f"{account} {url}" if account else url
    values = [key, account, url, "http://a.example:80", world.now, *columns.values()]
    places = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    sql = f"INSERT INTO endpoints ({', '.join(names)}) VALUES ({places})"
    await world.database.write(lambda tx: tx.run(sql, *values))


async def test_endpoints_in_trouble_and_those_in_use_are_listed_once_each(world: World) -> None:
    await special(world, "http://a.example/closed", closed_at=1, failures=5)
    await special(world, "http://a.example/theirs", account="acct_2", closed_at=1)
    await prediction(world, OPEN, endpoint="http://a.example/closed")
    await prediction(world, DONE)
    await prediction(world, DEAD)
    await prediction(world, DONE, account="acct_2", endpoint="http://a.example/other")
    found = await page(world)
    assert sorted(each.url for each in found.items) == ["http://a.example/closed", URL]
    assert found.last is None


async def test_thousands_of_endpoints_are_given_a_page_at_a_time(world: World) -> None:
    urls = [f"http://a.example/job/{number:04}" for number in range(250)]
    for url in urls:
        await special(world, url, failures=1)
    found, last, pages = [], None, 0
    while pages == 0 or last is not None:
        seen = await page(world, last)
        found += [each.url for each in seen.items]
        last, pages = seen.last, pages + 1
    assert found == urls
    assert pages == 3


async def lane(tx: Tx, id_: str, url: str, *, shelved: bool) -> None:
    await tx.run(
        "INSERT INTO lanes (prediction_id, origin, due_at, last_number, endpoint, shelved)"
        " VALUES ($1, 'http://a.example:80', 1, 1, $2, $3)",
        *(id_, f"{ACCOUNT} {url}", shelved),
    )


async def test_what_waits_and_what_is_dead_is_counted_for_each_endpoint(world: World) -> None:
    other = "http://a.example/other"
    for url, shelved, count in ((URL, False, 2), (URL, True, 3), (other, True, 1)):
        for _ in range(count):
            id_ = await prediction(world, DEAD, endpoint=url)
            await world.database.write(partial(lane, id_=id_, url=url, shelved=shelved))
    found = {each.url: each for each in (await page(world)).items}
    assert (found[URL].waiting.count, found[other].waiting.count) == (5, 1)
    assert (found[URL].dead.count, found[other].dead.count) == (5, 1)
    assert not any(each.waiting.more or each.dead.more for each in found.values())


async def test_a_crowd_is_counted_to_a_thousand_and_said_to_be_more(world: World) -> None:
    ids = PredictionIds(lambda size: b"\x11" * size)
    made = [ids.make(world.now) for _ in range(1500)]
    with sqlite3.connect(world.path) as database:
        database.executemany(
            "INSERT INTO predictions (id, account_id, version_id, model, input, created_at, webhook,"
            " endpoint, origin) VALUES (?, ?, ?, ?, '{}', 1, ?, ?, 'http://a.example:80')",
            [(id_, ACCOUNT, VERSION, MODEL, URL, URL) for id_ in made],
        )
        database.executemany(
            "INSERT INTO deliveries (prediction_id, number, event, status, snapshot, upto, due_at,"
            " created_at, settled_at) VALUES (?, 1, 'completed', 'dead', 'failed', 0, 1, 1, 1)",
            [(id_,) for id_ in made],
        )
        database.executemany(
            "INSERT INTO lanes (prediction_id, origin, due_at, last_number, endpoint, shelved)"
            " VALUES (?, 'http://a.example:80', 1, 1, ?, TRUE)",
            [(id_, f"{ACCOUNT} {URL}") for id_ in made],
        )
    database.close()
    (found,) = (await page(world)).items
    assert (found.waiting.count, found.waiting.more) == (1000, True)
    assert (found.dead.count, found.dead.more) == (1000, True)
