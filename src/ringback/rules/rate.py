"""How many requests there may be in a time: a bucket that fills up evenly and is full at the start.

What is kept of a bucket is one number: the time at which it will be full again (the generic cell rate
algorithm, ITU-T I.371). Times are microseconds; whole numbers, so that N requests are N.
"""

from typing import NamedTuple

_MINUTE = 60_000_000


class Rate(NamedTuple):
    """How quickly a bucket fills up, and what it holds.

    Attributes:
        limit: requests that a full bucket holds.
        gap: microseconds in which one more may be made.
    """

    limit: int
    gap: int


class Taken(NamedTuple):
    """What came of asking for one request.

    Attributes:
        full_at: when the bucket is full again, microseconds; to be kept.
        remaining: requests that may follow at once.
        reset: microseconds until the bucket is full again.
        wait: microseconds until there is room for this one; 0 if it was taken.
    """

    full_at: int
    remaining: int
    reset: int
    wait: int


def per_minute(limit: int) -> Rate:
    """Give the rate of `limit` requests a minute, all of which may come at once."""
    return Rate(limit, max(1, _MINUTE // limit))


def take(rate: Rate, full_at: int, now: int) -> Taken:
    """Ask for one request.

    Args:
        rate: of the bucket.
        full_at: when it would be full, as it was kept; 0 for a new one.
        now: microseconds on a clock that never steps back.
    """
    room = rate.limit * rate.gap
    missing = max(0, full_at - now)
    wait = max(0, missing + rate.gap - room)
    if not wait:
        missing += rate.gap
    return Taken(now + missing, max(0, room - missing) // rate.gap, missing, wait)
