"""The operator's webhook on a real receiver: signed, repeated with one id and body, and quiet in the log."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import standardwebhooks

from ringback.deliver.dispatcher import Dispatcher, DispatchSettings
from ringback.deliver.egress import Egress, EgressSettings
from ringback.deliver.notifier import Notifier
from ringback.rules.address import AddressRules
from ringback.rules.endpoint import HealthRules
from ringback.rules.retry import SECOND, Schedule
from ringback.store import accounts, notices
from ringback.store.notices import News
from store.crowd import crowd
from store.world import ACCOUNT, LINKS, ORIGIN, World, hook, opened
from support.receiver import Receiver, receiving, status

SECRET = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"
CLOSED = News("endpoint.closed", f"{ORIGIN}/hook", ORIGIN, "answered 503", 5)
DEAD = News("deliveries.dead", f"{ORIGIN}/hook", ORIGIN, "answered 410", 3)
QUICK = HealthRules(close_after=2)


@dataclass
class Office:
    """A store with notices, and who sends them."""

    world: World
    egress: Egress
    receiver: Receiver

    def notifier(
        self, path: str = "/operator", secrets: Callable[[], Awaitable[Sequence[str]]] | None = None
    ) -> Notifier:
        async def live() -> Sequence[str]:
            return (SECRET,)

        return Notifier(
            self.world.database,
            self.egress,
            self.receiver.url.removesuffix("/hook") + path,
            secrets=secrets or live,
            clock=self.world.clock,
            wall=lambda: time.time_ns() // 1000,
            schedule=Schedule(),
        )

    async def add(self, *news: News) -> None:
        for each in news:
            await self.world.database.write(lambda tx, each=each: notices.add(tx, each))  # type: ignore[misc] # now

    async def left(self) -> int:
        return len(await self.world.rows("SELECT 1 FROM notices"))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    egress = Egress(EgressSettings(), AddressRules(allow_loopback=True))
    async with opened(tmp_path) as world, receiving() as receiver:
        try:
            yield Office(world, egress, receiver)
        finally:
            await egress.close()


@asynccontextmanager
async def running(notifier: Notifier) -> AsyncIterator[None]:
    task = asyncio.create_task(notifier.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_notice_is_in_the_standards_form_and_verifies(office: Office) -> None:
    await office.add(CLOSED)
    await office.notifier().run_once()
    (item,) = office.receiver.received
    standardwebhooks.Webhook(SECRET).verify(item.body, item.headers)
    assert json.loads(item.body) == {
        "type": "endpoint.closed",
        "timestamp": "2023-11-14T22:13:20.000Z",
        "data": {
            "url": f"{ORIGIN}/hook",
            "origin": ORIGIN,
            "diagnosis": "answered 503",
            "failures": 5,
        },
    }
    assert item.path == "/operator"
    assert item.id.startswith("ntc_")
    assert await office.left() == 0


async def test_deliveries_that_died_are_told_with_their_number(office: Office) -> None:
    await office.add(DEAD, DEAD)
    assert await office.notifier().run_once() == 5.0
    assert office.receiver.received == []
    office.world.wait(5)
    await office.notifier().run_once()
    (item,) = office.receiver.received
    assert item.prediction["data"]["count"] == 6


async def test_what_closes_is_told_before_what_died_earlier_each_origin_at_once(office: Office) -> None:
    others = [News("deliveries.dead", f"{ORIGIN}/job/{number}", ORIGIN, "", 1) for number in range(20)]
    await office.add(DEAD, *others)
    office.world.wait(5)
    await office.add(CLOSED)
    await office.notifier().run_once()
    told = [
        (item.prediction["type"], item.prediction["data"].get("count")) for item in office.receiver.received
    ]
    assert told == [("endpoint.closed", None), ("deliveries.dead", 23)]
    assert office.receiver.received[-1].prediction["data"]["url"] == f"{ORIGIN}/job/19"


async def test_a_notice_that_fails_is_sent_again_with_the_same_id_and_body(office: Office) -> None:
    office.receiver.answer = status(503)
    await office.add(CLOSED)
    notifier = office.notifier()
    for wait in (5.0, 10.0, 20.0):
        assert await notifier.run_once() == wait
        office.world.wait(wait)
    office.receiver.answer = status(204)
    await notifier.run_once()
    first, *others = office.receiver.received
    assert [(item.id, item.body) for item in others] == [(first.id, first.body)] * 3
    for item in others:
        standardwebhooks.Webhook(SECRET).verify(item.body, item.headers)
    assert await office.left() == 0


async def test_a_retry_after_of_the_operators_receiver_is_honoured(office: Office) -> None:
    office.receiver.answer = status(429, {"retry-after": "20"})
    await office.add(CLOSED)
    assert await office.notifier().run_once() == 20.0


async def test_after_the_window_a_notice_is_given_up_and_the_log_says_so(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.receiver.answer = status(503)
    await office.add(CLOSED)
    notifier = office.notifier()
    await notifier.run_once()
    office.world.wait(86400 - 1)
    await notifier.run_once()
    assert await office.left() == 0
    assert [line.getMessage().endswith("; given up") for line in caplog.records] == [False, True]


async def test_what_a_crash_cut_off_is_sent_by_the_next_server(office: Office) -> None:
    await office.add(CLOSED)
    (taken,) = await office.world.database.write(lambda tx: notices.take(tx, 8, 60 * SECOND))
    notifier = office.notifier()
    assert await notifier.run_once() == 30.0  # at most: it looks again, and so does the one after a crash
    assert office.receiver.received == []
    office.world.wait(60)
    await notifier.run_once()
    (item,) = office.receiver.received
    assert item.id == taken.id


async def test_one_notice_that_fails_does_not_hold_up_the_next(office: Office) -> None:
    await office.add(CLOSED, News("endpoint.opened", ORIGIN, ORIGIN, "connection refused", SECOND))
    office.receiver.answer = lambda item: status(503 if b"closed" in item.body else 200)(item)
    await office.notifier().run_once()
    assert [item.prediction["type"] for item in office.receiver.acknowledged] == ["endpoint.opened"]
    assert await office.left() == 1


@pytest.mark.parametrize("fault", ["status", "redirect", "refused"])
async def test_the_log_never_shows_the_path_or_query_of_the_operators_url(
    office: Office, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    notifier = office.notifier("/T0PSECRET/path?token=ALSOSECRET")
    office.receiver.answer = (
        status(503) if fault == "status" else status(302, {"location": "/T0PSECRET/path/"})
    )
    if fault == "refused":
        async with receiving() as gone:
            office.receiver = gone
            notifier = office.notifier("/T0PSECRET/path?token=ALSOSECRET")
    await office.add(CLOSED)
    await notifier.run_once()
    said = "\n".join(
        logging.Formatter().format(each) for each in caplog.records if not each.name.startswith("aiohttp")
    )
    assert "operator webhook (endpoint.closed) attempt 1 to http://127.0.0.1:" in said
    assert "SECRET" not in said


async def test_it_goes_on_after_a_fault_of_its_own(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    faults = [RuntimeError("no secrets")]

    async def secrets() -> Sequence[str]:
        if faults:
            raise faults.pop()
        return (SECRET,)

    failed = asyncio.Event()

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            failed.set()

    log, seen = logging.getLogger("ringback.deliver.notifier"), Seen()
    log.addHandler(seen)
    try:
        notifier = office.notifier(secrets=secrets)
        await office.add(CLOSED)
        async with running(notifier):
            await asyncio.wait_for(failed.wait(), 20)
            office.world.wait(60)
            notifier.wake()
            await office.receiver.until(lambda r: len(r.acknowledged) == 1)
    finally:
        log.removeHandler(seen)
    assert "telling the operator failed" in caplog.text


async def test_what_a_dispatcher_closes_and_opens_is_told_at_once(office: Office) -> None:
    world = office.world
    secret = await world.database.read(lambda tx: accounts.live_secrets(tx, ACCOUNT))
    notifier = office.notifier(secrets=lambda: _given(secret))
    async with receiving() as hooks, running(notifier):
        dispatcher = Dispatcher(
            world.database,
            office.egress,
            DispatchSettings(LINKS, health=QUICK, tells=True),
            holder="dispatcher_1",
            clock=world.clock,
            jitter=lambda: 0.0,
            noticed=notifier.wake,
        )
        dispatching = asyncio.create_task(dispatcher.run())
        hooks.answer = status(503)
        await crowd(world, 2, hook("completed", origin=hooks.url.removesuffix("/hook")))
        dispatcher.wake()
        await office.receiver.until(lambda r: len(r.acknowledged) == 1)
        hooks.answer = status(200)
        world.wait(2)
        dispatcher.wake()
        await office.receiver.until(lambda r: len(r.acknowledged) == 2)
        await dispatcher.drain(2.0)
        await dispatching
    types = [item.prediction["type"] for item in office.receiver.received]
    assert types == ["endpoint.closed", "endpoint.opened"]
    assert office.receiver.received[0].prediction["data"]["url"] == hooks.url


async def _given(secrets: Sequence[str]) -> Sequence[str]:
    return secrets
