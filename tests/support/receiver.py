"""A real HTTP receiver in the test's own event loop: it records, verifies, holds and answers as told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[["Received"], web.StreamResponse]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def number(self) -> int:
        return int(self.id.rpartition("_")[2])

    @property
    def event(self) -> str:
        return self.headers["ringback-event"]

    @property
    def attempt(self) -> int:
        return int(self.headers["ringback-attempt"])

    @property
    def prediction(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


def ok(_received: Received) -> web.StreamResponse:
    return web.json_response({"ok": True})


def status(code: int, headers: dict[str, str] | None = None) -> Answer:
    return lambda _received: web.Response(status=code, headers=headers)


@dataclass
class Receiver:
    """What came, what was acknowledged, and how to answer the next."""

    url: str = ""
    answer: Answer = ok
    received: list[Received] = field(default_factory=list)
    acknowledged: list[Received] = field(default_factory=list)
    held: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def hold(self) -> None:
        """Answer nothing until `release`."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def until(self, holds: Callable[["Receiver"], bool], timeout: float = 20.0) -> None:
        """Wait until `holds` of this receiver; checked whenever something changes."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: holds(self))

    def of(self, prediction_id: str) -> list[Received]:
        return [item for item in self.received if prediction_id in item.id]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {key.lower(): value for key, value in request.headers.items()}
        item = Received(request.path_qs, headers, await request.read())
        self.received.append(item)
        self.held += 1
        await self._tell()
        try:
            await self._open.wait()
        finally:
            self.held -= 1
        response = self.answer(item)
        if 200 <= response.status < 300:
            self.acknowledged.append(item)
        await self._tell()
        return response

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    """Run a receiver on loopback; its `url` ends with /hook."""
    receiver = Receiver()
    receiver.release()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        receiver.release()
        await runner.cleanup()
