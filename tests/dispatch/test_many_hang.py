"""Hundreds of origins that go on hanging share half of the slots: the others have theirs."""

import random
from functools import partial
from pathlib import Path

import pytest

from dispatch.driven import Driven, driven
from ringback.deliver.dispatcher import DispatchSettings
from ringback.rules.attempt import Result
from store.crowd import crowd
from store.outage import HANGS
from store.world import LINKS, OK, hook

SLOTS = 16
MINUTE_S = 60.0
WELL = "http://well.example:80"
SETTINGS = DispatchSettings(LINKS, in_flight=SLOTS, in_flight_per_origin=4)


def answer(url: str) -> tuple[float, Result]:
    return (0.01, OK) if url.startswith(WELL) else (15.0, HANGS)


async def taken(here: Driven, seconds: float) -> list[int]:
    """Let time pass; give how many slots were taken, ten seconds apart."""
    found = []
    for _ in range(int(seconds / 10)):
        await here.let_pass(10)
        found.append(here.dispatcher.in_flight)
    return found


async def test_a_hundred_origins_that_go_on_hanging_take_half_of_sixteen_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jitter = partial(random.Random(1).uniform, -1.0, 1.0)
    async with driven(tmp_path, answer, SETTINGS, monkeypatch, jitter) as here:
        for number in range(100):
            await crowd(here.world, 1, hook("completed", origin=f"http://hangs-{number}.example:80"))
        here.dispatcher.wake()
        await here.let_pass(30 * MINUTE_S)
        hanging = await taken(here, 30 * MINUTE_S)
        assert sum(hanging) / len(hanging) <= SLOTS / 2
        assert max(hanging) < SLOTS
        assert sum(hanging) > 0
        before = here.world.now
        await here.end(hook("completed", origin=WELL))
        await here.let_pass(0.02)
        settled = await here.world.row("SELECT settled_at FROM deliveries WHERE status = 'delivered'")
        assert settled[0] - before <= 20_000
