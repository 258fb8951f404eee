"""The dispatcher: claims lanes, POSTs their heads, settles; one task for each attempt in flight.

What it remembers (attempts in flight, by origin) is only what it is doing right now: after kill -9 it starts
empty, and store/settlements.recover frees what it held.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from ringback.deliver.agenda import Agenda
from ringback.deliver.observer import NOBODY, Observer
from ringback.deliver.report import announce, report
from ringback.deliver.signing import signed
from ringback.rules.attempt import Result
from ringback.rules.endpoint import HealthRules, Target
from ringback.rules.lane import End
from ringback.rules.retry import SECOND, Schedule
from ringback.rules.snapshot import Links
from ringback.store import claims, settlements
from ringback.store.attempts import Work
from ringback.store.claims import Claimed
from ringback.store.database import Database
from ringback.store.endpoints import Terms
from ringback.store.lanes import Owed
from ringback.store.rooms import NEW_ROUND, Rooms
from ringback.store.settlements import Settling
from ringback.words.errors import Unavailable
from ringback.words.ids import delivery_id
from ringback.words.signature import Signer

log = logging.getLogger(__name__)

_POLL_S = 5.0
"""Seconds after which it looks again even if nobody called: a net, not the way."""

_NEVER = 1 << 62

_BETWEEN_S = 0.01
"""Seconds between the steps of a walk that finds nothing: others have their turns."""

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
        health: when an endpoint is closed, and how it is probed.
        tells: the operator is told by webhook of what closes, opens and dies.
        links: where a snapshot's `urls` point.
    """

    links: Links
    in_flight: int = 512
    in_flight_per_origin: int = 32
    schedule: Schedule = field(default_factory=Schedule)
    health: HealthRules = field(default_factory=HealthRules)
    tells: bool = False

    @property
    def settling(self) -> Settling:
        """By which rules attempts are settled."""
        terms = Terms(self.health, self.in_flight_per_origin, self.tells, self.in_flight)
        return Settling(self.schedule, self.links, terms)


