"""Sending again because somebody asks for it: the same id, the same bytes, a new window of attempts.

It is the one way in which a prediction's deliveries may go backwards, and only if that is asked for, too.
"""

from msgspec import Struct
from msgspec.structs import replace

from ringback.rules.endpoint import Target, endpoint_key
from ringback.rules.prediction import TERMINAL, Status
from ringback.rules.retry import SECOND
from ringback.rules.snapshot import Facts, Links, render
from ringback.store import endpoints
from ringback.store.attempts import chunks_upto, digest_of, shown
from ringback.store.database import Row, Tx, queries
from ringback.store.endpoints import Endpoint
from ringback.words.errors import Conflict, Gone, NotFound
from ringback.words.ids import delivery_id

Q = queries("resends")

_AT_ONCE = 100
"""Dead deliveries looked at in one transaction, so that a mass of them holds up nobody."""


class Delivery(Struct, frozen=True):
    """A delivery that may be sent again."""

    prediction_id: str
    number: int
    status: str
    snapshot: Status
    upto: int
    attempts: int
    digest: str | None
    body: str | None
    facts: Facts
    target: Target

    @property
    def id(self) -> str:
        """Its webhook-id."""
        return delivery_id(self.prediction_id, self.number)


async def _found(tx: Tx, account: str, prediction_id: str, number: int) -> Delivery:
    row = await tx.row(Q["get"], prediction_id, number, account)
    if row is None:
        raise NotFound(f"There is no delivery {delivery_id(prediction_id, number)}.")
    status, snapshot, upto, attempts, digest, body, *columns = row
    *facts, origin, endpoint = columns
    target = Target(origin, endpoint_key(account, endpoint))
    return Delivery(
        prediction_id, number, status, snapshot, upto, attempts, digest, body, Facts(*facts), target
    )


async def resend(tx: Tx, account: str, prediction_id: str, number: int, links: Links, *, force: bool) -> int:
    """Owe a delivery once more, at once; one that is still waiting is tried at once.

    Args:
        tx: the transaction.
        account: whose it must be.
        prediction_id: the prediction.
        number: the number of its event.
        links: where a snapshot's `urls` point: the body must come out as it was.
        force: send it even if newer events of the prediction have been sent: the receiver gets an older state
            after a newer one.

    Returns:
        When it is due: now, microseconds.

    Raises:
        NotFound: this account has no such delivery.
        Conflict: it would go backwards, or an attempt of the prediction is in flight.
        Gone: its data is gone, or can't be made into the same bytes again.
    """
    delivery = await _found(tx, account, prediction_id, number)
    await _check(tx, delivery, force=force)
    endpoint = await endpoints.get(tx, delivery.target.endpoint)
    if endpoint is not None and endpoint.health.paused_at is not None:
        raise Conflict("Its endpoint is paused: resume it first.")
    if endpoint is not None and not endpoint.health.is_closed:
        endpoint = None
    if delivery.status == "pending":
        await tx.run(Q["now"], prediction_id, number, tx.now)
    else:
        await _again(tx, delivery, tx.now, links)
    await _lane(tx, delivery, await _in_front(tx, delivery.target), on_shelf=endpoint)
    await endpoints.try_now(tx, delivery.target)
    return tx.now


async def _check(tx: Tx, delivery: Delivery, *, force: bool) -> None:
    holder = await tx.row(Q["lane_holder"], delivery.prediction_id)
    if holder is not None and holder[0] is not None:
        raise Conflict("An attempt of this prediction is in flight: ask again in a moment.")
    newest = await tx.row(Q["newest_attempted"], delivery.prediction_id)
    if not force and newest is not None and (newest[0] or 0) > delivery.number:
        newer = delivery_id(delivery.prediction_id, int(newest[0]))
        raise Conflict(
            f"{newer}, which is newer, has been sent already: this would go backwards. "
            "Send that one, or force it."
        )


async def _again(tx: Tx, delivery: Delivery, due: int, links: Links) -> None:
    body = await _body(tx, delivery, links)
    await tx.run(Q["again"], delivery.prediction_id, delivery.number, tx.now, due, body)


async def _in_front(tx: Tx, target: Target) -> int:
    """Say when a lane must be due to be the next to go; of those that wait for a probe it is the only one."""
    origin = await endpoints.of_origin(tx, target.origin)
    if origin.health.is_closed and origin.health.scattered:
        return tx.now  # there the newest is the probe
    rows = [
        await tx.row(Q["first_of_origin"], target.origin),
        await tx.row(Q["first_of_shelf"], target.endpoint),
    ]
    return min([tx.now, *(int(row[0]) - 1 for row in rows if row is not None and row[0] is not None)])


