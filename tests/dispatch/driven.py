"""The real store, outbox and dispatcher in a time of the test's own, where receivers answer by its word.

The dispatcher claims when it has said so and when somebody calls it, and never else: the look at everything
that it takes every five seconds is off. What is forgotten is forgotten for good.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from pathlib import Path

import pytest

from ringback.deliver import dispatcher as module
from ringback.deliver.dispatcher import Dispatcher, DispatchSettings
from ringback.rules.attempt import Result
from ringback.rules.endpoint import Target, endpoint_key
from ringback.rules.retry import SECOND
from ringback.store import runs
from ringback.store.database import Tx
from ringback.store.lanes import Telling
from ringback.store.outbox import Outbox
from ringback.store.predictions import Webhook
from ringback.store.runs import Change, Ending, NewChunk
from ringback.store.subjects import Hold
from ringback.words.errors import Conflict, Gone
from store.contract import prepared
from store.world import ACCOUNT, LINKS, WINDOW, World

NEVER_S = 1e9
_BUSY = 2000
"""Claims at one time after which it is said to do nothing else."""

Answers = Callable[[str], tuple[float, Result]]
"""Gives for a URL how many seconds its receiver takes, and what comes of it."""


@dataclass
class Receivers:
    """All receivers there are: what is sent waits until the test's time has come to its answer."""

    world: World
    answers: Answers
    due: list[tuple[int, int, asyncio.Future[None]]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Result:
        seconds, result = self.answers(url.partition("?")[0])
        if seconds:
            future = asyncio.get_running_loop().create_future()
            heappush(self.due, (self.world.now + int(seconds * SECOND), next(self._numbers), future))
            await future
        return result


@dataclass
class Driven:
    """A dispatcher with what it works with."""

    world: World
    receivers: Receivers
    dispatcher: Dispatcher
    outbox: Outbox
    _look_at: float = 0.0

    async def begin(self, webhook: Webhook) -> Hold:
        """A prediction that nobody is told of yet."""
        id_ = await self.world.create(webhook)
        return next(claim.hold for claim in await self.world.claim(1000) if claim.hold.id == id_)

    @staticmethod
    def target(webhook: Webhook) -> Target:
        return Target(webhook.origin, endpoint_key(ACCOUNT, webhook.url.partition("?")[0]))

    async def say(self, webhook: Webhook, hold: Hold) -> None:
        """One more item of output; of those in half a second one is told at once."""
        chunk: NewChunk = ("items", "[1]")

        async def verb(tx: Tx, telling: Telling) -> Change:
            return await runs.advance(tx, hold, started=True, chunks=[chunk], telling=telling)

        await self.outbox.change(self.target(webhook), verb)

    async def end(self, webhook: Webhook) -> None:
        """A prediction ends; what it owes is granted, if there is room."""
        hold = await self.begin(webhook)
        await self.outbox.change(
            self.target(webhook),
            lambda tx, telling: runs.end(tx, hold, Ending("fail", error="x"), telling),
        )

    async def asked(self, verb: Callable[[Tx], object]) -> None:
        """Somebody asks for something over the API, which then calls the dispatcher."""
        with contextlib.suppress(Conflict, Gone):
            await self.world.database.write(verb)  # type: ignore[arg-type] # any verb of the store
        self.dispatcher.wake()

    async def let_pass(self, seconds: float) -> None:
        """Let time pass; all that happens meanwhile happens at its time."""
        until = self.world.now + int(seconds * SECOND)
        while True:
            await self._now()
            at = self._next()
            if at > until:
                break
            self.world.clock.now = max(self.world.now, int(at))
            while self.receivers.due and self.receivers.due[0][0] <= self.world.now:
                heappop(self.receivers.due)[2].set_result(None)
        self.world.clock.now = until

    async def until_nothing_happens(self, most_s: float) -> None:
        """Let time pass until nobody has anything more to do, which must be within `most_s`."""
        began = self.world.now
        while (at := self._next()) < began + NEVER_S // 2 * SECOND:
            assert at <= began + most_s * SECOND, "it goes on and on"
            await self.let_pass(max(0.0, (at - self.world.now) / SECOND))

    def _next(self) -> float:
        return min([self._look_at, *(at for at, _, _ in self.receivers.due[:1])])

    async def _now(self) -> None:
        """Do all that is to be done at this time, as Dispatcher.run does it."""
        dispatcher = self.dispatcher
        for _ in range(_BUSY):
            await self._quiet()
            if not dispatcher._called.is_set() and self._look_at > self.world.now:
                return
            dispatcher._called.clear()
            dispatcher._planned = module._NEVER
            wait = await dispatcher.run_once()
            self._look_at = min(dispatcher._planned, self.world.now + wait * SECOND)
        raise AssertionError("it does nothing else")

    async def _quiet(self) -> None:
        """Wait until whatever is in flight waits for its receiver."""
        while len(self.dispatcher._tasks) > len(self.receivers.due):  # noqa: ASYNC110 - the rest is committed
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def driven(
    folder: Path,
    answers: Answers,
    settings: DispatchSettings,
    patch: pytest.MonkeyPatch,
    jitter: Callable[[], float] = float,
) -> AsyncIterator[Driven]:
    patch.setattr(module, "_POLL_S", NEVER_S)
    async with prepared(folder) as world:
        receivers = Receivers(world, answers)
        dispatcher = Dispatcher(
            world.database, receivers, settings, holder="dispatcher_1", clock=world.clock, jitter=jitter
        )
        found = Driven(world, receivers, dispatcher, Outbox(world.database, dispatcher, WINDOW, LINKS))
        try:
            yield found
        finally:
            await dispatcher.drain(0.0)
