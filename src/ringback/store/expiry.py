"""Deliveries whose time is over while their endpoint is closed: dead, and they say that nobody tried them."""

from datetime import UTC, datetime

from msgspec import Struct

from ringback.rules.retry import SECOND
from ringback.store import endpoints, notices
from ringback.store.database import Row, Tx, queries
from ringback.store.endpoints import Endpoint
from ringback.store.lanes import pending
from ringback.store.notices import News

Q = queries("expiry")
L = queries("lanes")

_ENDPOINTS = 8
_LANES = 64


class Expired(Struct, frozen=True):
    """What a step came to.

    Attributes:
        after: the key of the last endpoint that is done with; "" at the end.
        count: how many deliveries were given up.
    """

    after: str
    count: int


async def expire(tx: Tx, window_s: float, after: str = "", *, tells: bool = False) -> Expired:
    """Give up what has been due for a whole retry window at endpoints that are closed; a step of a walk.

    What was attempted in its window is given up by its own last attempt. This is for what never had its turn.

    Args:
        tx: the transaction.
        window_s: the retry window, seconds.
        after: the key of the endpoint to go on after.
        tells: the operator is told by webhook.
    """
    overdue = tx.now - int(window_s * SECOND)
    count = 0
    closed = await endpoints.closed(tx, after, _ENDPOINTS)
    for endpoint in closed:
        found = await _overdue(tx, endpoint, overdue)
        ended = 0
        for id_, is_closed in found:
            ended += await _give_up(tx, id_, endpoint, overdue, is_closed=bool(is_closed))
        count += ended
        if ended and tells:
            news = News("deliveries.dead", endpoint.url, endpoint.origin, _reason(endpoint), ended)
            await notices.add(tx, news)
        if len(found) >= _LANES and ended:  # else what is asked for stands in front: no more to do here now
            return Expired(after, count)
        after = endpoint.key
    return Expired(after if len(closed) == _ENDPOINTS else "", count)


async def _overdue(tx: Tx, endpoint: Endpoint, overdue: int) -> list[Row]:
    if endpoint.health.paused_at is not None:
        return []
    if endpoint.account:
        return await tx.rows(Q["of_shelf"], endpoint.key, overdue, _LANES)
    rows = await tx.rows(Q["of_origin"], endpoint.key, overdue, _LANES)
    for (key,) in await tx.rows(Q["shelves"], endpoint.key, _LANES):
        if len(rows) < _LANES:
            rows += await tx.rows(Q["of_shelf"], key, overdue, _LANES - len(rows))
    return rows


async def _give_up(tx: Tx, prediction_id: str, endpoint: Endpoint, overdue: int, *, is_closed: bool) -> bool:
    head, *rest = await pending(tx, prediction_id)
    if head.due_at > overdue:  # somebody has asked for it, and its lane was put in front: there it stays
        await tx.run(Q["rest"], prediction_id, overdue + 1)
        return False
    await tx.run(Q["end"], prediction_id, head.number, tx.now, _reason(endpoint, again=head.attempts > 0))
    if not rest and is_closed:
        await tx.run(L["remove"], prediction_id)
    else:
        await tx.run(Q["rest"], prediction_id, rest[0].due_at if rest else None)
    return True


def _reason(endpoint: Endpoint, *, again: bool = False) -> str:
    since = endpoint.health.failing_since or endpoint.health.closed_at or 0
    at = datetime.fromtimestamp(since // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    tried = "not tried again" if again else "not tried"
    return f"{tried}: endpoint failing since {at}, last: {endpoint.health.diagnosis}"
