"""The server's clock: made from the machine's, begun where the data left off, its steps told in the log."""

import logging
import time
from collections.abc import Callable

from ringback.rules.retry import SECOND
from ringback.store import clock as times
from ringback.store.database import Database
from ringback.words.clock import FOLLOWED, SteadyClock

log = logging.getLogger(__name__)

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux counts suspends in a clock of its own; other systems have none."""


def boot_us() -> int:
    """Give microseconds of a clock that never steps, suspends included where the system can tell."""
    return time.clock_gettime_ns(_BOOT) // 1000


def steady(wall: Callable[[], int], boot: Callable[[], int]) -> SteadyClock:
    """Make the server's clock from the wall clock and one that never steps, both in microseconds."""
    return SteadyClock(wall, boot, _tell)


def _tell(step: int, ahead: int) -> None:
    """Say what a step of the wall clock means."""
    follows = "deliveries follow it slowly, and nothing else is needed"
    if step > FOLLOWED:
        follows = "deliveries follow it at once"
    elif ahead < -FOLLOWED:
        follows = "deliveries go on by the time before it: restart the server to set them back too"
    log.warning("the wall clock stepped by %+.0f s: %s", step / SECOND, follows)


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
