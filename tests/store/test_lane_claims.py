"""Claiming lanes: fair between origins, within each one's room, and nobody is hidden behind a crowd."""

from msgspec.structs import replace

from ringback.rules.retry import SECOND
from ringback.store import claims
from ringback.store.attempts import Work
from ringback.store.rooms import NEW_ROUND, Rooms
from ringback.store.runs import Ending
from store.crowd import closed, crowd, place
from store.outage import REFUSED
from store.world import LINKS, OK, ORIGIN, World, hook


async def owing(world: World, origin: str, count: int = 1) -> None:
    """Predictions that owe a `completed` to an origin."""
    for _ in range(count):
        await world.create(hook("completed", origin=origin))
    for claim in await world.claim(count):
        await world.end(claim.hold, Ending("fail", error="x"))


def origin(number: int) -> str:
    return f"http://host-{number:03}.example:80"


async def test_a_full_origin_hides_nobody(world: World) -> None:
    await owing(world, "http://a-crowd.example:80", 200)
    await owing(world, "http://b-alone.example:80")
    claimed = await world.lanes(each=32, used={"http://a-crowd.example:80": 32})
    assert [work.origin for work in claimed.works] == ["http://b-alone.example:80"]


async def test_an_origin_gets_no_more_than_its_room(world: World) -> None:
    await owing(world, "http://a-crowd.example:80", 40)
    await owing(world, "http://b-alone.example:80")
    claimed = await world.lanes(each=32, used={"http://a-crowd.example:80": 2})
    origins = [work.origin for work in claimed.works]
    # 30 are free; 8 of an origin's slots are kept for endpoints with nothing in flight
    assert origins.count("http://a-crowd.example:80") == 22
    assert origins.count("http://b-alone.example:80") == 1


async def test_the_total_is_kept_and_the_next_claim_begins_with_the_next_origin(world: World) -> None:
    await owing(world, "http://a-crowd.example:80", 20)
    await owing(world, "http://b-alone.example:80")
    first = await world.lanes(total=5)
    assert [work.origin for work in first.works] == ["http://a-crowd.example:80"] * 5
    second = await world.lanes(total=5, after=first.after)
    assert second.works[0].origin == "http://b-alone.example:80"
    assert len(second.works) == 5


async def test_the_longest_waiting_of_an_origin_go_first(world: World) -> None:
    ids = []
    for _ in range(3):
        await owing(world, "http://a.example:80")
        ids.append((await world.row("SELECT max(prediction_id) FROM lanes"))[0])
        world.wait(1)
    claimed = await world.lanes(total=2)
    assert {work.prediction_id for work in claimed.works} == set(ids[:2])


async def test_a_walk_looks_at_64_origins_and_the_next_goes_on_behind_them(world: World) -> None:
    for number in range(70):
        await owing(world, origin(number))
    full = {origin(number): 1 for number in range(70)}
    first = await world.lanes(each=1, used={**full, origin(69): 0})
    assert first.works == ()
    assert first.after == origin(63)
    assert first.round != NEW_ROUND  # more may be waiting: to be looked at right away
    second = await world.lanes(each=1, used={**full, origin(69): 0}, after=first.after)
    assert [work.origin for work in second.works] == [origin(69)]


async def test_a_walk_that_has_not_begun_for_all_that_was_looked_at_first_is_not_over(world: World) -> None:
    closed_ones = [origin(number) for number in range(5)]
    for name in closed_ones:
        await crowd(world, 300, hook("completed", origin=name))
        await closed(world, place(origin=name))
    await owing(world, origin(9))
    works: list[Work] = []
    after, walk = "", NEW_ROUND
    for first in (tuple(closed_ones), (), ()):
        rooms = Rooms(512, 32, {}, after, walk, first=first)
        claimed = await world.database.write(lambda tx, rooms=rooms: claims.claim(tx, "d", rooms, LINKS))  # type: ignore[misc] # now
        works += claimed.works
        after, walk = claimed.after, claimed.round
        if walk == NEW_ROUND:
            break
    assert [work.origin for work in works] == [origin(9)]


async def test_a_walk_that_starts_in_the_middle_comes_round_to_all(world: World) -> None:
    for number in range(5):
        await owing(world, origin(number))
    claimed = await world.lanes(after=origin(2))
    assert [work.origin for work in claimed.works] == [origin(number) for number in (3, 4, 0, 1, 2)]


async def test_an_origin_that_is_gone_by_now_is_no_obstacle(world: World) -> None:
    await owing(world, origin(1))
    claimed = await world.lanes(after="http://zzz.example:80")
    assert [work.origin for work in claimed.works] == [origin(1)]


async def test_nothing_to_do_says_when_there_will_be(world: World) -> None:
    empty = await world.lanes()
    assert (empty.later, empty.shelf_due) == ((), None)
    hold = await world.running(hook("output"))
    await world.advance(hold, ("items", "[1]"))
    await world.settle(await world.head(), OK)
    await world.advance(hold, ("items", "[2]"))
    claimed = await world.lanes()
    assert claimed.works == ()
    assert (claimed.later, claimed.shelf_due) == (((ORIGIN, world.now + SECOND // 2),), None)


async def test_a_lane_is_held_by_one_dispatcher(world: World) -> None:
    await owing(world, origin(1), 3)
    first = await world.lanes(total=2)
    second = await world.lanes(holder="dispatcher_2")
    claimed = [work.prediction_id for work in (*first.works, *second.works)]
    assert len(claimed) == len(set(claimed)) == 3


async def test_many_waiting_origins_are_no_reason_to_claim_again_at_once(world: World) -> None:
    for number in range(150):
        await owing(world, origin(number))
    for work in await everything(world):
        await world.settle(work, REFUSED)
    after, walk, count = "", NEW_ROUND, 0
    later: dict[str, int] = {}
    while True:
        count += 1
        rooms = Rooms(512, 32, {}, after, walk)
        claimed = await world.database.write(lambda tx, rooms=rooms: claims.claim(tx, "d", rooms, LINKS))  # type: ignore[misc] # now
        assert claimed.works == ()
        after, walk = claimed.after, claimed.round
        later |= dict(claimed.later)
        if walk == NEW_ROUND:
            break
        assert count < 10
    assert len(later) == 150
    assert min(later.values()) > world.clock.now
    assert claimed.shelf_due is None
    assert count == 3


async def everything(world: World) -> list[Work]:
    works: list[Work] = []
    after, walk = "", NEW_ROUND
    for _ in range(10):
        rooms = Rooms(512, 32, {}, after, walk)
        claimed = await world.database.write(
            lambda tx, rooms=rooms: claims.claim(tx, "dispatcher_1", rooms, LINKS)  # type: ignore[misc] # bound now
        )
        works += claimed.works
        after, walk = claimed.after, claimed.round
        if walk == NEW_ROUND:
            return works
    raise AssertionError("it finds no end")


async def test_the_last_slots_are_for_origins_with_nothing_in_flight() -> None:
    rooms = Rooms(10, 32, {"http://hangs.example:80": 30}, kept=10)
    assert rooms.of("http://hangs.example:80") == 0
    assert rooms.of("http://healthy.example:80") == 1
    assert replace(rooms, total=0).of("http://healthy.example:80") == 0
    assert Rooms(40, 32, {}, kept=10).of("http://new.example:80") == 30
