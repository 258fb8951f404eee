"""What was down and answers again gets all that waits for it, at once and gently; the clock stands still."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import pytest
from aiohttp import web

from promises.house import House, house
from ringback.deliver.dispatcher import DispatchSettings
from ringback.store import endpoints
from store.crowd import crowd
from store.outage import REFUSED, Outage
from store.world import LINKS, OK, World, busy, hook, opened
from support.receiver import Answer, Received, Receiver, ok, receiving, status

COUNT = 60
LIMIT = 8
SHARE = 6
"""Of an origin's slots a quarter is kept for its other endpoints."""

ROUNDS = (1, 1, 2, 4, *[SHARE] * 8, 4)
"""How many are in flight at a time: the probe, then as many as it has answered so far, up to its share."""

SETTINGS = DispatchSettings(LINKS, in_flight=64, in_flight_per_origin=LIMIT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Line:
    """An endpoint that is down and comes back, and one that is well; `flight` has what was in flight."""

    here: House
    well: Receiver
    origin: str
    stack: AsyncExitStack
    flight: list[tuple[int, int]] = field(default_factory=list)
    there: Receiver | None = None

    @property
    def receiver(self) -> Receiver:
        assert self.there is not None
        return self.there

    async def owe(self, count: int, path: str = "/hook") -> list[str]:
        ids = await crowd(self.here.world, count, hook("completed", origin=self.origin, path=path))
        self.here.dispatcher.wake()
        return ids

    async def settled(self) -> None:
        """Once all that can begin now has begun and has arrived, and what was answered is recorded."""
        for _ in range(3):
            self.here.dispatcher.wake()
            for _ in range(3):
                await self.here.world.database.write(nothing)
            await self.here.pass_by(self.well)

    async def appears(self) -> Receiver:
        port = int(self.origin.rpartition(":")[2])
        self.there = await self.stack.enter_async_context(receiving(port))
        return self.there

    async def tries(self, seconds: int) -> None:
        """Let time pass, second by second, as a probe may be due at any of them."""
        for _ in range(seconds):
            self.here.world.wait(1)
            await self.settled()

    def answers(self, answer: Answer) -> None:
        """Answer so, and note how many had begun and how many were acknowledged at that moment."""

        def noted(item: Received) -> web.StreamResponse:
            self.flight.append((len(self.receiver.received), len(self.receiver.acknowledged)))
            return answer(item)

        self.receiver.answer = noted


async def nothing(_tx: object) -> None:
    pass


@asynccontextmanager
async def line(folder: Path) -> AsyncIterator[Line]:
    async with AsyncExitStack() as stack:
        well = await stack.enter_async_context(receiving())
        here = await stack.enter_async_context(house(folder, SETTINGS))
        yield Line(here, well, f"http://127.0.0.1:{free_port()}", stack)


async def statuses(world: World) -> dict[str, int]:
    return dict(await world.rows("SELECT status, count(*) FROM deliveries GROUP BY status"))


async def is_closed(world: World, key: str) -> bool:
    found = await world.database.read(lambda tx: endpoints.get(tx, key))
    return found is not None and found.health.is_closed


async def refuses(here: Line) -> None:
    """Nothing listens there, until somebody does."""
    await here.owe(COUNT)
    await here.settled()
    assert await is_closed(here.here.world, here.origin)
    (await here.appears()).hold()
    here.answers(ok)


async def answers_503(here: Line) -> None:
    """It answers, and can't do its work."""
    (await here.appears()).answer = status(503)
    await here.owe(COUNT)
    await here.settled()
    here.receiver.received.clear()
    here.receiver.hold()
    here.answers(ok)


@pytest.mark.parametrize("is_down", [refuses, answers_503])
async def test_all_that_waits_goes_out_ramped_up_when_it_answers_and_nothing_waits_for_its_own_time(
    tmp_path: Path, is_down: Callable[[Line], Awaitable[None]]
) -> None:
    async with line(tmp_path) as there:
        await is_down(there)
        world = there.here.world
        assert await statuses(world) == {"pending": COUNT}
        world.wait(1)
        answers_at = world.now  # those that were tried have a time of their own, seconds from now
        for total in accumulate(ROUNDS):
            there.here.dispatcher.wake()
            await there.receiver.until(lambda r, total=total: len(r.received) >= total)  # type: ignore[misc] # now
            await there.settled()
            assert len(there.receiver.received) == total
            there.receiver.release()
            there.receiver.hold()
        await there.receiver.until(lambda r: len(r.acknowledged) == COUNT)
        assert world.now == answers_at
        assert max(begun - done for begun, done in there.flight) <= SHARE
        assert len({item.id for item in there.receiver.acknowledged}) == COUNT


async def test_a_probe_at_a_time_is_all_that_one_that_is_down_gets(tmp_path: Path) -> None:
    async with line(tmp_path) as there:
        (await there.appears()).answer = status(503)
        await there.owe(COUNT)
        await there.settled()
        before = len(there.receiver.received)
        assert before <= 2 * LIMIT
        await there.tries(31)
        assert len(there.receiver.received) - before == 5  # after 1, 3, 7, 15 and 31 seconds
        assert await statuses(there.here.world) == {"pending": COUNT}


async def test_a_retry_after_is_kept_before_anything_goes_out_again(tmp_path: Path) -> None:
    async with line(tmp_path) as there:
        (await there.appears()).answer = status(503)
        await there.owe(COUNT)
        await there.settled()
        there.receiver.answer = status(503, {"retry-after": "600"})
        await there.tries(1)
        there.receiver.answer = ok
        before = len(there.receiver.received)
        for _ in range(10):
            there.here.world.wait(59.9)
            await there.settled()
        assert len(there.receiver.received) == before
        there.here.world.wait(1)
        there.here.dispatcher.wake()
        await there.receiver.until(lambda r: len(r.acknowledged) == COUNT)


async def test_where_each_url_is_another_they_come_back_all_the_same(tmp_path: Path) -> None:
    async with line(tmp_path) as there:
        (await there.appears()).answer = status(503)
        for number in range(20):
            await there.owe(1, f"/job/{number}/done")
            await there.settled()
        assert len(there.receiver.received) <= LIMIT
        there.receiver.answer = ok
        for _ in range(70):
            await there.tries(1)
        assert await statuses(there.here.world) == {"delivered": 20}


async def test_what_is_owed_while_it_recovers_goes_with_the_rest(tmp_path: Path) -> None:
    async with line(tmp_path) as there:
        (await there.appears()).answer = status(503)
        await there.owe(COUNT)
        await there.settled()
        there.receiver.answer = ok
        there.receiver.hold()
        there.here.world.wait(1)
        there.here.dispatcher.wake()
        await there.receiver.until(lambda r: r.held == 1)
        await there.owe(5)
        there.receiver.release()
        await there.receiver.until(lambda r: len(r.acknowledged) == COUNT + 5)


async def test_what_failed_with_its_origin_goes_as_soon_as_a_retry_after_is_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        outage = Outage(world)
        await crowd(world, 6)
        await outage.claim()
        last, *others = outage.flying
        for work in others:
            await outage.settle(work, REFUSED)
        world.wait(0.1)
        await outage.settle(last, busy(2))  # an answer: the origin is there again
        assert await outage.claim() == []
        await outage.run(lambda _work: OK, 4.5)  # those that were refused would be due after five seconds
        assert await outage.waiting() == 1
