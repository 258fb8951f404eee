"""Lanes: what is owed is written here, claimed here and settled here, always by the rules of rules/lane.py.

A lane is held by one dispatcher while an attempt of its head is in flight; `fence` counts the claims, so
that whoever settles late, after somebody else took over, changes nothing.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ringback.rules import lane as rules
from ringback.rules.attempt import Failed, Result, judge
from ringback.rules.lane import End, Lane, Pending
from ringback.rules.prediction import TERMINAL, Event, Status
from ringback.rules.retry import Schedule
from ringback.rules.snapshot import Chunk, Links
from ringback.store.attempts import Fresh, Lease, Work, begin, begin_fresh, record
from ringback.store.database import Tx, queries
from ringback.store.subjects import Subject

Q = queries("lanes")
D = queries("deliveries")

_ORIGINS = 64
"""Origins looked at in one claim at most, so that thousands of waiting ones don't hold up a commit."""


class Telling(Struct, frozen=True):
    """How events are written down.

    Attributes:
        window_us: the throttle window, microseconds.
        links: where a snapshot's `urls` point.
        holder: the dispatcher that a lane due at once is granted to, or None to leave it free.
    """

    window_us: int
    links: Links
    holder: str | None = None


class Told(Struct, frozen=True):
    """An event to write: what happened, and which snapshot shows it."""

    event: Event
    snapshot: Status
    upto: int


class Owed(Struct, frozen=True):
    """What a transaction left to do for a dispatcher.

    Attributes:
        work: an attempt granted to it, or None.
        due: when the lane, left free, is due (microseconds), or None.
        end: after an attempt, what became of its delivery, or None if it will be tried again.
    """

    work: Work | None = None
    due: int | None = None
    end: End | None = None


NOTHING = Owed()


async def tell(
    tx: Tx,
    subject: Subject,
    told: Sequence[Told],
    telling: Telling,
    *,
    flush: Told | None = None,
    chunks: list[Chunk] | None = None,
) -> Owed:
    """Write the deliveries that events of one prediction owe, in order.

    Args:
        tx: the transaction of the state change itself.
        subject: the prediction after the change, which has a webhook.
        told: the events asked for, oldest first.
        telling: how to write them.
        flush: at the end without a `completed`: what a throttled delivery shall show when it goes now.
        chunks: all chunks of the prediction, from its first, if they are at hand.

    Returns:
        The attempt granted to `telling.holder`, if the head is due at once; else when the lane is due.
    """
    id_ = subject.facts.id
    lane = subject.lane
    if subject.fence is not None:
        lane = replace(lane, pending=await _pending(tx, id_))
    plans = []
    for item in told:
        plan = rules.owe(lane, item.event, now=tx.now, window_us=telling.window_us)
        lane = rules.advanced(lane, plan)
        plans.append((plan, item))
    if flush is not None:
        plan = rules.flush(lane, now=tx.now)
        lane = rules.advanced(lane, plan)
        plans.append((plan, flush))
    head = _fresh_head(subject, lane, plans, telling, tx.now, chunks)
    for plan, item in plans:
        await _write(tx, id_, plan, item, head)
    return await _save(tx, subject, lane, telling, head)


async def _pending(tx: Tx, prediction_id: str) -> tuple[Pending, ...]:
    return tuple(Pending(*row) for row in await tx.rows(Q["pending"], prediction_id))


def _fresh_head(
    subject: Subject,
    lane: Lane,
    plans: list[tuple[rules.Plan, Told]],
    telling: Telling,
    now: int,
    chunks: list[Chunk] | None,
) -> Fresh | None:
    """Give the head if it is new, due and granted: it can then be created and begun in one step."""
    due = rules.due_at(lane)
    if lane.held or telling.holder is None or due is None or due > now:
        return None
    for plan, told in plans:
        if plan.created is not None and plan.created is lane.pending[0]:
            origin = str(subject.origin)
            shown = None if chunks is None else chunks[: told.upto]
            return Fresh(
                plan.created, told.snapshot, told.upto, subject.facts, subject.account, origin, shown
            )
    return None


async def _write(tx: Tx, prediction_id: str, plan: rules.Plan, told: Told, head: Fresh | None) -> None:
    for number in plan.superseded:
        await tx.run(D["supersede"], prediction_id, number, tx.now)
    if plan.merged is not None:
        new = plan.merged
        await tx.run(D["merge"], prediction_id, new.number, new.event, told.snapshot, told.upto, new.due_at)
    if plan.created is not None and (head is None or plan.created is not head.delivery):
        new = plan.created
        await tx.run(
            D["create"], prediction_id, new.number, new.event, told.snapshot, told.upto, new.due_at, tx.now
        )


async def _save(tx: Tx, subject: Subject, lane: Lane, telling: Telling, head: Fresh | None) -> Owed:
    id_ = subject.facts.id
    closed = subject.facts.status in TERMINAL
    if lane.held:
        await tx.run(Q["save_behind"], id_, lane.last_number, lane.window_until, closed)
        return NOTHING
    due = rules.due_at(lane)
    if closed and due is None:
        await tx.run(Q["remove"], id_)
        return NOTHING
    holder = telling.holder if due is not None and due <= tx.now else None
    fence = (subject.fence or 0) + (holder is not None)
    await tx.run(
        Q["save"],
        id_,
        subject.origin,
        due,
        lane.last_number,
        lane.window_until,
        lane.not_before,
        closed,
        holder,
        fence,
    )
    if holder is None:
        return Owed(due=due)
    lease = Lease(id_, holder, fence)
    if head is not None:
        return Owed(work=await begin_fresh(tx, lease, head, telling.links))
    return Owed(work=await begin(tx, lease, telling.links))


