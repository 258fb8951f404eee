"""Notices: what the operator is told by webhook, written with the change that they tell of."""

from typing import Any

from msgspec import Struct

from ringback.rules.retry import SECOND
from ringback.store.database import Tx, queries
from ringback.words.ids import digest
from ringback.words.json import canonical

Q = queries("notices")
_GATHERED = 5 * SECOND
"""Microseconds for which deliveries that die are gathered into one notice for each origin: where each
prediction has a URL of its own, three hundred notices of one death each would tell less than one of all."""


class News(Struct, frozen=True):
    """Something an operator should hear of.

    Attributes:
        type: endpoint.closed, endpoint.opened or deliveries.dead.
        url: the endpoint or the origin; dead: where the last one went.
        origin: its origin.
        diagnosis: what was wrong, in words.
        number: closed: failures in a row; opened: for how long it had been failing, microseconds; dead: how
            many deliveries.
    """

    type: str
    url: str
    origin: str
    diagnosis: str
    number: int = 0


class Notice(Struct, frozen=True):
    """A notice to send; `attempts` counts this one. `count` deliveries are meant, times in microseconds."""

    id: str
    type: str
    subject: str
    data: str
    count: int
    attempts: int
    created_at: int


async def add(tx: Tx, news: News) -> None:
    """Write a notice; one of the same kind about the same endpoint that still waits takes it in.

    Deliveries that died count together for their whole origin; `url` is where the last one went.
    """
    subject = news.url
    data: dict[str, Any] = {"url": news.url, "origin": news.origin, "diagnosis": news.diagnosis}
    due, count = tx.now, 1
    match news.type:
        case "endpoint.closed":
            data |= {"failures": news.number}
        case "endpoint.opened":
            data |= {"failing_for": news.number / SECOND}
        case _:
            subject, due, count = news.origin, tx.now + _GATHERED, news.number
    id_ = "ntc_" + digest(f"{news.type} {subject} {tx.now}")[:24]
    await tx.run(Q["add"], id_, news.type, subject, canonical(data).decode(), due, tx.now, count)


async def take(tx: Tx, limit: int, again_us: int) -> list[Notice]:
    """Give notices that are due, and make each due again `again_us` microseconds from now.

    What closes and opens goes first, whatever has died: there may be many dead, and they have time.
    """
    found: list[Notice] = []
    for is_dead in (False, True):
        rows = await tx.rows(Q["due"], tx.now, tx.now + again_us, limit - len(found), is_dead)
        found += sorted((Notice(*row) for row in rows), key=lambda notice: notice.created_at)
    return found


async def next_due(tx: Tx) -> int | None:
    """Say when the next notice is due, microseconds, or None when there is none."""
    row = await tx.row(Q["next"])
    return None if row is None else int(row[0])


async def postpone(tx: Tx, id_: str, until: int) -> None:
    """Send it again at `until`, microseconds."""
    await tx.run(Q["postpone"], id_, until)


async def remove(tx: Tx, id_: str) -> None:
    """Forget a notice that was acknowledged, or that nobody wants any more."""
    await tx.run(Q["remove"], id_)
