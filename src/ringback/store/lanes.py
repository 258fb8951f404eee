"""Lanes: what is owed is written here, claimed here and settled here, always by the rules of rules/lane.py.

A lane is held by one dispatcher while an attempt of its head is in flight; `fence` counts the claims, so
that whoever settles late, after somebody else took over, changes nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ringback.rules import lane as rules
from ringback.rules.attempt import Failed, Result, judge
from ringback.rules.lane import Lane, Pending
from ringback.rules.prediction import TERMINAL, Event, Status
from ringback.rules.retry import Schedule
from ringback.rules.snapshot import Facts, Links, render
from ringback.store import accounts
from ringback.store.database import Row, Tx, queries

Q = queries("lanes")
D = queries("deliveries")
C = queries("chunks")

_ORIGINS = 64
"""Origins looked at in one claim at most, so that thousands of waiting ones don't hold up a commit."""


@dataclass(frozen=True, slots=True)
class Telling:
    """How events are written down.

    Attributes:
        window_us: the throttle window, microseconds.
        links: where a snapshot's `urls` point.
        holder: the dispatcher that a lane due at once is granted to, or None to leave it free.
    """

    window_us: int
    links: Links
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An event to write: what happened, and which snapshot shows it."""

    event: Event
    snapshot: Status
    upto: int
    closing: bool = False
    """The end, with `completed` not asked for: the event goes at once, whatever the window says."""


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt to make; holding it means holding the lane with this fence.

    Attributes:
        attempt: which attempt of the delivery this is, from 1.
        begun_at: when it was claimed, microseconds.
    """

    prediction_id: str
    number: int
    event: Event
    origin: str
    url: str
    body: bytes
    secrets: tuple[str, ...]
    attempt: int
    begun_at: int
    holder: str
    fence: int


@dataclass(frozen=True, slots=True)
class Owed:
    """What a transaction left to do for a dispatcher.

    Attributes:
        work: an attempt granted to it, or None.
        due: when the lane, left free, is due (microseconds), or None.
    """

    work: Work | None = None
    due: int | None = None


NOTHING = Owed()


async def tell(
    tx: Tx,
    prediction_id: str,
    origin: str,
    told: Sequence[Told],
    telling: Telling,
    *,
    flush: Told | None = None,
) -> Owed:
    """Write the deliveries that events of one prediction owe, in order.

    Args:
        tx: the transaction of the state change itself.
        prediction_id: the prediction.
        origin: its webhook's origin.
        told: the events asked for, oldest first.
        telling: how to write them.
        flush: at the end without a `completed`: what a throttled delivery shall show when it goes now.

    Returns:
        The attempt granted to `telling.holder`, if the head is due at once; else when the lane is due.
    """
    row = await tx.row(Q["get"], prediction_id)
    lane, fence = (rules.EMPTY, 0) if row is None else await _load(tx, prediction_id, row)
    for item in told:
        plan = rules.owe(lane, item.event, now=tx.now, window_us=telling.window_us)
        await _write(tx, prediction_id, plan, item)
        lane = rules.advanced(lane, plan)
    if flush is not None:
        plan = rules.flush(lane, now=tx.now)
        await _write(tx, prediction_id, plan, flush)
        lane = rules.advanced(lane, plan)
    return await _save(tx, prediction_id, origin, lane, fence, telling)


async def _load(tx: Tx, prediction_id: str, row: Row) -> tuple[Lane, int]:
    last_number, window_until, not_before, held, fence = row
    lane = Lane(await _pending(tx, prediction_id), last_number, window_until, not_before, bool(held))
    return lane, fence


async def _pending(tx: Tx, prediction_id: str) -> tuple[Pending, ...]:
    return tuple(Pending(*row) for row in await tx.rows(Q["pending"], prediction_id))


