"""The dispatcher: claims lanes, POSTs their heads, settles; one task for each attempt in flight.

What it remembers (attempts in flight, by origin) is only what it is doing right now: after kill -9 it starts
empty, and store/lanes.recover frees what it held.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ringback import __version__
from ringback.rules.attempt import Result
from ringback.rules.retry import SECOND, Schedule
from ringback.rules.snapshot import Links
from ringback.store import lanes
from ringback.store.attempts import Work
from ringback.store.database import Database
from ringback.store.lanes import NEW_ROUND, Owed, Rooms
from ringback.words.errors import Unavailable
from ringback.words.ids import delivery_id
from ringback.words.signature import sign

log = logging.getLogger(__name__)

_POLL_S = 5.0
"""Seconds after which it looks again even if nobody called: a net, not the way."""

_NEVER = 1 << 62

_STORE_RETRY_S = 0.5
"""Seconds between tries to record an outcome while the database can't take it."""


class Sender(Protocol):
    """What the dispatcher sends with (deliver/egress.py)."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Result:
        """Make one attempt; failures are results, never exceptions."""


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Limits of a dispatcher.

    Attributes:
        in_flight: attempts at a time, in all.
        in_flight_per_origin: attempts at a time for each scheme://host:port.
        schedule: when failed deliveries are tried again.
        links: where a snapshot's `urls` point.
    """

    links: Links
    in_flight: int = 512
    in_flight_per_origin: int = 32
    schedule: Schedule = field(default_factory=Schedule)


class Reservation:
    """Room for one attempt, held while the transaction that may grant it is under way."""

    __slots__ = ("_dispatcher", "_origin", "holder")

    def __init__(self, dispatcher: "Dispatcher", origin: str) -> None:
        self._dispatcher = dispatcher
        self._origin = origin
        self.holder = dispatcher.holder

    def use(self, owed: Owed) -> None:
        """Hand over what the transaction granted; if that is nothing, the room is free again."""
        self._dispatcher.granted(self._origin, owed)


