"""Why a delivery that is owed has not gone out, and when its next attempt can be, in words for a person."""

from msgspec import Struct

from ringback.rules.endpoint import Health, opens_at, state
from ringback.rules.snapshot import timestamp


class Queued(Struct, frozen=True):
    """A pending delivery and what stands around it. Times in microseconds.

    Attributes:
        due_at: when it is due, the receiver's Retry-After included.
        in_flight: an attempt of it is under way.
        behind: the number of the delivery that goes first, or None when this is the next one.
        endpoint: how its endpoint is.
        origin: how its endpoint's origin is.
    """

    due_at: int
    in_flight: bool
    behind: int | None
    endpoint: Health
    origin: Health


class Waiting(Struct, frozen=True):
    """What it waits for.

    Attributes:
        at: no attempt before this time, microseconds; None where that is no matter of time.
        why: a sentence; empty when it only waits for that time.
    """

    at: int | None
    why: str = ""


def waiting(queued: Queued, now: int) -> Waiting:
    """Say what a pending delivery waits for at `now` (microseconds)."""
    if queued.in_flight:
        return Waiting(None, "an attempt is under way")
    if queued.behind is not None:
        return Waiting(None, f"event {queued.behind} of this prediction goes first")
    return _for_health(queued, now)


def _for_health(queued: Queued, now: int) -> Waiting:
    health, is_origin = decisive(queued.endpoint, queued.origin, now)
    name = "the origin" if is_origin else "the endpoint"
    match state(health, now):
        case "paused":
            return Waiting(None, f"{name} is paused; it goes out once that is ended")
        case "closed":
            return _closed(queued, health, name)
        case "held":
            at = max(queued.due_at, health.held_until)
            return Waiting(at, f"the receiver asked to be left alone until {timestamp(health.held_until)}")
        case "recovering":
            return Waiting(queued.due_at, f"{name} answers again: what waits goes out a few at a time")
        case _:
            return Waiting(queued.due_at)


def _closed(queued: Queued, health: Health, name: str) -> Waiting:
    since = health.failing_since or health.closed_at or 0
    last = f"; last: {health.diagnosis}" if health.diagnosis else ""
    opens = opens_at(health)
    return Waiting(
        None if opens is None else max(queued.due_at, opens),
        f"{name} has been failing since {timestamp(since)}, and is probed until it answers{last}",
    )


_GRAVITY = ("paused", "closed", "held", "recovering", "failing", "open")


def decisive(endpoint: Health, origin: Health, now: int) -> tuple[Health, bool]:
    """Give the graver of an endpoint's health and its origin's, and whether it is the origin's.

    That other endpoints of the origin fail says nothing of this one until the origin is closed for it.
    """
    if not origin.failures and state(origin, now) == "failing":
        return endpoint, False
    own, shared = (gravity(health, now) for health in (endpoint, origin))
    return (origin, True) if shared < own else (endpoint, False)


def gravity(health: Health, now: int) -> int:
    """Say how grave it is, from 0 for the gravest, at `now` (microseconds)."""
    return _GRAVITY.index(state(health, now))