async def _write(tx: Tx, prediction_id: str, plan: rules.Plan, told: Told) -> None:
    for number in plan.superseded:
        await tx.run(D["supersede"], prediction_id, number, tx.now)
    if plan.merged is not None:
        new = plan.merged
        await tx.run(D["merge"], prediction_id, new.number, new.event, told.snapshot, told.upto, new.due_at)
    if plan.created is not None:
        new = plan.created
        await tx.run(
            D["create"], prediction_id, new.number, new.event, told.snapshot, told.upto, new.due_at, tx.now
        )


async def _save(tx: Tx, prediction_id: str, origin: str, lane: Lane, fence: int, telling: Telling) -> Owed:
    if lane.held:
        await tx.run(Q["save_behind"], prediction_id, lane.last_number, lane.window_until)
        return NOTHING
    due = rules.due_at(lane)
    holder = telling.holder if due is not None and due <= tx.now else None
    fence += holder is not None
    await tx.run(
        Q["save"],
        prediction_id,
        origin,
        due,
        lane.last_number,
        lane.window_until,
        lane.not_before,
        holder,
        fence,
    )
    if holder is None:
        return Owed(due=due)
    return Owed(work=await _begin(tx, prediction_id, holder, fence, telling.links))


async def _begin(tx: Tx, prediction_id: str, holder: str, fence: int, links: Links) -> Work:
    """Begin the next attempt of a lane that is held: freeze the body if it is the first one."""
    row = await tx.row(D["head"], prediction_id)
    if row is None:
        raise LookupError(f"lane {prediction_id} is due and has no pending delivery")
    number, event, snapshot, upto, attempts, _created, frozen = row[:7]
    *columns, account, origin = row[7:]
    facts = Facts(*columns)
    if frozen is None:
        chunks = [(kind, data) for kind, data in await tx.rows(C["upto"], prediction_id, upto)]
        body = render(shown(facts, snapshot), chunks, links)
        digest = hashlib.sha256(body).hexdigest()
        await tx.run(D["freeze"], prediction_id, number, tx.now, body.decode(), digest, len(body))
    else:
        body = frozen.encode()
        await tx.run(D["begin"], prediction_id, number, tx.now)
    return Work(
        prediction_id,
        number,
        event,
        origin,
        str(facts.webhook),
        body,
        await accounts.live_secrets(tx, account),
        attempts + 1,
        tx.now,
        holder,
        fence,
    )


def shown(facts: Facts, snapshot: Status) -> Facts:
    """Give the prediction as it stood when its status was `snapshot`."""
    if snapshot in TERMINAL:
        return facts
    return Facts(
        facts.id,
        facts.model,
        facts.version,
        snapshot,
        facts.input,
        facts.source,
        facts.created_at,
        facts.started_at,
        None,
        None,
        "{}",
        facts.webhook,
        facts.events,
        facts.data_removed,
    )


