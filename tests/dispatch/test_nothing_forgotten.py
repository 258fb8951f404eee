"""Whatever befalls receivers, nothing that is owed is forgotten, though nobody looks at everything."""

import random
from functools import partial
from pathlib import Path

import pytest

from dispatch.driven import Driven, driven
from ringback.deliver import agenda
from ringback.deliver.dispatcher import DispatchSettings
from ringback.rules.attempt import Result
from ringback.rules.endpoint import HealthRules, Target, endpoint_key
from ringback.store import claims, endpoints, resends
from ringback.store.predictions import Webhook
from ringback.store.subjects import Hold
from store.outage import HANGS, MISSING, REFUSED, UNFIT
from store.world import ACCOUNT, BROKEN, GONE, LINKS, OK, busy, hook

ORIGINS = [f"http://x{number}.example:80" for number in range(4)]
PLACES = [(origin, path) for origin in ORIGINS for path in ("/a", "/b", "/c")]
TARGETS = [Target(origin, endpoint_key(ACCOUNT, f"{origin}{path}")) for origin, path in PLACES]

NO_NAME = Result("dns", "no such name", None, "", 1000)
LONGEST_S = 7200.0
"""The longest wait of a schedule's own, seconds."""

RESULTS = [OK, OK, BROKEN, HANGS, REFUSED, GONE, UNFIT, MISSING, NO_NAME, busy(3.0)]


FEW = [
    (agenda, "_ORIGINS", 3),
    (agenda, "_AT_ONCE", 1),
    (claims, "_ORIGINS", 2),
    (claims, "_WINDOW", 4),
    (claims, "_ROWS", 8),
    (endpoints, "_SERVED_AT_ONCE", 1),
]
"""What is looked at in one step, cut to where a few origins are many."""


class Life:
    """What happens, by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.is_over = False
        self.always: dict[str, Result] = {}
        self.streams: list[tuple[Webhook, Hold]] = []

    def settings(self) -> DispatchSettings:
        pick = self.random.choice
        return DispatchSettings(
            LINKS,
            in_flight=pick([2, 4, 12]),
            in_flight_per_origin=pick([1, 2, 4]),
            health=HealthRules(close_after=pick([1, 2, 5])),
        )

    def answer(self, url: str) -> tuple[float, Result]:
        if self.is_over:
            return self.random.choice([0.0, 0.01]), OK
        result = self.always.get(url) or self.random.choice(RESULTS)
        return (15.0 if result is HANGS else self.random.choice([0.0, 0.001, 0.05, 1.0])), result

    async def happen(self, here: Driven) -> None:
        """Predictions end or go on; receivers change their minds."""
        match self.random.randrange(10):
            case 0:
                self.always = {f"{place}{path}": self.random.choice(RESULTS) for place, path in PLACES}
            case 1:
                webhook = self.webhook()
                self.streams.append((webhook, await here.begin(webhook)))
            case 2 | 3 if self.streams:
                await here.say(*self.random.choice(self.streams))
            case _:
                await here.end(self.webhook())

    def webhook(self) -> Webhook:
        origin, path = self.random.choice(PLACES)
        if self.random.random() < 0.3:
            path = f"/job/{self.random.randrange(10**6)}"
        return hook("output", "completed", origin=origin, path=path)

    async def somebody_asks(self, here: Driven) -> None:
        """Over the API, which then calls the dispatcher."""
        target = self.random.choice(TARGETS)
        match self.random.randrange(3):
            case 0:
                await here.asked(partial(endpoints.pause, target=target))
            case 1:
                await here.asked(partial(endpoints.resume, target=target))
            case _:
                rows = await here.world.rows("SELECT prediction_id, number FROM deliveries ORDER BY 1, 2")
                id_, number = self.random.choice(rows)
                await here.asked(lambda tx: resends.resend(tx, ACCOUNT, id_, number, LINKS, force=False))


async def outlived(life: Life, here: Driven) -> None:
    """From now on all answer: nothing may be left."""
    waited = await here.world.row("SELECT count(*) FROM lanes WHERE due_at IS NOT NULL")
    assert waited[0] > 10
    life.is_over = True
    await here.until_nothing_happens(LONGEST_S)
    assert await here.world.rows("SELECT * FROM lanes WHERE due_at IS NOT NULL") == []
    assert await here.world.rows("SELECT 1 FROM deliveries WHERE status = 'pending'") == []


async def unasked(life: Life, here: Driven) -> None:
    for _ in range(150):
        await life.happen(here)
        await here.let_pass(life.random.choice([0.0, 0.0, 0.01, 0.3, 2.0]))


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_owed_goes_out_though_nobody_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    life = Life(seed)
    async with driven(tmp_path, life.answer, life.settings(), monkeypatch) as here:
        await unasked(life, here)
        await outlived(life, here)


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_owed_goes_out_where_a_claim_looks_at_few_of_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for module, name, few in FEW:
        monkeypatch.setattr(module, name, few)
    life = Life(seed)
    async with driven(tmp_path, life.answer, life.settings(), monkeypatch) as here:
        await unasked(life, here)
        await outlived(life, here)


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_owed_goes_out_when_endpoints_were_paused_and_deliveries_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    life = Life(seed)
    async with driven(tmp_path, life.answer, life.settings(), monkeypatch) as here:
        await here.end(life.webhook())
        for _ in range(150):
            await (life.happen(here) if life.random.random() < 0.8 else life.somebody_asks(here))
            await here.let_pass(life.random.choice([0.0, 0.0, 0.01, 0.3, 2.0]))
        for target in TARGETS:
            await here.asked(partial(endpoints.resume, target=target))
        await outlived(life, here)
