"""When a failed delivery is tried again: a schedule as data and one pure function."""

from dataclasses import dataclass

SECOND = 1_000_000
"""Microseconds in a second; all times in Ringback are integers of microseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Exponential backoff within a window.

    Attributes:
        base_s: seconds to wait after the first failure.
        factor: what each further failure multiplies the wait by.
        cap_s: the longest wait, seconds.
        jitter: the share of the wait by which it is moved at random, up or down.
        window_s: seconds after the event until which attempts may begin.
    """

    base_s: float = 5.0
    factor: float = 2.0
    cap_s: float = 7200.0
    jitter: float = 0.1
    window_s: float = 86400.0


def backoff(schedule: Schedule, attempts: int) -> float:
    """Give the seconds to wait after `attempts` (from 1) failed attempts, before jitter."""
    # The exponent is bounded so that a delivery with thousands of attempts can't overflow a float.
    return min(schedule.base_s * schedule.factor ** min(attempts - 1, 60), schedule.cap_s)


def next_due(
    schedule: Schedule, *, attempts: int, event_at: int, now: int, jitter: float, retry_after: float | None
) -> int | None:
    """Say when to try again, or None when the window is used up and the delivery is dead.

    Args:
        schedule: the schedule.
        attempts: attempts begun so far, at least 1.
        event_at: when the event happened, microseconds.
        now: the time, microseconds.
        jitter: a random number in [-1, 1].
        retry_after: seconds the receiver asked for, or None. Honoured in full up to the window's end
            (RFC 9110, 10.2.3; Standard Webhooks 1.0.0): an attempt is then made at the very end.

    Returns:
        Microseconds since the epoch, or None.
    """
    end = event_at + int(schedule.window_s * SECOND)
    wait = backoff(schedule, attempts) * (1 + schedule.jitter * jitter)
    due = now + int(wait * SECOND)
    if retry_after is not None and now < end:
        # min() first: a receiver may send 10^300, and an infinite float has no integer.
        asked = now + int(min(retry_after, schedule.window_s) * SECOND)
        if asked > due:
            return min(asked, end)
    return due if due <= end else None