@dataclass(frozen=True, slots=True)
class Rooms:
    """How many attempts a dispatcher may begin now.

    Attributes:
        total: in all.
        each: for an origin that is not in `used`.
        used: attempts in flight, by origin.
        after: the origin to go on after, so that each gets its turn.
    """

    total: int
    each: int
    used: Mapping[str, int]
    after: str = ""

    def of(self, origin: str) -> int:
        """Give the attempts that may begin for this origin."""
        return max(0, self.each - self.used.get(origin, 0))


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim gave.

    Attributes:
        works: the attempts to make.
        next_due: when to claim again at the latest (microseconds; in the past if there was more), or None.
        after: where the next claim goes on.
    """

    works: tuple[Work, ...]
    next_due: int | None
    after: str


async def claim(tx: Tx, holder: str, rooms: Rooms, links: Links) -> Claimed:
    """Claim due lanes origin by origin, so that a full origin's rows hide nobody else's."""
    works: list[Work] = []
    next_due: int | None = None
    origin, seen = rooms.after, set[str]()
    while len(works) < rooms.total and len(seen) < _ORIGINS:
        origin = await _next_origin(tx, origin)
        if origin in seen or not origin:
            return Claimed(tuple(works), next_due, "")
        seen.add(origin)
        room = min(rooms.of(origin), rooms.total - len(works))
        if not room:
            continue
        rows = await tx.rows(Q["claim"], holder, origin, tx.now, room)
        works += [await _begin(tx, id_, holder, fence, links) for id_, fence in rows]
        if len(rows) < room and (earliest := await tx.row(Q["earliest"], origin)):
            next_due = earliest[0] if next_due is None else min(next_due, earliest[0])
    return Claimed(tuple(works), tx.now, origin)


async def _next_origin(tx: Tx, after: str) -> str:
    row = (await tx.row(Q["next_origin"], after) if after else None) or await tx.row(Q["first_origin"])
    return "" if row is None else str(row[0])


async def settle(
    tx: Tx, work: Work, result: Result, schedule: Schedule, jitter: float, links: Links, *, go_on: bool
) -> Owed:
    """Record an attempt and what it means for the delivery.

    Args:
        tx: the transaction.
        work: the attempt, as claimed.
        result: what it came to.
        schedule: when to retry.
        jitter: a random number in [-1, 1].
        links: where a snapshot's `urls` point.
        go_on: keep the lane if its next head is due at once.

    Returns:
        The lane's next attempt if it is due and `go_on`; else the lane is free, and when it is due. NOTHING,
        with nothing changed, when somebody else holds the lane by now.
    """
    if await tx.row(Q["holds"], work.prediction_id, work.holder, work.fence) is None:
        return NOTHING
    await _record(tx, work.prediction_id, work.number, work.attempt, work.begun_at, result)
    pending = await _pending(tx, work.prediction_id)
    settlement = rules.settle(pending, judge(result), schedule, now=tx.now, jitter=jitter)
    await _finish(tx, work.prediction_id, work.number, settlement)
    due = settlement.due_at
    if go_on and due is not None and due <= tx.now:
        await tx.run(Q["keep"], work.prediction_id, due, settlement.not_before)
        return Owed(work=await _begin(tx, work.prediction_id, work.holder, work.fence + 1, links))
    await tx.run(Q["free"], work.prediction_id, due, settlement.not_before)
    return Owed(due=due)


async def _record(
    tx: Tx, prediction_id: str, number: int, attempt: int, begun_at: int, result: Result
) -> None:
    await tx.run(
        D["record"],
        prediction_id,
        number,
        attempt,
        begun_at,
        result.duration_us,
        result.cause,
        result.status,
        result.diagnosis,
        result.excerpt,
        result.resent,
    )


async def _finish(tx: Tx, prediction_id: str, number: int, settlement: rules.Settlement) -> None:
    if settlement.end is not None:
        await tx.run(D["settle"], prediction_id, number, settlement.end, tx.now)
    elif settlement.retry_at is not None:
        await tx.run(D["postpone"], prediction_id, number, settlement.retry_at)


_INTERRUPTED = Result(
    "interrupted", "the server stopped during this attempt: the receiver may have it already", None, "", 0
)


async def recover(tx: Tx, holder: str) -> int:
    """Free the lanes of dispatchers that are known to be dead (everybody but `holder`).

    An attempt that was in flight counts as failed and is repeated at once, with the same id and body.

    Returns:
        How many lanes were freed.
    """
    orphans = [str(row[0]) for row in await tx.rows(Q["orphaned"], holder)]
    for prediction_id in orphans:
        row = await tx.row(D["interrupted"], prediction_id)
        if row is None:  # pragma: no cover - a held lane's head has begun an attempt, by construction
            continue
        number, attempt, attempted_at = row
        await _record(tx, prediction_id, number, attempt, attempted_at, _INTERRUPTED)
        pending = await _pending(tx, prediction_id)
        # The schedule is not asked when: nothing says that the receiver is at fault.
        settlement = rules.settle(pending, Failed(None), Schedule(), now=tx.now, jitter=0.0)
        if settlement.end == "superseded":
            await _finish(tx, prediction_id, number, settlement)
        due = settlement.due_at if settlement.end == "superseded" else tx.now
        await tx.run(Q["free"], prediction_id, due, 0)
    return len(orphans)
