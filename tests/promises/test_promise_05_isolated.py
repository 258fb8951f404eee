"""An endpoint that hangs takes its own share of the slots and nobody else's."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from promises.house import House, house
from ringback.deliver.dispatcher import DispatchSettings
from ringback.store.runs import Ending
from store.crowd import crowd
from store.world import LINKS, hook
from support.receiver import Receiver, ok, receiving, status

FOUR_SLOTS = DispatchSettings(LINKS, in_flight=4, in_flight_per_origin=2)
EIGHT_FOR_EACH = DispatchSettings(LINKS, in_flight=64, in_flight_per_origin=8)


async def ring(here: House, receiver: Receiver, *, granted: bool) -> None:
    """Owe a `completed`: granted in its transaction if there is room, or left free to be claimed."""
    hold = await here.running(receiver, "completed")
    if granted:
        await here.end(receiver, hold)
    else:
        await here.world.end(hold, Ending("succeed"))
        here.dispatcher.wake()


@pytest.mark.parametrize("granted", [True, False])
async def test_an_endpoint_that_hangs_keeps_nobody_else_waiting(tmp_path: Path, granted: bool) -> None:
    async with house(tmp_path, FOUR_SLOTS) as here, receiving() as hanging, receiving() as healthy:
        hanging.hold()
        for _ in range(6):
            await ring(here, hanging, granted=granted)
        await hanging.until(lambda r: r.held >= 2)
        await ring(here, healthy, granted=granted)
        await healthy.until(lambda r: len(r.acknowledged) == 1, timeout=5)
        assert hanging.held == 2
        hanging.release()
        await hanging.until(lambda r: len(r.acknowledged) == 6)


class Hanging(web.StreamResponse):
    """Never begins to answer."""

    async def prepare(self, _request: web.BaseRequest) -> None:
        await asyncio.Event().wait()


async def owe(here: House, receiver: Receiver, count: int, path: str) -> None:
    """Predictions that have ended, for one URL of a receiver; a claim finds them."""
    await crowd(here.world, count, hook("completed", origin=receiver.url.removesuffix("/hook"), path=path))
    here.dispatcher.wake()


def of(receiver: Receiver, path: str) -> int:
    return sum(item.path.startswith(path) for item in receiver.received)


async def test_a_url_that_hangs_keeps_no_other_of_its_origin_waiting(tmp_path: Path) -> None:
    async with house(tmp_path, EIGHT_FOR_EACH) as here, receiving() as receiver:
        receiver.answer = lambda item: Hanging(status=500) if item.path.startswith("/hangs") else ok(item)
        await owe(here, receiver, 40, "/hangs")
        await receiver.until(lambda r: of(r, "/hangs") == 6)
        for number in range(10):
            await owe(here, receiver, 4, f"/well/{number % 2}")
            await receiver.until(lambda r, number=number: of(r, "/well") == 4 * number + 4)  # type: ignore[misc] # now
        hold = await here.running(receiver, "completed")
        await here.end(receiver, hold)  # granted: its own transaction finds the room that was kept
        await receiver.until(lambda r: of(r, "/hook") == 1)
        assert of(receiver, "/hangs") == 6


@pytest.mark.parametrize("each_its_own", [False, True], ids=["one URL", "a URL for each job"])
async def test_thousands_that_wait_for_a_closed_endpoint_hide_nobody(
    tmp_path: Path, each_its_own: bool
) -> None:
    async with house(tmp_path) as here, receiving() as dead, receiving() as healthy:
        dead.answer = status(503)
        if each_its_own:
            for number in range(200):
                await owe(here, dead, 1, f"/job/{number}")
        await owe(here, dead, 3000, "/closed")
        for number in range(10):
            await owe(here, healthy, 5, "/hook")
            await healthy.until(lambda r, number=number: len(r.acknowledged) == 5 * number + 5)  # type: ignore[misc] # now
        if not each_its_own:
            dead.answer = lambda item: status(503 if item.path.startswith("/closed") else 200)(item)
            await owe(here, dead, 5, "/well")
            await dead.until(lambda r: len(r.acknowledged) == 5)
        assert len(dead.received) < 200
        assert await here.world.rows("SELECT 1 FROM deliveries WHERE status = 'pending' LIMIT 1 OFFSET 2999")
