"""Which origins to look at, and when: so that a claim goes straight to what is due.

It is a memory of the dispatcher's own and may be forgotten at any time: the walk over all origins, now and
then, finds whatever it does not know.
"""

_ORIGINS = 4096
_AT_ONCE = 64


class Agenda:
    """Origins with the earliest time at which something of theirs is due, in microseconds."""

    def __init__(self) -> None:
        self._due: dict[str, int] = {}

    def note(self, origin: str, due: int) -> bool:
        """Keep a time for an origin; False if there is no room for one more."""
        known = self._due.get(origin)
        if known is None and len(self._due) >= _ORIGINS:
            return False
        if known is None or due < known:
            self._due[origin] = due
        return True

    def take(self, now: int) -> tuple[str, ...]:
        """Give origins that are due at `now` (microseconds), a claim's worth, and forget their times."""
        due = [origin for origin, at in self._due.items() if at <= now][:_AT_ONCE]
        for origin in due:
            del self._due[origin]
        return tuple(due)

    @property
    def next(self) -> int | None:
        """The earliest time of all, microseconds."""
        return min(self._due.values(), default=None)
