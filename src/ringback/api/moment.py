"""A time as requests give it."""

from datetime import datetime

from ringback.rules.retry import SECOND


def moment(text: str) -> int:
    """Read a time of RFC 3339; give microseconds since the epoch.

    Raises:
        ValueError: it is none, or has no zone; the message says what was expected.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("Must be a time with its zone, such as 2026-11-22T07:26:00Z")
    return round(time.timestamp() * SECOND)
