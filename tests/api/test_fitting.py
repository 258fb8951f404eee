"""Pages that are bounded by bytes: what is read for them, and that nobody else waits meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest_asyncio

from ringback.api.fitting import PAGE_BYTES, Fitting, Item, fitting
from ringback.rules.snapshot import Chunk, Facts
from ringback.store import predictions
from ringback.store.database import Tx
from store.world import World, opened


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as world:
        yield world


async def made(world: World, *sizes: int) -> str:
    """A prediction with chunks of these sizes."""
    hold = await world.running()
    await world.advance(hold, *(("logs", "x" * size) for size in sizes))
    return hold.id


def text(_facts: Facts, chunks: list[Chunk]) -> bytes:
    return "".join(data for _, data in chunks).encode()


async def part(world: World, ids: list[str], read: list[str]) -> Fitting:
    """The part of a page; `read` gets the ids of what was read for it."""

    async def get(tx: Tx, id_: str) -> Item | None:
        read.append(id_)
        return await predictions.get(tx, "acct_1", id_)

    return await fitting(world.database, ids, get, text)


async def test_what_will_not_be_shown_is_not_read(world: World) -> None:
    ids = [await made(world, size) for size in (1_000_000, 6_000_000, 1_000_001, 1)]
    read: list[str] = []
    found = await part(world, ids, read)
    assert [id_ for id_, _ in found.items] == read == ids[:2]
    assert found.is_cut
    read.clear()
    found = await part(world, [ids[0], ids[1], ids[3]], read)
    assert [id_ for id_, _ in found.items] == read == [ids[0], ids[1], ids[3]]
    assert not found.is_cut


async def test_a_single_one_is_shown_however_large_and_nothing_beside_it(world: World) -> None:
    ids = [await made(world, 5_000_000, 5_000_000), await made(world, 1)]
    read: list[str] = []
    found = await part(world, ids, read)
    assert ([id_ for id_, _ in found.items], read, found.is_cut) == (ids[:1], ids[:1], True)


async def test_what_is_longer_than_it_seemed_is_left_out_once_it_was_rendered(world: World) -> None:
    ids = [await made(world, 10), await made(world, 10)]

    async def get(tx: Tx, id_: str) -> Item | None:
        return await predictions.get(tx, "acct_1", id_)

    found = await fitting(world.database, ids, get, lambda facts, _: b" " * (PAGE_BYTES // 2 + 1))
    assert ([id_ for id_, _ in found.items], found.is_cut) == (ids[:1], True)


async def test_one_that_is_not_there_any_more_is_left_out(world: World) -> None:
    ids = [await made(world, 1), "01jc0v5m6y4q0w8zj3k2n1p0r9", await made(world, 1)]
    found = await part(world, ids, [])
    assert ([id_ for id_, _ in found.items], found.is_cut) == ([ids[0], ids[2]], False)


async def test_others_have_their_turn_between_two_predictions(world: World) -> None:
    ids = [await made(world, 1) for _ in range(5)]
    turns: list[int] = []
    read: list[str] = []

    async def others() -> None:
        while True:
            turns.append(len(read))
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    await part(world, ids, read)
    other.cancel()
    with suppress(asyncio.CancelledError):
        await other
    assert {1, 2, 3, 4} <= set(turns)


async def test_what_fits_is_measured_with_its_input_up_to_the_room_that_there_is(world: World) -> None:
    id_ = await made(world, 10, 20, 30)
    size = 60 + len('{"text":"hi"}')

    async def fits(room: int) -> bool:
        return await world.database.read(lambda tx: predictions.fits(tx, id_, room))

    assert [await fits(room) for room in (-1, 0, 1, 40, size - 1, size, size + 1)] == [
        *[False] * 5,
        *[True] * 2,
    ]
