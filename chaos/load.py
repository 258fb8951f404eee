"""What people do meanwhile: create, cancel, rotate, send again; all of it at a server that may be gone."""

import asyncio
import contextlib
import random
from typing import Any

import aiohttp

from chaos.ledger import Asked, Ledger
from chaos.process import TOKEN
from chaos.receivers import Receivers

_CREATORS = 8
_OPEN = {"echo": 250, "tokens": 25}
"""Predictions that may be under way: more would only make a queue that has to be waited for at the end."""

_PACE_S = (0.0, 0.03)
_CANCELS = 0.06
_ROTATES_S = (0.3, 1.2)
_RESENDS_S = (0.05, 0.2)
_ALL = ("start", "output", "logs", "completed")
_FILTERS = (
    ("completed",),
    ("completed",),
    ("start", "completed"),
    ("output", "completed"),
    ("logs", "completed"),
    ("output",),
    _ALL,
    _ALL,
)
_WORDS = ("lorem", "ipsum", "dolor", "sit", "amet", "consetetur", "sadipscing", "elitr", "sed", "diam")


class Load:
    """People at work."""

    def __init__(self, ledger: Ledger, receivers: Receivers, chance: random.Random) -> None:
        self._ledger = ledger
        self._receivers = receivers
        self._chance = chance
        self._url = ""
        self._session: aiohttp.ClientSession | None = None
        self._running: list[asyncio.Task[None]] = []
        self._under_way: dict[str, set[str]] = {name: set() for name in _OPEN}
        self.counts = dict.fromkeys(("created", "canceled", "rotated", "resent"), 0)

    async def begin(self, url: str) -> None:
        """Work against the server at `url`."""
        self._url = url
        self._session = aiohttp.ClientSession(headers={"authorization": f"Bearer {TOKEN}"})
        await self.learn()
        work = [*(self._creating() for _ in range(_CREATORS)), self._rotating(), self._resending()]
        self._running = [asyncio.create_task(item) for item in work]

    async def end(self) -> None:
        """Work no more; also when the server is gone, which ends it by itself."""
        for task in self._running:
            task.cancel()
        for result in await asyncio.gather(*self._running, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        self._running = []
        if self._session is not None:
            await self._session.close()

    async def learn(self) -> None:
        """Learn the secret there is now: whoever rotated it may have died before it was told."""
        with contextlib.suppress(aiohttp.ClientError):
            _, found = await self._call("GET", "/v1/webhooks/default/secret")
            self._ledger.secrets[found["key"]] = None

    async def _call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        assert self._session is not None
        async with self._session.request(method, self._url + path, json=body) as answer:
            found = await answer.json()
            if answer.status >= 500:
                self._ledger.wrong(f"{method} {path.partition('?')[0]} answered {answer.status}: {found}")
            return answer.status, found

    async def _creating(self) -> None:
        with contextlib.suppress(aiohttp.ClientError):
            while True:
                await asyncio.sleep(self._chance.uniform(*_PACE_S))
                await self._create("tokens" if self._chance.random() < 0.25 else "echo")

    async def _create(self, model: str) -> None:
        under_way = self._under_way[model]
        if len(under_way) >= _OPEN[model]:
            under_way -= {id_ for id_ in under_way if self._ledger.has_ended(id_)}
            if len(under_way) >= _OPEN[model]:
                return
        words = self._chance.choices(_WORDS, k=self._chance.randint(1, 12))
        text = " ".join(words)
        events = self._chance.choice(_FILTERS)
        hook = self._chance.choice(self._receivers.all).url
        input_: dict[str, object] = {"text": text}
        if model == "tokens":
            input_["pause"] = self._chance.uniform(0.0, 0.01)
        body = {
            "version": f"chaos/{model}",
            "input": input_,
            "webhook": hook,
            "webhook_events_filter": events,
        }
        status, found = await self._call("POST", "/v1/predictions", body)
        if status != 201:
            self._ledger.wrong(f"a create was answered {status}: {found}")
            return
        id_ = found["id"]
        self._ledger.asked[id_] = Asked(frozenset(events), words if model == "tokens" else text)
        if "completed" in events:
            under_way.add(id_)
        self.counts["created"] += 1
        if self._chance.random() < _CANCELS:
            await self._call("POST", f"/v1/predictions/{id_}/cancel")
            self.counts["canceled"] += 1

    async def _rotating(self) -> None:
        with contextlib.suppress(aiohttp.ClientError):
            while True:
                await asyncio.sleep(self._chance.uniform(*_ROTATES_S))
                _, found = await self._call("POST", "/v1/webhooks/default/secret/rotate")
                self._ledger.secrets[found["key"]] = None
                self.counts["rotated"] += 1

    async def _resending(self) -> None:
        """Ask for what was acknowledged once more, and force it where that goes backwards."""
        with contextlib.suppress(aiohttp.ClientError):
            while True:
                await asyncio.sleep(self._chance.uniform(*_RESENDS_S))
                recent = list(self._ledger.events)[-200:]
                if recent:
                    await self._resend(self._chance.choice(recent))

    async def _resend(self, id_: str) -> None:
        if not self._ledger.events[id_].acknowledged:
            return
        is_forced = self._chance.random() < 0.5
        if is_forced:
            self._ledger.forced.add(id_)
        status, _ = await self._call("POST", f"/v1/webhooks/deliveries/{id_}/resend", {"force": is_forced})
        self.counts["resent"] += status < 300
