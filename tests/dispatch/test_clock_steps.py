"""The wall clock steps an hour while all kinds of deliveries wait: none stalls, is lost or comes twice."""

import asyncio
from email.utils import formatdate

import pytest
from aiohttp import web

from dispatch.moved import Moved, hook
from ringback.rules.retry import SECOND
from ringback.store.runs import Ending
from ringback.words.signature import verify
from store.world import hook as store_hook
from support.receiver import Received, Receiver

HOUR = 3600 * SECOND
SECRET = "whsec_c2VjcmV0"


def once(received: Received) -> web.StreamResponse:
    """What is wrong with the body is no fault of the endpoint: only the delivery waits."""
    if received.attempt > 1 or received.event != "completed":
        return web.Response()
    return web.Response(status=422, headers={"retry-after": "60"} if received.path == "/asks" else {})


async def three_wait(here: Moved, receiver: Receiver) -> tuple[str, str, str]:
    """A throttled output (0.5 s), a retry (5 s), and one that the receiver wants in a minute."""
    receiver.answer = once
    world = here.world
    streams = await world.running(hook(receiver, "/streams", "output"))
    await world.advance(streams, ("items", "[1]"))
    fails = await world.running(hook(receiver, "/fails", "completed"))
    await world.end(fails, Ending("succeed"))
    asks = await world.running(hook(receiver, "/asks", "completed"))
    await world.end(asks, Ending("succeed"))
    await here.go()
    await world.advance(streams, ("items", "[2]"))
    assert len(receiver.received) == 3
    return streams.id, fails.id, asks.id


async def arrived(here: Moved, receiver: Receiver, after_s: float, begun: int) -> list[str]:
    """What has arrived by so many real seconds since then."""
    here.wait(begun + int(after_s * SECOND) - here.machine.boot)
    await here.go()
    return [item.path for item in receiver.received[3:]]


@pytest.mark.parametrize("step", [HOUR, -HOUR, 0])
async def test_each_goes_out_once_within_a_tenth_of_its_time(
    here: Moved, receiver: Receiver, step: int
) -> None:
    ids = await three_wait(here, receiver)
    begun = here.machine.boot
    here.step(step)
    assert await arrived(here, receiver, 0.45, begun) == []
    assert await arrived(here, receiver, 0.56, begun) == ["/streams"]
    assert await arrived(here, receiver, 4.5, begun) == ["/streams"]
    assert await arrived(here, receiver, 5.6, begun) == ["/streams", "/fails"]
    assert await arrived(here, receiver, 54, begun) == ["/streams", "/fails"]
    assert await arrived(here, receiver, 67, begun) == ["/streams", "/fails", "/asks"]
    here.wait(24 * HOUR)
    await here.go()
    assert len(receiver.received) == 6
    for id_ in ids:
        assert [item.id for item in receiver.acknowledged if id_ in item.id].count(f"evt_{id_}_1") == 1
    assert {fate for id_ in ids for _, _, fate in await here.world.fates(id_)} == {"delivered"}


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_the_timestamp_is_the_wall_clocks_so_that_receivers_accept_it(
    here: Moved, receiver: Receiver, step: int
) -> None:
    here.step(step)
    hold = await here.world.running(hook(receiver, "/hook", "completed"))
    await here.world.end(hold, Ending("succeed"))
    await here.go()
    (item,) = receiver.received
    verify(
        SECRET,
        item.id,
        item.headers["webhook-timestamp"],
        item.body,
        item.headers["webhook-signature"],
        now=here.machine.wall / SECOND,
        tolerance_s=1,
    )


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_step_during_an_attempt_changes_nothing_of_it(
    here: Moved, receiver: Receiver, step: int
) -> None:
    hold = await here.world.running(store_hook("completed", origin=receiver.url.removesuffix("/hook")))
    await here.world.end(hold, Ending("succeed"))
    receiver.hold()
    going = asyncio.create_task(here.go())
    await receiver.until(lambda it: it.held == 1)
    here.step(step)
    receiver.release()
    await going
    assert [fate for _, _, fate in await here.world.fates(hold.id)] == ["delivered"]
    here.wait(24 * HOUR)
    await here.go()
    assert len(receiver.received) == 1


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_date_is_a_wait_by_the_wall_clock(here: Moved, receiver: Receiver, step: int) -> None:
    """A minute ahead of the wall clock, which is the receiver's too, is a minute, whatever the time here."""
    here.step(step)
    date = formatdate(here.machine.wall // SECOND + 60, usegmt=True)
    receiver.answer = lambda item: web.Response(
        status=422 if item.attempt == 1 else 200, headers={"retry-after": date}
    )
    hold = await here.world.running(hook(receiver, "/hook", "completed"))
    await here.world.end(hold, Ending("succeed"))
    await here.go()
    here.wait(54 * SECOND)
    await here.go()
    assert len(receiver.received) == 1
    here.wait(13 * SECOND)
    await here.go()
    assert len(receiver.acknowledged) == 1


async def test_a_wrong_reading_of_a_day_ahead_ends_no_window(here: Moved, receiver: Receiver) -> None:
    receiver.answer = lambda item: web.Response(status=422 if item.attempt <= 2 else 200)
    hold = await here.world.running(hook(receiver, "/hook", "completed"))
    await here.world.end(hold, Ending("succeed"))
    await here.go()
    here.step(25 * HOUR)
    await here.go()
    here.step(-25 * HOUR)
    assert len(receiver.received) == 1
    for seconds in (5.6, 60):
        here.wait(int(seconds * SECOND))
        await here.go()
    assert [fate for _, _, fate in await here.world.fates(hold.id)] == ["delivered"]
    assert len(receiver.received) == 3
