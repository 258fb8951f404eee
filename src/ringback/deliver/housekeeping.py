"""What has to be looked after now and then: deliveries whose time is over, and rows that nothing needs."""

import asyncio
import logging

from ringback.store import endpoints, expiry
from ringback.store.database import Database
from ringback.words.errors import Unavailable

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_ROWS = 256


async def tidy(database: Database, window_s: float, *, tells: bool) -> int:
    """Go once over everything, in small transactions; give how many deliveries were given up.

    Args:
        database: where it is.
        window_s: the retry window, seconds.
        tells: the operator is told by webhook.
    """
    given_up, after = 0, ""
    while True:
        place = after
        step = await database.write(
            lambda tx, place=place: expiry.expire(tx, window_s, place, tells=tells)  # type: ignore[misc] # now
        )
        given_up += step.count
        after = step.after
        if not after and step.count == 0:
            break
    while await database.write(lambda tx: endpoints.forget_idle(tx, _ROWS)) == _ROWS:
        pass
    return given_up


async def keep_tidy(database: Database, window_s: float, *, tells: bool) -> None:
    """Do so every minute, until cancelled; see `tidy`."""
    while True:
        await asyncio.sleep(_EVERY_S)
        try:
            given_up = await tidy(database, window_s, tells=tells)
        except Unavailable:
            continue  # the database's own line says why; the next round is soon
        except Exception:
            log.exception("housekeeping failed; trying again in %.0f s", _EVERY_S)
            continue
        if given_up:
            log.warning(
                "%d deliveries given up: their endpoints were closed for all of their time; "
                "send them again with ringback deliveries resend --dead",
                given_up,
            )
