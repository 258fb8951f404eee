"""The life of a prediction, as one table.

Two rules: every change of status is a row of TRANSITIONS, applied by `after`; and every event that a
change owes is in EVENT_OF. Whoever wants to know what can happen to a prediction reads these two tables.
"""

from functools import cache
from typing import Literal

Status = Literal["starting", "processing", "succeeded", "failed", "canceled"]
Move = Literal["start", "succeed", "fail", "cancel"]
Event = Literal["start", "output", "logs", "completed"]
Kind = Literal["prediction", "training"]

EVENTS: tuple[Event, ...] = ("start", "output", "logs", "completed")
TERMINAL: frozenset[Status] = frozenset({"succeeded", "failed", "canceled"})

TRANSITIONS: dict[tuple[Status, Move], Status] = {
    ("starting", "start"): "processing",
    ("starting", "fail"): "failed",
    ("starting", "cancel"): "canceled",
    ("processing", "succeed"): "succeeded",
    ("processing", "fail"): "failed",
    ("processing", "cancel"): "canceled",
}

EVENT_OF: dict[Status, Event] = {
    "processing": "start",
    "succeeded": "completed",
    "failed": "completed",
    "canceled": "completed",
}

INTERRUPTED = "Prediction interrupted; please retry (code: PA)"


def after(status: Status, move: Move) -> Status | None:
    """Give the status that `move` leads to, or None when it is not allowed from `status`."""
    return TRANSITIONS.get((status, move))


def mask(events: frozenset[Event] | tuple[Event, ...]) -> int:
    """Pack a webhook's events filter into an integer, one bit for each event."""
    return sum(1 << EVENTS.index(event) for event in set(events))


@cache
def unmask(bits: int) -> tuple[Event, ...]:
    """Unpack what `mask` packed, in the order of EVENTS."""
    return tuple(event for place, event in enumerate(EVENTS) if bits >> place & 1)


Recovery = Literal["release", "again", "fail"]


def recover(*, begun: bool, published: bool, interruptions: int, policy: str) -> Recovery:
    """Say what becomes of a prediction whose worker died holding it.

    Args:
        begun: the predictor had started on it.
        published: output or logs of that run have been sent or streamed to somebody.
        interruptions: how many earlier runs of it ended this way.
        policy: the model's `rerun` setting: `never`, `unpublished` or `always`.

    Returns:
        `release`: back to the queue as if never claimed; `again`: run once more; `fail`: INTERRUPTED.
    """
    if not begun:
        return "release"
    if interruptions or policy == "never":
        return "fail"
    if published and policy != "always":
        return "fail"
    return "again"