async def _body(tx: Tx, delivery: Delivery, links: Links) -> str | None:
    """Give the bytes of its attempts so far again; None if there was none."""
    if delivery.facts.data_removed:
        raise Gone(f"The data of {delivery.id} is gone: it was removed when its time was over.")
    if delivery.body is not None or delivery.digest is None:
        return delivery.body
    chunks = await chunks_upto(tx, delivery.prediction_id, delivery.upto)
    for each in (links, Links(links.base)):  # the second: as a server wrote it that had no streams yet
        body = render(shown(delivery.facts, delivery.snapshot), chunks, each)
        if digest_of(body) == delivery.digest:
            return body.decode()
    raise Gone(
        f"{delivery.id} can't be sent with the same bytes again: what they were made of has changed "
        "(often the server's public URL)."
    )


async def _lane(tx: Tx, delivery: Delivery, due: int, *, on_shelf: Endpoint | None = None) -> None:
    newest = await tx.row(Q["newest"], delivery.prediction_id)
    last = delivery.number if newest is None else int(newest[0])
    closed = delivery.facts.status in TERMINAL
    # A lane that is made anew counts its claims from a number that no claim of its former life had.
    await tx.run(
        Q["lane"],
        delivery.prediction_id,
        delivery.target.origin,
        due,
        last,
        closed,
        tx.now,
        delivery.target.endpoint,
        on_shelf is not None,
    )
    if on_shelf is not None:
        await endpoints.shelve(tx, on_shelf, tx.now)


class Wish(Struct, frozen=True):
    """Which dead deliveries to send again.

    Attributes:
        account: whose.
        endpoint: to which one (a URL without its query), or None for all.
        since: of events from then on, microseconds.
        until: of events before then, microseconds.
        per_s: at most so many a second.
    """

    account: str
    endpoint: str | None
    since: int
    until: int
    per_s: float


Place = tuple[int, str, int]
"""Where a batch ended: the time, prediction and number of the last delivery looked at."""

START: Place = (-1, "", 0)


class Batch(Struct, frozen=True):
    """What became of a batch.

    Attributes:
        resent: how many are owed again.
        newer: how many are not, for a newer event of their prediction has been sent or is owed.
        gone: how many are not, for their data is gone.
        busy: how many are not, for an attempt of their prediction is in flight.
        after: where to go on, or None when that was all.
        last_due: when the last of them is due, microseconds, or None.
    """

    resent: int = 0
    newer: int = 0
    gone: int = 0
    busy: int = 0
    after: Place | None = None
    last_due: int | None = None


async def resend_dead(tx: Tx, wish: Wish, links: Links, after: Place = START) -> Batch:
    """Owe a batch of dead deliveries once more, spaced out so that the receiver is not overrun.

    None of them goes backwards: those with a newer event that was sent, or that they would hold up, are left
    dead.
    """
    place = max(after, (wish.since - 1, "\x7f", 0))
    rows = await tx.rows(Q["dead"], *place, wish.until, _AT_ONCE)
    row = await tx.row(Q["last_asked"])
    space = int(SECOND / wish.per_s)
    due = tx.now if row is None or row[0] is None else max(tx.now, int(row[0]) + space)
    batch = Batch(after=_place(rows[-1]) if len(rows) == _AT_ONCE else None)
    for each in rows:
        if each[3] != wish.account or wish.endpoint not in {None, each[4]}:
            continue
        became = await _one(tx, wish.account, each, due, links)
        batch = replace(batch, **{became: getattr(batch, became) + 1})
        if became == "resent":
            batch = replace(batch, last_due=due)
            due += space
    return batch


def _place(row: Row) -> Place:
    return int(row[0]), str(row[1]), int(row[2])


async def _one(tx: Tx, account: str, row: Row, due: int, links: Links) -> str:
    delivery = await _found(tx, account, row[1], row[2])
    if await tx.row(Q["newer"], delivery.prediction_id, delivery.number) is not None:
        return "newer"
    holder = await tx.row(Q["lane_holder"], delivery.prediction_id)
    if holder is not None and holder[0] is not None:
        return "busy"
    try:
        await _again(tx, delivery, due, links)
    except Gone:
        return "gone"
    await _lane(tx, delivery, due)
    return "resent"
