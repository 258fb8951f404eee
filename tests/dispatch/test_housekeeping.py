"""Rows that nothing needs go; those that something waits for stay; and it goes on after a fault."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.deliver import housekeeping
from ringback.deliver.housekeeping import keep_tidy, tidy
from ringback.rules.attempt import Result
from ringback.rules.endpoint import Health
from ringback.store import endpoints
from store.crowd import closed, crowd, endpoint, ill, place
from store.outage import REFUSED, Outage
from store.world import BROKEN, GONE, OK, ORIGIN, World, opened

HOUR = 3600
WINDOW_S = 86400.0
GONE_FOR_NOW = Result("status", "answered 410", 410, "", 1000, 3.0 * HOUR)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as found:
        yield found


async def tidied(world: World) -> list[str]:
    """The endpoints and origins that have a row after a round."""
    await tidy(world.database, WINDOW_S, tells=False)
    return await Outage(world).rows()


async def test_after_an_idle_hour_a_row_is_dropped_and_not_before(world: World) -> None:
    await closed(world, place())
    world.wait(HOUR)
    assert await tidied(world) == [place().endpoint]
    world.wait(1)
    assert await tidied(world) == []


async def test_hundreds_of_idle_rows_go_in_one_round(world: World) -> None:
    for number in range(600):
        await ill(world, place(f"/job/{number}"), Health(failures=1))
    world.wait(HOUR + 1)
    assert await tidied(world) == []


@pytest.mark.parametrize("result", [BROKEN, REFUSED], ids=["endpoint", "origin"])
async def test_a_row_that_deliveries_wait_for_stays_however_long(world: World, result: Result) -> None:
    outage = Outage(world)
    await outage.owing(6)
    await outage.claim()
    await outage.answer(lambda _work: result)
    key = ORIGIN if result is REFUSED else place().endpoint
    before = await endpoint(world, key)
    world.wait(20 * HOUR)
    assert key in await tidied(world)
    assert await endpoint(world, key) == before


async def test_a_pause_stays_however_long(world: World) -> None:
    await world.database.write(lambda tx: endpoints.pause(tx, place()))
    world.wait(24 * 365 * HOUR)
    assert await tidied(world) == [place().endpoint]


async def test_a_retry_after_stays_until_it_is_over(world: World) -> None:
    outage = Outage(world)
    await outage.owing()
    (work,) = await outage.claim()
    await outage.settle(work, GONE_FOR_NOW)  # nothing waits there any more
    world.wait(2 * HOUR)
    await tidied(world)
    await outage.owing()
    assert await outage.claim() == []
    world.wait(HOUR)
    assert len(await outage.claim()) == 1


async def test_what_is_dropped_is_forgotten_and_counted_anew(world: World) -> None:
    outage = Outage(world)
    for _ in range(2):
        await outage.owing(4)
        for work in await outage.claim():
            await outage.settle(work, GONE)
        world.wait(HOUR + 1)
        assert await tidied(world) == []
    await outage.owing()
    assert len(await outage.claim()) == 1
    await outage.answer(lambda _work: OK)


async def test_while_the_database_can_not_be_used_it_waits_and_then_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_EVERY_S", 0.0)
    said: asyncio.Queue[str] = asyncio.Queue()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.put_nowait(record.getMessage())

    log, heard = logging.getLogger("ringback"), Heard()
    log.addHandler(heard)
    await closed(world, place())
    await crowd(world, 3)
    await world.lanes()
    world.wait(WINDOW_S)
    await world.database.write(lambda tx: tx.run("ALTER TABLE endpoints RENAME TO elsewhere"))
    keeping = asyncio.create_task(keep_tidy(world.database, WINDOW_S, tells=False))
    try:
        async with asyncio.timeout(20):
            assert "no such table" in await said.get()
            await world.database.write(lambda tx: tx.run("ALTER TABLE elsewhere RENAME TO endpoints"))
            while "3 deliveries given up" not in await said.get():
                pass
    finally:
        log.removeHandler(heard)
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
    assert await Outage(world).waiting() == 0
