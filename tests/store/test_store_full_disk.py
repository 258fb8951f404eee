"""A database that may not grow: a change that does not fit fails whole, and its neighbours commit."""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ringback.store.complaint import Complaint
from ringback.store.runs import Ending
from ringback.words.errors import Unavailable
from store.world import World, hook

LARGE = f'{{"text":"{"x" * 200_000}"}}'


@contextmanager
def room_for(world: World, pages: int) -> Iterator[None]:
    """Let the database grow by so many pages (4 KiB) and no more."""
    connection = world.database._connection
    (used,) = connection.execute("PRAGMA page_count").fetchone()
    (usual,) = connection.execute("PRAGMA max_page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {used + pages}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA max_page_count = {usual}")


async def test_a_change_that_does_not_fit_fails_whole_and_fits_later(world: World) -> None:
    hold = await world.running(hook("output", "completed"))
    before = await world.dump()
    ending = Ending("succeed", None, (("value", LARGE),), world.now, 1)
    with room_for(world, 3):
        with pytest.raises(Unavailable, match="full"):
            await world.create(input_=LARGE)
        with pytest.raises(Unavailable, match="full"):
            await world.end(hold, ending)
        assert await world.dump() == before
    assert (await world.end(hold, ending)).held
    assert (await world.fates(hold.id)) == [(1, "completed", "pending")]


async def test_a_change_that_does_not_fit_takes_no_neighbour_with_it(world: World) -> None:
    with room_for(world, 8):
        found = await asyncio.gather(
            world.create(input_='{"text":"a"}'),
            world.create(input_=LARGE),
            world.create(input_='{"text":"b"}'),
            return_exceptions=True,
        )
    assert [type(item) for item in found] == [str, Unavailable, str]
    rows = await world.rows("SELECT id FROM predictions ORDER BY id")
    assert [id_ for (id_,) in rows] == sorted(item for item in found if isinstance(item, str))


async def test_a_full_disk_does_not_keep_anybody_from_reading(world: World) -> None:
    id_ = await world.create()
    with room_for(world, 0):
        with pytest.raises(Unavailable):
            await world.create(input_=LARGE)
        assert await world.rows("SELECT id FROM predictions") == [(id_,)]


def test_a_fault_is_told_when_it_begins_each_minute_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    complaint = Complaint("disk", lambda: now)
    with caplog.at_level(logging.WARNING):
        complaint.succeeded()
        for _ in range(1000):
            now += 0.1
            complaint.failed(sqlite3.OperationalError("full"))
        complaint.succeeded()
        complaint.succeeded()
        complaint.failed(sqlite3.OperationalError("full"))
    assert [record.getMessage() for record in caplog.records] == [
        "disk: full",
        "disk: full (601 times in 60 s)",
        "disk: works again after 1000 failures in 100 s",
        "disk: full",
    ]
