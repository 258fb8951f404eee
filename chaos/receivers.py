"""Receivers as they are in the world: quick, slow, failing now and then, hanging, down and up again."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from chaos.ledger import Arrival, Ledger, headers_of

_SLOW_S = (0.02, 0.15)
_FAILS = 0.35
_STATUSES = (500, 502, 503, 429)
_HANGS = 0.3
_HANGS_S = 3600.0
_DOWN_S = (0.3, 1.5)
_UP_S = (0.3, 1.5)


class Receiver:
    """One that writes down what comes, and then behaves in its own way, until there is peace."""

    def __init__(self, ledger: Ledger, behave: Callable[[], int | float]) -> None:
        """Take the ledger, and what says how the next request fares: a status, or seconds until a 200."""
        self._ledger = ledger
        self._behave = behave
        self._peace = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it is, or will be again."""
        return f"http://127.0.0.1:{self._port}/hook"

    async def up(self) -> None:
        """Listen, on the same port each time."""
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/hook", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def down(self) -> None:
        """Cut all connections and refuse new ones."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def calm(self) -> None:
        """Answer 200 from now on, what hangs too."""
        self._peace.set()

    def storm(self) -> None:
        """Behave again."""
        self._peace.clear()

    async def _handle(self, request: web.Request) -> web.Response:
        id_, attempt, timestamp, signature, event = headers_of(request.headers)
        self._ledger.begun(id_)
        body = await request.read()
        self._ledger.came(Arrival(id_, attempt, timestamp, signature, body), event)
        status = await self._status()
        if status < 300:
            self._ledger.acknowledged(id_)
        return web.Response(status=status)

    async def _status(self) -> int:
        if self._peace.is_set():
            return 200
        fate = self._behave()
        if isinstance(fate, int):
            return fate
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peace.wait(), fate)
        return 200


class Receivers:
    """All of them."""

    def __init__(self, ledger: Ledger, chance: random.Random) -> None:
        self._chance = chance
        self.quick = Receiver(ledger, lambda: 200)
        self.slow = Receiver(ledger, lambda: chance.uniform(*_SLOW_S))
        self.flaky = Receiver(ledger, lambda: chance.choice(_STATUSES) if chance.random() < _FAILS else 200)
        self.hanging = Receiver(ledger, lambda: _HANGS_S if chance.random() < _HANGS else 200)
        self.absent = Receiver(ledger, lambda: 200)
        self._is_calm = asyncio.Event()

    @property
    def all(self) -> tuple[Receiver, ...]:
        """Each of them."""
        return (self.quick, self.slow, self.flaky, self.hanging, self.absent)

    def calm(self) -> None:
        """Let all of them be up and answer 200."""
        self._is_calm.set()
        for receiver in self.all:
            receiver.calm()

    def storm(self) -> None:
        """Let them behave as they do."""
        self._is_calm.clear()
        for receiver in self.all:
            receiver.storm()

    async def come_and_go(self) -> None:
        """Have one of them down now and then."""
        while True:
            await asyncio.sleep(self._chance.uniform(*_UP_S))
            if self._is_calm.is_set():
                continue
            await self.absent.down()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_calm.wait(), self._chance.uniform(*_DOWN_S))
            await self.absent.up()


@asynccontextmanager
async def receiving(ledger: Ledger, chance: random.Random) -> AsyncIterator[Receivers]:
    """Run them until the block ends."""
    receivers = Receivers(ledger, chance)
    for receiver in receivers.all:
        await receiver.up()
    moving = asyncio.create_task(receivers.come_and_go())
    try:
        yield receivers
    finally:
        moving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await moving
        for receiver in receivers.all:
            await receiver.down()
