"""The lane: the deliveries of one prediction, in order. What is owed, merged, superseded and settled.

The rules, all of them here and none of them elsewhere:

1. Only the head, the oldest pending delivery, is ever attempted, and one attempt at a time.
2. `output` and `logs` are throttled: one window for each prediction. The first goes at once and opens the
   window; the next waits until it ends. A pending one that was never attempted is updated in place to the
   newer snapshot; when both kinds changed it is one event, `output`.
3. An attempted delivery keeps its id and its body. Once a newer event exists, a failed head is superseded.
4. `completed` is never superseded, waits for no window and closes the lane. `start` opens no window.
5. What comes with the end is not sent twice: with `completed` asked for, a throttled snapshot gives way to
   it; without, it goes out at the end with the final snapshot.
"""

from collections.abc import Sequence
from typing import Literal, assert_never

from msgspec import Struct

from ringback.rules.attempt import Acknowledged, Failed, Gone, Verdict
from ringback.rules.prediction import Event
from ringback.rules.retry import SECOND, Schedule, next_due

PARTIAL: frozenset[Event] = frozenset({"output", "logs"})


class Pending(Struct, frozen=True):
    """A delivery that is owed.

    Attributes:
        number: its place in the lane, from 1.
        event: what it tells.
        attempts: how many attempts have begun.
        due_at: not before this time, microseconds.
        created_at: when the event happened or, once that is known, when its first attempt began: a delivery
            that could not be tried (the server was off for days) still has its whole window, microseconds.
        before: how many attempts had begun when somebody asked for it to be sent again; its window and its
            schedule begin anew then.
    """

    number: int
    event: Event
    attempts: int
    due_at: int
    created_at: int
    before: int = 0


class Lane(Struct, frozen=True):
    """What the rules need to know of a lane.

    Attributes:
        pending: the pending deliveries, oldest first.
        last_number: the number of the newest delivery ever made; 0 for a new lane.
        window_until: the end of the throttle window, microseconds; 0 when it never opened.
        not_before: the receiver's Retry-After, microseconds; 0 when there is none.
        held: an attempt of the head is in flight.
    """

    pending: tuple[Pending, ...] = ()
    last_number: int = 0
    window_until: int = 0
    not_before: int = 0
    held: bool = False


EMPTY = Lane()


class Plan(Struct, frozen=True):
    """What to write for an event.

    Attributes:
        superseded: numbers of the deliveries that give way.
        merged: the delivery to update to the newest snapshot (with its event and due time), or None.
        created: the delivery to add, or None.
        window_until: the throttle window's new end.
    """

    superseded: tuple[int, ...]
    merged: Pending | None
    created: Pending | None
    window_until: int


def due_at(lane: Lane) -> int | None:
    """Say when the lane's head is due, or None when nothing is pending."""
    return max(lane.pending[0].due_at, lane.not_before) if lane.pending else None


def owe(lane: Lane, event: Event, *, now: int, window_us: int) -> Plan:
    """Say what `event`, happening now, changes in the lane."""
    if event not in PARTIAL:
        gives_way = _stale(lane, closing=event == "completed")
        return Plan(gives_way, None, _new(lane, event, now, now), lane.window_until)
    newest = lane.pending[-1] if lane.pending else None
    if newest is not None and _is_last(lane, newest) and _mergeable(newest):
        merged: Event = "output" if "output" in (event, newest.event) else "logs"
        return Plan((), _replaced(newest, merged, newest.due_at), None, lane.window_until)
    due = max(now, lane.window_until)
    return Plan(_stale(lane, closing=False), None, _new(lane, event, due, now), due + window_us)


def flush(lane: Lane, *, now: int) -> Plan:
    """Say what the end of a prediction changes when `completed` was not asked for: what waits goes now."""
    newest = lane.pending[-1] if lane.pending else None
    if newest is None or not _is_last(lane, newest) or not _mergeable(newest):
        return Plan((), None, None, lane.window_until)
    due = min(newest.due_at, now)
    return Plan((), _replaced(newest, newest.event, due), None, lane.window_until)


def _mergeable(delivery: Pending) -> bool:
    return delivery.event in PARTIAL and delivery.attempts == 0


def _is_last(lane: Lane, delivery: Pending) -> bool:
    """Whether no newer one was ever made: one that is sent again must not show what is newer than its id."""
    return delivery.number == lane.last_number


def _new(lane: Lane, event: Event, due_at: int, now: int) -> Pending:
    return Pending(lane.last_number + 1, event, attempts=0, due_at=due_at, created_at=now)


def _replaced(delivery: Pending, event: Event, due_at: int) -> Pending:
    return Pending(delivery.number, event, delivery.attempts, due_at, delivery.created_at, delivery.before)


def _stale(lane: Lane, *, closing: bool) -> tuple[int, ...]:
    """Which pending deliveries a newer event replaces: a failed head, and at the end what was throttled."""
    return tuple(
        delivery.number
        for place, delivery in enumerate(lane.pending)
        if (delivery.attempts > 0 and place == 0 and not lane.held) or (closing and _mergeable(delivery))
    )


def advanced(lane: Lane, plan: Plan) -> Lane:
    """Give the lane as it is once `plan` is written, for the next event of the same transaction."""
    left = [delivery for delivery in lane.pending if delivery.number not in plan.superseded]
    if plan.merged is not None:
        left[-1] = plan.merged
    last_number = lane.last_number
    if plan.created is not None:
        left.append(plan.created)
        last_number = plan.created.number
    return Lane(tuple(left), last_number, plan.window_until, lane.not_before, lane.held)


End = Literal["delivered", "superseded", "dead"]


class Settlement(Struct, frozen=True):
    """What an attempt's result changes.

    Attributes:
        end: what became of the head, or None when it stays pending.
        due_at: when the lane's (new) head is due, or None when nothing is pending.
        retry_at: when the head itself is due again, if it stays pending.
        not_before: the lane's new Retry-After limit.
    """

    end: End | None
    due_at: int | None
    retry_at: int | None
    not_before: int


def settle(
    pending: Sequence[Pending], verdict: Verdict, schedule: Schedule, *, now: int, jitter: float
) -> Settlement:
    """Say what becomes of the head and who is next.

    Args:
        pending: the lane's pending deliveries, oldest first; the first one was just attempted.
        verdict: what the attempt came to.
        schedule: when to retry.
        now: the time, microseconds.
        jitter: a random number in [-1, 1].
    """
    head, rest = pending[0], pending[1:]
    match verdict:
        case Acknowledged():
            return _ended("delivered", rest, 0)
        case Gone():
            return _ended("dead", rest, 0)
        case Failed(retry_after):
            not_before = _not_before(retry_after, now, schedule)
            if rest:
                return _ended("superseded", rest, not_before)
            retry_at = next_due(
                schedule,
                attempts=head.attempts - head.before,
                event_at=head.created_at,
                now=now,
                jitter=jitter,
                retry_after=retry_after,
            )
            if retry_at is None:
                return Settlement("dead", None, None, 0)
            # The head's own due time honours Retry-After already, within its window.
            return Settlement(None, retry_at, retry_at, min(not_before, retry_at))
        case _:  # pragma: no cover
            assert_never(verdict)


def _not_before(retry_after: float | None, now: int, schedule: Schedule) -> int:
    return 0 if retry_after is None else now + int(min(retry_after, schedule.window_s) * SECOND)


def _ended(end: End, rest: Sequence[Pending], not_before: int) -> Settlement:
    due_at = max(rest[0].due_at, not_before) if rest else None
    return Settlement(end, due_at, None, not_before)