class Dispatcher:
    """Delivers what the store owes."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        settings: DispatchSettings,
        *,
        holder: str,
        clock: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        """Take what it works with.

        Args:
            database: where lanes are.
            sender: what makes an attempt.
            settings: limits and schedule.
            holder: this process's name in leases.
            clock: the wall clock, microseconds.
            jitter: gives random numbers in [-1, 1].
        """
        self.holder = holder
        self._database = database
        self._sender = sender
        self._settings = settings
        self._clock = clock
        self._jitter = jitter
        self._used: Counter[str] = Counter()
        self._total = 0
        self._after = ""
        self._planned = 0  # when the next claim is, microseconds
        self._called = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._round = NEW_ROUND
        self._claiming = False
        self._freed = False  # room has come free since the last claim was begun
        self._full = False  # the last claim left something for want of room
        self._draining = False

    @property
    def in_flight(self) -> int:
        """Attempts under way or about to be."""
        return self._total

    def reserve(self, origin: str) -> Reservation | None:
        """Set room aside for an attempt that a transaction is about to make due, or give None."""
        if self._draining or self._claiming:  # a claim under way has counted on the room there was
            return None
        if not self._rooms(self._used).of(origin, 0):
            return None
        self._take(origin)
        return Reservation(self, origin)

    def granted(self, origin: str, owed: Owed) -> None:
        """Begin a granted attempt in the room reserved for it, or give the room back."""
        if owed.work is not None:
            self._spawn(owed.work)
            return
        self._give(origin)
        self.expect(owed)

    def expect(self, owed: Owed) -> None:
        """Make sure that a lane that was left free is claimed when it is due."""
        if owed.due is not None and owed.due < self._planned:
            self._planned = owed.due
            self._called.set()

    def wake(self) -> None:
        """Look for due lanes now."""
        self._planned = 0
        self._called.set()

    async def run(self) -> None:
        """Claim and deliver until `drain`."""
        while not self._draining:
            if self._called.is_set():
                self._round = NEW_ROUND  # whoever called may wait at an origin already passed in this one
            self._called.clear()
            self._planned = _NEVER
            try:
                wait = await self.run_once()
            except Unavailable:
                wait = _STORE_RETRY_S
            except Exception:
                log.exception("dispatcher: a claim failed; trying again")
                wait = _STORE_RETRY_S
            self._planned = min(self._planned, self._clock() + int(wait * SECOND))
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._called.wait(), wait)

    async def run_once(self) -> float:
        """Claim once and begin what was claimed; give the seconds until the next claim is worthwhile."""
        settings = self._settings
        rooms = self._rooms(dict(self._used))  # a copy: the claim runs later, while counting goes on
        if rooms.total <= 0:
            self._full = True
            return _POLL_S
        self._claiming = True
        self._freed = False
        try:
            claimed = await self._database.write(
                lambda tx: lanes.claim(tx, self.holder, rooms, settings.links)
            )
        finally:
            self._claiming = False
        self._round = claimed.round
        self._after = claimed.after
        self._full = claimed.full
        for work in claimed.works:
            self._take(work.origin)
            self._spawn(work)
        if claimed.full and self._freed:
            return 0.0  # what it left for want of room has room now, and nobody else would say so
        if claimed.next_due is None:
            return _POLL_S
        return min(_POLL_S, max(0.0, (claimed.next_due - self._clock()) / SECOND))

    def _rooms(self, used: Mapping[str, int]) -> Rooms:
        """Give the room there is; a quarter of all slots is kept for origins with nothing in flight."""
        limit = self._settings.in_flight
        each = self._settings.in_flight_per_origin
        return Rooms(limit - self._total, each, used, self._after, self._round, limit // 4)

    async def drain(self, timeout: float) -> None:
        """Claim no more and wait up to `timeout` seconds for the attempts in flight."""
        self._draining = True
        self._called.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        for task in self._tasks:
            task.cancel()

    def _take(self, origin: str) -> None:
        self._used[origin] += 1
        self._total += 1

    def _give(self, origin: str) -> None:
        self._freed = True
        self._total -= 1
        self._used[origin] -= 1
        if not self._used[origin]:
            del self._used[origin]
        if self._full:
            self._full = False
            self.wake()

    def _spawn(self, work: Work) -> None:
        task = asyncio.create_task(self._deliver(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, work: Work) -> None:
        """Make an attempt, and the lane's next ones as long as they are due at once."""
        origin = work.origin
        following: Work | None = work
        try:
            while following is not None:
                following = await self._attempt(following)
        except Exception:
            log.exception("dispatcher: %s", delivery_id(work.prediction_id, work.number))
        finally:
            self._give(origin)

    async def _attempt(self, work: Work) -> Work | None:
        result = await self._sender.post(work.url, self._headers(work), work.body)
        jitter = self._jitter()
        settings = self._settings
        while True:
            try:
                owed = await self._database.write(
                    lambda tx: lanes.settle(
                        tx,
                        work,
                        result,
                        settings.schedule,
                        jitter,
                        settings.links,
                        go_on=self._may_go_on(),
                    )
                )
            except Unavailable:
                # The lane stays held until the outcome is recorded: nobody sends it twice meanwhile.
                await asyncio.sleep(_STORE_RETRY_S)
            else:
                break
        _report(work, result, owed, self._clock())
        self.expect(owed)
        return owed.work

    def _may_go_on(self) -> bool:
        """Whether a slot may take its origin's next delivery by itself, without asking whose turn it is."""
        return not self._draining and self._total < self._settings.in_flight

    def _headers(self, work: Work) -> dict[str, str]:
        id_ = delivery_id(work.prediction_id, work.number)
        timestamp = self._clock() // SECOND
        return {
            "content-type": "application/json",
            "user-agent": f"ringback/{__version__}",
            "webhook-id": id_,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(work.secrets, id_, timestamp, work.body),
            "ringback-event": work.event,
            "ringback-attempt": str(work.attempt),
        }


def _report(work: Work, result: Result, owed: Owed, now: int) -> None:
    """One line for each attempt; what went wrong is a warning, with what follows."""
    level = logging.DEBUG if result.cause == "acknowledged" else logging.WARNING
    if log.isEnabledFor(level):
        log.log(
            level,
            "delivery %s (%s) attempt %d to %s: %s%s",
            delivery_id(work.prediction_id, work.number),
            work.event,
            work.attempt,
            work.origin,  # not the path: with some receivers that is the secret
            result.diagnosis or f"acknowledged with {result.status}",
            _what_follows(owed, now),
        )


def _what_follows(owed: Owed, now: int) -> str:
    match owed.end:
        case "delivered":
            return ""
        case "dead":
            return "; given up"
        case "superseded":
            return "; a newer event of the prediction takes its place"
        case _:
            wait = 0 if owed.due is None else max(0, owed.due - now) / SECOND
            return f"; next attempt in {wait:.1f} s" if owed.due is not None else ""
