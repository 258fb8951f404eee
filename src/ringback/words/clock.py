"""The server's time: the wall clock without its steps.

What waits (throttle windows, retries, Retry-After) waits by the difference of two times. A wall clock that is
stepped an hour back would hold all of it for an hour, one stepped forward would end it at once. So time here
begins at the wall clock, is advanced by a clock that never steps, and follows a stepped wall clock only
slowly: an hour takes ten, and no wait comes out more than a tenth longer or shorter meanwhile.
"""

from collections.abc import Callable

SHARE = 10
"""Ten real seconds may count as eleven, and eleven as ten."""

FOLLOWED = 2 * 3600 * 1_000_000
"""Microseconds ahead from which the wall clock is followed in one leap: the machine was started with a
senseless clock that has been set since, or was frozen for hours and does not know. Slowly, that would take
days or years, and deliveries would be tried for as long beyond their window."""

STAYS = 2_000_000
"""Microseconds for which a wall clock so far ahead must have stayed there before it is followed. There is no
way back: followed to one wrong reading, time would be wrong, and windows over, until the next start."""

CLOSE = 1000
"""Microseconds that nobody would notice: the wall clock is as good as reached."""

NOTED = 1_000_000
"""Microseconds of a step from which somebody is told."""

Stepped = Callable[[int, int], None]
"""Hears by how much the wall clock stepped, and how far it is ahead of time here now, in microseconds."""


def correction(ahead: int, passed: int) -> int:
    """Say by how much time here moves towards the wall clock, beyond the time that has passed.

    Args:
        ahead: how far the wall clock is ahead, microseconds.
        passed: the real time since the last correction, microseconds.
    """
    if ahead > FOLLOWED:
        return ahead
    return max(-(passed // (SHARE + 1)), min(ahead, passed // SHARE))


def _is_close(ahead: int) -> bool:
    return -CLOSE < ahead < CLOSE


class SteadyClock:
    """Gives microseconds since the epoch, never fewer than before. For one thread.

    A wall clock that is further ahead than FOLLOWED is followed once it was still there STAYS later; until
    then time goes on as if it had not stepped.

    A wall clock that is set back is never followed at once, however far: times that are in the database
    already would lie ahead. Further than FOLLOWED, the next start takes that up (`resume`, store/clock.py).
    """

    def __init__(self, wall: Callable[[], int], boot: Callable[[], int], stepped: Stepped) -> None:
        """Begin at the wall clock.

        Args:
            wall: microseconds since the epoch; it may step.
            boot: microseconds since whenever, suspends included; it never steps.
            stepped: told of steps of NOTED and more.
        """
        self._wall = wall
        self._boot = boot
        self._stepped = stepped
        self._booted = boot()
        self._offset = wall() - self._booted
        self._ahead = 0
        self._stayed = 0

    def __call__(self) -> int:
        """Give the time."""
        boot = self._boot()
        ahead = self._wall() - boot - self._offset
        if not (_is_close(ahead) and _is_close(self._ahead)) or boot < self._booted:
            self._follow(ahead, boot - self._booted)
        self._booted = boot
        return boot + self._offset

    def _follow(self, ahead: int, passed: int) -> None:
        """Move towards the wall clock as far as the time that has passed allows."""
        # That clock can't go back. If it does, time stands still.
        lost, passed = max(0, -passed), max(0, passed)
        step = ahead - self._ahead
        moved = 0 if self._is_doubtful(ahead - lost, step, passed) else correction(ahead - lost, passed)
        self._offset += lost + moved
        self._ahead = ahead - lost - moved
        if abs(step) >= NOTED:
            self._stepped(step, self._ahead)

    def _is_doubtful(self, ahead: int, step: int, passed: int) -> bool:
        """Whether the wall clock is so far ahead that it is to be followed, and hasn't stayed there yet."""
        self._stayed = self._stayed + passed if ahead > FOLLOWED and abs(step) < NOTED else 0
        return ahead > FOLLOWED and self._stayed < STAYS

    def resume(self, seen: int) -> int:
        """Go on from a time that an earlier process has seen, if the wall clock is behind it.

        Args:
            seen: the latest time that is known, microseconds.

        Returns:
            0; or, if it lies more than FOLLOWED ahead and is not gone on from, how far ahead it is.
        """
        further = seen - self()
        if further > FOLLOWED:
            return further
        if further > 0:
            self._offset += further
            self._ahead -= further
        return 0
