"""What became of deliveries, attempt by attempt: to read, never to change.

A list of them is walked, newest first, a bounded number of rows at a time. Whoever reads it goes on from the
place where the last look ended, whether that found anything or not.
"""

from typing import NamedTuple

from msgspec import Struct

from ringback.rules.endpoint import WELL, endpoint_key
from ringback.rules.prediction import Event
from ringback.rules.waiting import Queued
from ringback.store import endpoints
from ringback.store.database import Row, Tx, queries
from ringback.words.ids import earliest_id

L = queries("listing")

_NEWEST_ID = "z" * 26
_NEWEST_AT = 1 << 62
_DAY = 86_400_000_000
_HISTORY = 100
"""Attempts shown of a delivery, the newest: each may hold 64 KiB of an answer."""


class Wanted(Struct, frozen=True):
    """Which deliveries to list; None is any.

    Attributes:
        prediction: the prediction's id.
        endpoint: the webhook's URL without its query.
        created_after: the event happened then or later, microseconds. Events are looked for in predictions
            created up to a day before it.
        created_before: the event happened earlier, microseconds.
    """

    prediction: str | None = None
    endpoint: str | None = None
    status: str | None = None
    event: str | None = None
    created_after: int | None = None
    created_before: int | None = None

    def takes(self, created_at: int, event: str, status: str, endpoint: str | None) -> bool:
        """Say whether it is one of these, its prediction aside."""
        return (
            self.status in (None, status)
            and self.event in (None, event)
            and self.endpoint in (None, endpoint)
            and (self.created_after is None or created_at >= self.created_after)
            and (self.created_before is None or created_at < self.created_before)
        )


class Place(NamedTuple):
    """A delivery's place in the list; number 0 stands for a prediction without any (left)."""

    created_at: int
    prediction_id: str
    number: int


class Look(NamedTuple):
    """What a look found.

    Attributes:
        found: the places of those wanted.
        last: where it ended; None at the end of the list.
    """

    found: list[Place]
    last: Place | None


async def look(tx: Tx, account: str, wanted: Wanted, after: Place | None, limit: int) -> Look:
    """Look at the next `limit` rows of the list of an account's deliveries, newest first.

    The order is that of the predictions, which have their time in their ids; dead ones have an index by the
    time of the event and go by that.
    """
    rows = await _walked(tx, account, wanted, after, limit)
    found = [
        Place(created_at, id_, number)
        for created_at, id_, number, event, status, endpoint, mine in rows
        if mine and number is not None and wanted.takes(created_at, event, status, endpoint)
    ]
    if len(rows) < limit:
        return Look(found, None)
    created_at, id_, number = rows[-1][:3]
    return Look(found, Place(created_at or 0, id_, number or 0))


async def _walked(tx: Tx, account: str, wanted: Wanted, after: Place | None, limit: int) -> list[Row]:
    if wanted.status == "dead" and wanted.prediction is None:
        oldest = wanted.created_after or 0
        place = after or Place(wanted.created_before or _NEWEST_AT, "", 0)
        return await tx.rows(L["walk_dead"], account, oldest, *place, limit)
    lowest, highest = _ids(wanted)
    id_, number = (highest, _NEWEST_AT if wanted.prediction else 0) if after is None else after[1:]
    walk = "walk_pending" if wanted.status == "pending" and wanted.prediction is None else "walk"
    return await tx.rows(L[walk], account, lowest, id_, number, limit)


def _ids(wanted: Wanted) -> tuple[str, str]:
    """Between which ids the predictions of these deliveries are; the upper one is not among them."""
    if wanted.prediction is not None:
        return wanted.prediction, wanted.prediction
    after, before = wanted.created_after, wanted.created_before
    return (
        "" if after is None else earliest_id(max(0, after - _DAY)),
        _NEWEST_ID if before is None else earliest_id(max(0, before + 1000)),
    )


class Last(Struct, frozen=True):
    """An attempt without what was answered. Times in microseconds; `asked`: somebody asked for it."""

    attempt: int
    started_at: int
    duration: int
    cause: str
    status: int | None
    diagnosis: str
    asked: bool


class Past(Struct, frozen=True):
    """An attempt with what was answered; `resent`: on a second connection, see rules.attempt.Result."""

    last: Last
    excerpt: str
    resent: bool


class Shown(Struct, frozen=True):
    """A delivery as it is shown to its account. Times in microseconds.

    Attributes:
        endpoint: the webhook's URL without user and query.
        asked_at: when somebody asked for it to be sent again.
        reason: why it is dead, where no attempt says it.
        last: its last recorded attempt.
        queued: what stands around it while it is pending, else None.
    """

    prediction_id: str
    number: int
    event: Event
    status: str
    endpoint: str
    attempts: int
    created_at: int
    settled_at: int | None
    asked_at: int | None
    digest: str | None
    length: int | None
    reason: str | None
    last: Last | None
    queued: Queued | None


async def shown(tx: Tx, account: str, prediction_id: str, number: int) -> Shown | None:
    """Give a delivery of this account, or None."""
    row = await tx.row(L["shown"], prediction_id, number, account)
    if row is None:
        return None
    endpoint, origin, status = row[4], row[5], row[3]
    last = None if row[16] is None else _last(row[16:23])
    queued = await _queued(tx, row, endpoint_key(account, endpoint), origin) if status == "pending" else None
    attempts, created_at, settled_at, asked_at, digest, length = row[6:12]
    return Shown(
        prediction_id,
        number,
        row[2],
        status,
        endpoint,
        attempts,
        created_at,
        settled_at,
        asked_at,
        digest,
        length,
        row[23],
        last,
        queued,
    )


def _last(row: Row) -> Last:
    attempt, started_at, duration, cause, status, diagnosis, asked = row
    return Last(attempt, started_at, duration, cause, status, diagnosis, bool(asked))


async def _queued(tx: Tx, row: Row, key: str, origin: str) -> Queued:
    number, due_at, lane_due_at, held, head = row[1], *row[12:16]
    is_head = number == head
    endpoint = await endpoints.get(tx, key)
    return Queued(
        (lane_due_at or due_at) if is_head else due_at,
        bool(held) and is_head,
        None if is_head else head,
        WELL if endpoint is None else endpoint.health,
        (await endpoints.of_origin(tx, origin)).health,
    )


async def body(tx: Tx, prediction_id: str, number: int) -> tuple[str | None, str]:
    """Give a delivery's body, if it is kept, and the webhook that stands in it.

    Raises:
        LookupError: there is no such delivery.
    """
    row = await tx.row(L["body"], prediction_id, number)
    if row is None:
        raise LookupError(prediction_id)
    return row[0], str(row[1])


async def history(tx: Tx, prediction_id: str, number: int) -> list[Past]:
    """Give a delivery's attempts in order, the newest 100 of them."""
    rows = await tx.rows(L["history"], prediction_id, number, _HISTORY)
    return [Past(_last(row[:7]), row[7], bool(row[8])) for row in reversed(rows)]