class Round(Struct, frozen=True):
    """A walk over all origins that takes several claims.

    Attributes:
        start: the origin it began with; empty for a new one.
        wrapped: it has passed the last origin.
        due: the earliest time at which one of those seen is due, microseconds, or None.
    """

    start: str = ""
    wrapped: bool = False
    due: int | None = None


NEW_ROUND = Round()


class Rooms(Struct, frozen=True):
    """How many attempts a dispatcher may begin now.

    Attributes:
        total: in all.
        each: for an origin that is not in `used`.
        used: attempts in flight, by origin.
        after: the origin to go on after, so that each gets its turn.
        round: the walk that is under way.
        kept: of `total`, what is kept for origins with nothing in flight, so that a few hanging ones can't
            take every slot.
    """

    total: int
    each: int
    used: Mapping[str, int]
    after: str = ""
    round: Round = NEW_ROUND
    kept: int = 0

    def of(self, origin: str, begun: int) -> int:
        """Give the attempts that may begin for an origin after `begun` others."""
        used = self.used.get(origin, 0)
        left = self.total - begun
        return max(0, min(self.each - used, left, max(left - self.kept, 1 - used)))


class Claimed(Struct, frozen=True):
    """What a claim gave.

    Attributes:
        works: the attempts to make.
        next_due: when to claim again at the latest (microseconds; now if the round is not over), or None.
        after: where the next claim goes on.
        full: some origin had no room for all that may be due: claim again when there is room.
        round: the walk, if it is not over.
    """

    works: tuple[Work, ...]
    next_due: int | None
    after: str
    full: bool
    round: Round = NEW_ROUND


async def claim(tx: Tx, holder: str, rooms: Rooms, links: Links) -> Claimed:
    """Claim due lanes origin by origin, so that a full origin's rows hide nobody else's."""
    works: list[Work] = []
    full = False
    origin, walk = rooms.after, rooms.round
    for _ in range(_ORIGINS):
        if len(works) >= rooms.total:
            full = True
            break
        following = await _next_origin(tx, origin)
        wrapped = bool(walk.start) and (walk.wrapped or following <= origin)
        if not following or (wrapped and following >= walk.start):
            return Claimed(tuple(works), walk.due, origin, full)
        origin = following
        room = rooms.of(origin, len(works))
        rows = await tx.rows(Q["claim"], holder, origin, tx.now, room) if room else []
        works += [await begin(tx, Lease(id_, holder, fence), links) for id_, fence in rows]
        full = full or len(rows) == room
        due = await _earliest(tx, origin, walk.due) if len(rows) < room else walk.due
        walk = Round(walk.start or origin, wrapped, due)
    return Claimed(tuple(works), tx.now, origin, full, walk)


async def _earliest(tx: Tx, origin: str, due: int | None) -> int | None:
    row = await tx.row(Q["earliest"], origin)
    return due if row is None else int(row[0]) if due is None else min(due, int(row[0]))


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
        go_on: give the next attempt too: of this lane if it is due, else of another one of the origin.

    Returns:
        The next attempt, if there is one and `go_on`; and when this lane, left free, is due. NOTHING, with
        nothing changed, when somebody else holds the lane by now.
    """
    rows = await tx.rows(Q["held_pending"], work.prediction_id, work.holder, work.fence)
    if not rows:
        return NOTHING
    await record(tx, work.prediction_id, work.number, work.attempt, work.begun_at, result)
    pending = [Pending(*row[:5]) for row in rows]
    settlement = rules.settle(pending, judge(result), schedule, now=tx.now, jitter=jitter)
    await _finish(tx, work.prediction_id, work.number, settlement)
    due = settlement.due_at
    if go_on and due is not None and due <= tx.now:
        await tx.run(Q["keep"], work.prediction_id, due, settlement.not_before)
        lease = Lease(work.prediction_id, work.holder, work.fence + 1)
        return Owed(work=await begin(tx, lease, links), end=settlement.end)
    if due is None and rows[0][5]:
        await tx.run(Q["remove"], work.prediction_id)
    else:
        await tx.run(Q["free"], work.prediction_id, due, settlement.not_before)
    following = await tx.row(Q["claim_next"], work.holder, work.origin, tx.now) if go_on else None
    if following is None:
        return Owed(due=due, end=settlement.end)
    id_, fence = following
    return Owed(work=await begin(tx, Lease(id_, work.holder, fence), links), due=due, end=settlement.end)


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
        await _free_orphan(tx, prediction_id)
    return len(orphans)


async def _free_orphan(tx: Tx, prediction_id: str) -> None:
    row = await tx.row(D["interrupted"], prediction_id)
    if row is None:  # pragma: no cover - a held lane's head has begun an attempt, by construction
        return
    number, attempt, attempted_at = row
    await record(tx, prediction_id, number, attempt, attempted_at, _INTERRUPTED)
    pending = await _pending(tx, prediction_id)
    # The schedule is not asked when to try again: nothing says that the receiver is at fault.
    settlement = rules.settle(pending, Failed(None), Schedule(), now=tx.now, jitter=0.0)
    due = tx.now
    if settlement.end == "superseded":
        await _finish(tx, prediction_id, number, settlement)
        due = settlement.due_at or tx.now
    await tx.run(Q["free"], prediction_id, due, 0)
