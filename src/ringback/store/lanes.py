"""Lanes: what a change owes is written here, by the rules of rules/lane.py.

A lane is held by one dispatcher while an attempt of its head is in flight; `fence` counts the claims, so
that whoever settles late, after somebody else took over, changes nothing. Claims are in claims.py, what
becomes of an attempt in settlements.py.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ringback.rules import lane as rules
from ringback.rules.lane import End, Lane, Pending
from ringback.rules.prediction import TERMINAL, Event, Status
from ringback.rules.snapshot import Chunk, Links
from ringback.store.attempts import Fresh, Lease, Work, begin, begin_fresh
from ringback.store.database import Tx, queries
from ringback.store.notices import News
from ringback.store.subjects import Subject

Q = queries("lanes")
D = queries("deliveries")


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
        news: what an operator should hear of.
    """

    work: Work | None = None
    due: int | None = None
    end: End | None = None
    news: tuple[News, ...] = ()


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
        lane = replace(lane, pending=await pending(tx, id_))
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


async def pending(tx: Tx, prediction_id: str) -> tuple[Pending, ...]:
    """Give what a lane owes, oldest first."""
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
    if lane.held or subject.is_special or telling.holder is None or due is None or due > now:
        return None
    target = subject.target
    for plan, told in plans:
        if target is not None and plan.created is not None and plan.created is lane.pending[0]:
            shown = None if chunks is None else chunks[: told.upto]
            return Fresh(
                plan.created, told.snapshot, told.upto, subject.facts, subject.account, target, shown
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
    assert subject.target is not None  # noqa: S101 - only predictions with a webhook have a lane
    holder = telling.holder if due is not None and due <= tx.now and not subject.is_special else None
    fence = (subject.fence or 0) + (holder is not None)
    await tx.run(
        Q["save"],
        id_,
        subject.target.origin,
        due,
        lane.last_number,
        lane.window_until,
        lane.not_before,
        closed,
        holder,
        fence,
        subject.target.endpoint,
    )
    if holder is None:
        return Owed(due=due)
    lease = Lease(id_, holder, fence)
    if head is not None:
        return Owed(work=await begin_fresh(tx, lease, head, telling.links))
    return Owed(work=await begin(tx, lease, telling.links))
