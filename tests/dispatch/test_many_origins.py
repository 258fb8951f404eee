"""Hundreds that fail or come back, and what they cost the dispatcher: few claims, and no waiting in turn."""

import asyncio
from collections.abc import Sequence

from aiohttp import web
from msgspec.structs import replace

from dispatch.moved import Moved, hook
from ringback.rules import endpoint as rules
from ringback.rules.endpoint import Health, HealthRules, Target, endpoint_key
from ringback.rules.retry import SECOND
from ringback.store import endpoints
from ringback.store.database import Tx
from ringback.store.endpoints import Endpoint
from ringback.store.runs import Ending
from store.crowd import crowd
from store.outage import Outage
from store.world import ACCOUNT, World
from store.world import hook as at
from support.receiver import Received, Receiver, ok

EITHER_SIDE = [f"http://10.0.0.{number}:80" for number in range(150)] + [
    f"http://z{number}.example:80" for number in range(150)
]
"""In the order of the walk, some before a receiver on loopback and some after it."""

REFUSING = [f"http://127.1.{number // 100}.{number % 100 + 1}:9" for number in range(300)]


async def closed(world: World, origins: Sequence[str], *, first_s: float, apart_s: float) -> None:
    """Origins that were refused for long and that each owe something; their probes are due in turn."""
    for origin in origins:
        await crowd(world, 1, at("completed", origin=origin))
    broken = Health(failures=9, failing_since=world.now, failed_at=world.now, diagnosis="refused")
    shut = replace(rules.close(broken, world.now, HealthRules()), gap=60 * SECOND)

    async def save(tx: Tx) -> None:
        for number, origin in enumerate(origins):
            due = tx.now + int((first_s + number * apart_s) * SECOND)
            health = replace(shut, not_before=due)
            await endpoints.save(tx, Endpoint(origin, "", origin, origin, None, health))

    await world.database.write(save)


async def busily(here: Moved, receiver: Receiver) -> float:
    """Make all that is due, and claim on while all slots are taken; give the seconds until the next look."""
    while True:
        receiver.hold()
        for _ in range(16):
            wait = await here.dispatcher.run_once()
        if not here.dispatcher._tasks:
            return wait
        receiver.release()
        await asyncio.wait(here.dispatcher._tasks)


async def let_pass(here: Moved, seconds: float) -> int:
    """Let time pass; give how many claims were made."""
    until, count = here.clock() + int(seconds * SECOND), 0
    while here.clock() < until:
        wait = await here.dispatcher.run_once()
        count += 1
        assert count < 100 * seconds, "it does nothing else"
        if here.dispatcher._tasks:
            await asyncio.wait(here.dispatcher._tasks)
            continue
        here.wait(min(int(wait * SECOND), until - here.clock()))
    return count


async def test_what_a_healthy_origin_owes_is_in_the_next_claim_though_300_closed_ones_wait(
    here: Moved, receiver: Receiver
) -> None:
    await closed(here.world, EITHER_SIDE, first_s=3600, apart_s=0)
    await let_pass(here, 1)
    for number in range(3):
        hold = await here.world.running(hook(receiver, f"/{number}", "completed"))
        change = await here.world.end(hold, Ending("fail", error="x"))
        origin = receiver.url.removesuffix("/hook")
        here.dispatcher.expect(change.owed, Target(origin, endpoint_key(ACCOUNT, f"{origin}/{number}")))
        await here.dispatcher.run_once()
        assert here.dispatcher.in_flight == 1
        await asyncio.wait(here.dispatcher._tasks)
        assert [each.path for each in receiver.received[number:]] == [f"/{number}"]


async def test_while_300_closed_origins_wait_and_nothing_is_due_there_is_hardly_a_claim(here: Moved) -> None:
    await closed(here.world, EITHER_SIDE, first_s=3600, apart_s=0)
    await let_pass(here, 10)
    assert await let_pass(here, 60) < 2 * 60


async def test_a_probe_of_one_of_300_closed_origins_costs_a_claim_and_not_a_walk(here: Moved) -> None:
    await closed(here.world, REFUSING, first_s=5, apart_s=0.2)
    await let_pass(here, 5)
    count = await let_pass(here, 10)
    made = await here.world.row("SELECT count(*) FROM attempts")
    assert 45 <= made[0] <= 55
    assert count < 4 * 50


def every_fifth(received: Received) -> web.StreamResponse:
    return ok(received) if "/well" in received.path else web.Response(status=503)


async def test_200_shelves_of_one_origin_go_one_after_the_other_as_its_slots_come_free(
    here: Moved, receiver: Receiver
) -> None:
    receiver.answer = every_fifth
    for number in range(250):
        path = f"/well/{number}" if number % 5 == 4 else f"/job/{number}"
        await crowd(here.world, 1, hook(receiver, path, "completed"))
        if number % 5 == 4:
            await here.go()
    receiver.answer = ok
    here.wait(600 * SECOND)
    began = here.clock()
    while await Outage(here.world).waiting():
        wait = await busily(here, receiver)
        assert here.clock() - began <= 2 * SECOND
        here.wait(int(wait * SECOND))
