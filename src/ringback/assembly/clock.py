"""The server's clock: made from the machine's, begun where the data left off, its steps told in the log."""

import logging
import time
from collections.abc import Callable

from ringback.rules.retry import SECOND
from ringback.store import clock as times
from ringback.store.database import Database
from ringback.words.clock import FOLLOWED, STAYS, SteadyClock

log = logging.getLogger(__name__)

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux counts suspends in a clock of its own; other systems have none."""

_QUIET = 60 * SECOND
"""Microseconds after a line about a step in which there is no other: a clock may step at every look."""


def boot_us() -> int:
    """Give microseconds of a clock that never steps, suspends included where the system can tell."""
    return time.clock_gettime_ns(_BOOT) // 1000


def steady(wall: Callable[[], int], boot: Callable[[], int]) -> SteadyClock:
    """Make the server's clock from the wall clock and one that never steps, both in microseconds.

    Steps are told in the log, one line a minute at most; the last step of a minute is told when it is over.
    """
    told = _Told(boot)
    return SteadyClock(wall, told.boot, told.stepped)


class _Told:
    """Tells of steps, and sees the time pass by the looks at the clock that never steps."""

    def __init__(self, boot: Callable[[], int]) -> None:
        self._boot = boot
        self._now = 0
        self._quiet_until: int | None = None
        self._held: tuple[int, int] | None = None
        self._untold = 0

    def boot(self) -> int:
        self._now = self._boot()
        if self._held is not None and not self._is_quiet():
            self._tell(*self._held)
        return self._now

    def stepped(self, step: int, ahead: int) -> None:
        if self._is_quiet():
            self._held = (step, ahead)
            self._untold += 1
        else:
            self._tell(step, ahead)

    def _is_quiet(self) -> bool:
        return self._quiet_until is not None and self._now < self._quiet_until

    def _tell(self, step: int, ahead: int) -> None:
        log.warning("the wall clock stepped by %+.0f s%s: %s", step / SECOND, self._more(), _meaning(ahead))
        self._quiet_until, self._held, self._untold = self._now + _QUIET, None, 0

    def _more(self) -> str:
        return f", the last of {self._untold} steps within a minute" if self._untold > 1 else ""


def _meaning(ahead: int) -> str:
    """Say what a step means for deliveries, by how far it left the wall clock ahead of them."""
    if ahead > FOLLOWED:
        return f"deliveries follow it in one leap if it stays there for {STAYS // SECOND} s"
    if ahead < -FOLLOWED:
        return "deliveries go on by the time before it: restart the server to set them back too"
    return "deliveries follow it slowly, and nothing else is needed"


async def resume(clock: SteadyClock, database: Database) -> None:
    """Go on from the latest time the data knows, or bring the data back if that can't be.

    Raises:
        Unavailable: the database can't take it.
    """
    seen = await database.read(times.latest)
    ahead = clock.resume(seen)
    if ahead:
        moved = await database.write(lambda tx: times.bring_back(tx, ahead))
        log.warning(
            "the data was written under a clock %.1f h ahead of this one: %d waiting lanes are set back",
            ahead / SECOND / 3600,
            moved,
        )