class Reservation:
    """Room for one attempt, held while the transaction that may grant it is under way."""

    __slots__ = ("_dispatcher", "_target", "holder")

    def __init__(self, dispatcher: "Dispatcher", target: Target) -> None:
        self._dispatcher = dispatcher
        self._target = target
        self.holder = dispatcher.holder

    def use(self, owed: Owed) -> None:
        """Hand over what the transaction granted; if that is nothing, the room is free again."""
        self._dispatcher.granted(self._target, owed)


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
        keys: Callable[[], Sequence[Signer]] = tuple,
        wall: Callable[[], int] | None = None,
        observer: Observer = NOBODY,
        noticed: Callable[[], None] = lambda: None,
    ) -> None:
        """Take what it works with.

        Args:
            database: where lanes are.
            sender: what makes an attempt.
            settings: limits and schedule.
            holder: this process's name in leases.
            clock: the time that deliveries wait by, microseconds.
            jitter: gives random numbers in [-1, 1].
            keys: gives the private keys that sign beside the secrets now; none, unless v1a is asked for.
            wall: the wall clock, microseconds, for webhook-timestamp, which receivers compare with theirs;
                the same as `clock` if there is no other.
            observer: who counts attempts.
            noticed: called when there is something new to tell the operator.
        """
        self.holder = holder
        self._database = database
        self._sender = sender
        self._settings = settings
        self._settling = settings.settling
        self._clock = clock
        self._jitter = jitter
        self._keys = keys
        self._wall = wall or clock
        self._observer = observer
        self._noticed = noticed
        self._used: Counter[str] = Counter()
        self._total = 0
        self._after = ""
        self._planned = 0  # when the next claim is, microseconds
        self._called = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._round = NEW_ROUND
        self._calls = 0  # how often somebody has asked for a new round
        self._walk_at = 0  # when the next walk over all origins begins, microseconds
        self._agenda = Agenda()
        self._claiming = False
        self._freed = False  # room has come free since the last claim was begun
        self._full = False  # something was left for want of a slot
        self._crowded: set[str] = set()  # origins where something was left for want of room
        self._draining = False

    @property
    def in_flight(self) -> int:
        """Attempts under way or about to be."""
        return self._total

    def reserve(self, target: Target) -> Reservation | None:
        """Set room aside for an attempt that a transaction is about to make due, or give None."""
        if self._draining or self._claiming:  # a claim under way has counted on the room there was
            return None
        if not self._rooms(self._used).of_target(target):
            return None
        self._take(target)
        return Reservation(self, target)

    def granted(self, target: Target, owed: Owed) -> None:
        """Begin a granted attempt in the room reserved for it, or give the room back."""
        if owed.work is not None:
            self._spawn(owed.work)
            return
        self._give(target)
        self.expect(owed, target)

    def expect(self, owed: Owed, target: Target | None = None) -> None:
        """Make sure that a lane that was left free is claimed when it is due."""
        if owed.due is None:
            return
        if target is not None and owed.due <= self._clock() and not self._rooms(self._used).of_target(target):
            self._crowd(target.origin)  # what is in flight there goes on with it, or calls when it ends
            return
        self._note("" if target is None else target.origin, owed.due)

    def _note(self, origin: str, due: int) -> None:
        """Look at an origin at `due`; with no name for it, or no room to keep it, at all of them."""
        if not origin or not self._agenda.note(origin, due):
            self._walk_at = min(self._walk_at, due)
        if due < self._planned:
            self._planned = due
            self._called.set()

    def _crowd(self, origin: str) -> None:
        self._crowded.add(origin)
        limit = self._settings.in_flight
        self._full = self._full or limit - self._total <= limit // 4

    def wake(self) -> None:
        """Look for due lanes now, everywhere."""
        self._calls += 1
        self._round = NEW_ROUND  # what is due may wait at an origin that was passed already in this one
        self._crowded.clear()  # the walk comes to all of them
        self._walk_at = 0
        self._planned = 0
        self._called.set()

    async def run(self) -> None:
        """Claim and deliver until `drain`."""
        while not self._draining:
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
        now = self._clock()
        if self._total >= self._settings.in_flight:
            self._full = True
            return _POLL_S
        calls = self._calls
        walks = self._round != NEW_ROUND or now >= self._walk_at
        if walks and self._round == NEW_ROUND:
            self._walk_at = now + int(_POLL_S * SECOND)
        first = self._agenda.take(now)
        try:
            claimed = await self._claim(first, walks=walks)
        except BaseException:
            self._walk_at = 0  # what was taken from the agenda is found by the walk
            raise
        self._after = claimed.after
        if self._calls == calls:  # else somebody has asked for a new one meanwhile
            self._round = claimed.round
        self._begin(claimed)
        if claimed.round != NEW_ROUND:
            return 0.0 if claimed.works else _BETWEEN_S
        due = [at for at in (self._agenda.next, claimed.shelf_due, self._walk_at) if at is not None]
        return min(_POLL_S, max(0.0, (min(due) - self._clock()) / SECOND))

    async def _claim(self, first: tuple[str, ...], *, walks: bool) -> Claimed:
        # A copy of what is used: the claim runs later, while counting goes on.
        rooms = replace(self._rooms(dict(self._used)), first=first, walks=walks)
        links = self._settings.links
        self._claiming, self._freed, self._full = True, False, False
        try:
            return await self._database.write(lambda tx: claims.claim(tx, self.holder, rooms, links))
        finally:
            self._claiming = False

    def _begin(self, claimed: Claimed) -> None:
        """Begin what was claimed, and take note of where to look when."""
        for work in claimed.works:
            self._take(work.target)
            self._spawn(work)
        for origin, due in claimed.later:
            self._note(origin, due)
        if not claimed.full:
            return
        if self._freed:  # what it left for want of room may have room now, and nobody else would say so
            self.wake()
        elif claimed.crowded:
            for origin in claimed.crowded:
                self._crowd(origin)
        else:
            self._full = True

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

    def _take(self, target: Target) -> None:
        self._total += 1
        for key in (target.origin, target.endpoint):
            self._used[key] += 1

    def _give(self, target: Target) -> None:
        self._freed = True
        self._total -= 1
        for key in (target.origin, target.endpoint):
            self._used[key] -= 1
            if not self._used[key]:
                del self._used[key]
        if self._full:
            self._full = False
            self.wake()
        elif target.origin in self._crowded:
            self._crowded.discard(target.origin)
            self._note(target.origin, self._clock())

    def _spawn(self, work: Work) -> None:
        task = asyncio.create_task(self._deliver(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, work: Work) -> None:
        """Make an attempt, and the lane's next ones as long as they are due at once."""
        target = work.target
        following: Work | None = work
        try:
            while following is not None:
                following = await self._attempt(following)
                if following is not None and following.target != target:
                    target = self._moved(target, following.target)
        except Exception:
            log.exception("dispatcher: %s", delivery_id(work.prediction_id, work.number))
        finally:
            self._give(target)

    def _moved(self, old: Target, new: Target) -> Target:
        """Count a slot for the endpoint that it has gone on to; the origin is the same."""
        self._used[new.endpoint] += 1
        self._used[old.endpoint] -= 1
        if not self._used[old.endpoint]:
            del self._used[old.endpoint]
        return new

    async def _attempt(self, work: Work) -> Work | None:
        result = await self._sender.post(work.url, self._headers(work), work.body)
        answered_at = self._clock()
        jitter = self._jitter()
        while True:
            try:
                owed = await self._database.write(
                    lambda tx: settlements.settle(
                        tx,
                        work,
                        result,
                        self._settling,
                        jitter,
                        go_on=self._may_go_on(),
                        rooms=self._rooms(self._used),
                    )
                )
            except Unavailable:
                # The lane stays held until the outcome is recorded: nobody sends it twice meanwhile.
                await asyncio.sleep(_STORE_RETRY_S)
            else:
                break
        self._observer.attempted(work, result, owed.end, _latency(work, owed.end, answered_at))
        report(work, result, owed, self._clock())
        for news in owed.news:
            announce(news)
        if owed.news:
            self._noticed()
        self.expect(owed, work.target)
        return owed.work

    def _may_go_on(self) -> bool:
        """Whether a slot may take its origin's next delivery by itself, without asking whose turn it is."""
        return not self._draining and self._total < self._settings.in_flight

    def _headers(self, work: Work) -> dict[str, str]:
        id_ = delivery_id(work.prediction_id, work.number)
        return {
            **signed(id_, work.body, self._wall(), work.secrets, self._keys()),
            "ringback-event": work.event,
            "ringback-attempt": str(work.attempt),
        }


def _latency(work: Work, end: End | None, answered_at: int) -> int | None:
    if work.completed_at is None or work.asked or end != "delivered":
        return None  # a delivery that is sent again took as long as somebody took to ask for it
    return max(0, answered_at - work.completed_at)
