"""The schedule of a day under a moved clock, through the real store, dispatcher and egress.

The receiver answers 422: that is about the body, so no endpoint is closed and the schedule alone decides.
"""

import itertools
from email.utils import formatdate
from pathlib import Path

import pytest
from aiohttp import web

from dispatch.moved import START, Moved, hook, moved
from ringback.rules.retry import SECOND, Schedule, backoff
from ringback.store.runs import Ending
from support.receiver import Receiver, status

DAY = 86_400
SHIPPED = Schedule()


async def fails(here: Moved, receiver: Receiver) -> str:
    """A prediction whose `completed` has been tried once, in vain."""
    hold = await here.world.running(hook(receiver, "/hook", "completed"))
    await here.world.end(hold, Ending("succeed"))
    await here.go()
    assert len(receiver.received) == 1
    return hold.id


def expected(jitter: tuple[float, ...]) -> list[int]:
    """Microseconds after the event at which attempts begin when they take no time."""
    begun, attempts = [0], 1
    while True:
        drawn = jitter[(attempts - 1) % len(jitter)]
        at = begun[-1] + int(backoff(SHIPPED, attempts) * (1 + 0.1 * drawn) * SECOND)
        if at > DAY * SECOND:
            return begun
        begun.append(at)
        attempts += 1


@pytest.mark.parametrize(
    "jitter", [(0.0,), (-1.0,), (1.0,), (-0.9, 0.3, 1.0, -0.2, 0.7)], ids=["none", "least", "most", "mixed"]
)
async def test_every_attempt_of_a_day_begins_at_its_time_then_it_is_dead_and_kept(
    tmp_path: Path, receiver: Receiver, jitter: tuple[float, ...]
) -> None:
    receiver.answer = status(422)
    async with moved(tmp_path, jitter=jitter) as here:
        id_ = await fails(here, receiver)
        times = expected(jitter)
        for attempt, at in enumerate(times[1:], 2):
            here.wait(START + at - 1 - here.machine.wall)
            await here.go()
            assert len(receiver.received) == attempt - 1
            here.wait(1)
            await here.go()
            assert [item.attempt for item in receiver.received] == list(range(1, attempt + 1))
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        for attempts, gap in enumerate(gaps, 1):
            assert 0.9 * backoff(SHIPPED, attempts) <= gap / SECOND <= 1.1 * backoff(SHIPPED, attempts)
        assert DAY - 1.1 * 7200 < times[-1] / SECOND <= DAY
        for _ in range(3):
            here.wait(DAY * SECOND)
            await here.go()
        assert len(receiver.received) == len(times)
        assert {(item.id, item.body) for item in receiver.received} == {
            (f"evt_{id_}_1", receiver.received[0].body)
        }
        (delivery,) = await here.world.deliveries(id_)
        assert (delivery.status, delivery.attempts) == ("dead", len(times))
        assert await here.world.row("SELECT body FROM deliveries") == (receiver.received[0].body.decode(),)
        assert await here.world.rows("SELECT * FROM lanes") == []


async def next_attempt_s(here: Moved, receiver: Receiver, near_s: float) -> float:
    """Seconds until the second attempt, which must be within 5 s of `near_s`."""
    here.wait(int((near_s - 5) * SECOND) + 1)
    await here.go()
    assert len(receiver.received) == 1
    for _ in range(10):
        here.wait(SECOND)
        await here.go()
        if len(receiver.received) == 2:
            return (here.machine.wall - START) / SECOND
    raise AssertionError("no second attempt")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("60", 60),
        ("3600", 3600),
        ("60.5", 60.5),
        (formatdate(START // SECOND + 600, usegmt=True), 600),
        ("3", 5),  # sooner than the schedule
        ("0", 5),
        (formatdate(START // SECOND - 600, usegmt=True), 5),  # a date in the past
        ("Thu, 01 Jan 1970 00:00:00 GMT", 5),
        ("86400", DAY),
        ("1000000000", DAY),  # 31 years: a last attempt at the end of the window
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ("1" + "0" * 300, 5),  # no wait that anybody can mean: as if it were not there
        ("-60", 5),
        ("soon", 5),
        ("", 5),
        ("NaN", 5),
        ("inf", 5),
        ("1e9", 5),
        ("0x10", 5),
        ("60, 120", 5),
        ("Mon, 99 Foo 2023 99:99:99 GMT", 5),
    ],
)
async def test_a_retry_after_is_honoured_in_full_up_to_the_end_of_the_window(
    tmp_path: Path, receiver: Receiver, value: str, seconds: float
) -> None:
    receiver.answer = lambda item: web.Response(
        status=422 if item.attempt == 1 else 200, headers={"retry-after": value}
    )
    async with moved(tmp_path) as here:
        id_ = await fails(here, receiver)
        found = await next_attempt_s(here, receiver, seconds)
        assert seconds <= found <= seconds + 1
        assert await here.world.fates(id_) == [(1, "completed", "delivered")]


async def test_a_retry_after_beyond_the_window_keeps_nothing_alive(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = status(422, {"retry-after": "1000000000"})
    async with moved(tmp_path) as here:
        id_ = await fails(here, receiver)
        here.wait(DAY * SECOND)
        await here.go()
        assert len(receiver.received) == 2
        assert await here.world.fates(id_) == [(1, "completed", "dead")]
