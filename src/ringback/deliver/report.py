"""What the log says of attempts and endpoints: one line each, with what follows."""

import logging

from ringback.rules.attempt import Result
from ringback.rules.retry import SECOND
from ringback.store.attempts import Work
from ringback.store.lanes import Owed
from ringback.store.notices import News
from ringback.words.ids import delivery_id

log = logging.getLogger("ringback.deliver")


def report(work: Work, result: Result, owed: Owed, now: int) -> None:
    """Log an attempt: what went wrong is a warning, with what follows; `now` in microseconds."""
    level = logging.DEBUG if result.cause == "acknowledged" else logging.WARNING
    if log.isEnabledFor(level):
        log.log(
            level,
            "delivery %s (%s) attempt %d to %s: %s%s",
            delivery_id(work.prediction_id, work.number),
            work.event,
            work.attempt,
            work.origin,  # not the path: with some receivers that is the secret
            result.diagnosis or f"acknowledged with {result.status}",
            _what_follows(owed, now),
        )


def _what_follows(owed: Owed, now: int) -> str:
    match owed.end:
        case "delivered":
            return ""
        case "dead":
            return "; given up"
        case "superseded":
            return "; a newer event of the prediction takes its place"
        case _:
            wait = 0 if owed.due is None else max(0, owed.due - now) / SECOND
            return f"; next attempt in {wait:.1f} s" if owed.due is not None else ""


def announce(news: News) -> None:
    """Log that an endpoint was closed or has opened again, by its origin: a path may be a secret."""
    match news.type:
        case "endpoint.closed":
            log.warning(
                "%s: closed after %d failures in a row (%s); it is probed until it answers "
                "(ringback endpoints list)",
                news.origin,
                news.number,
                news.diagnosis,
            )
        case "endpoint.opened":
            log.warning(
                "%s: answers again after %.0f s; what waits for it goes out now",
                news.origin,
                news.number / SECOND,
            )
        case _:
            pass  # the attempt's own line says that its delivery is given up
