"""Predictions: created, found, listed. What happens to them while they run is in runs.py."""

from dataclasses import dataclass

from msgspec import Struct

from ringback.rules.prediction import Event, Kind, mask
from ringback.rules.retry import SECOND
from ringback.rules.snapshot import Chunk, Facts
from ringback.store.database import Row, Tx, queries
from ringback.words.errors import Conflict
from ringback.words.ids import HIGHEST_ID, LOWEST_ID, earliest_id

Q = queries("predictions")
C = queries("chunks")

_KEY_US = 24 * 3600 * SECOND
"""How long an Idempotency-Key stands for its prediction."""

_FORGOTTEN = 8
"""Keys past that which one create with a key removes: more than it adds, so that they never pile up."""

_LAG_US = 60 * SECOND
"""An id is made before its row is written: by how much it may be the older one."""

_FOR_EVER = 1 << 62


class Webhook(Struct, frozen=True):
    """Where to ring back, and for which events.

    Attributes:
        url: as given.
        endpoint: the URL without its query.
        origin: scheme://host:port.
        events: the filter.
    """

    url: str
    endpoint: str
    origin: str
    events: frozenset[Event]


class Idempotency(Struct, frozen=True):
    """What makes a create request the same as another one.

    Attributes:
        key: the Idempotency-Key, chosen by the client.
        digest: of all that was asked for.
    """

    key: str
    digest: str


class New(Struct, frozen=True):
    """A prediction to create; `input` is canonical JSON.

    Attributes:
        pool: whose replicas run it: '' the model's own, 'train', or a deployment's owner/name.
        deadline: when it is canceled if it has not ended, microseconds since the epoch.
        destination: of a training: the model that gets the new version.
        idempotency: so that the same request, made again, creates nothing.
    """

    id: str
    account: str
    version: str
    model: str
    input: str
    webhook: Webhook | None
    kind: Kind = "prediction"
    pool: str = ""
    deadline: int | None = None
    destination: str | None = None
    idempotency: Idempotency | None = None


class Created(Struct, frozen=True):
    """What a create came to: the new prediction, or with `replayed` the one that is there already."""

    facts: Facts
    chunks: list[Chunk]
    replayed: bool = False


async def create(tx: Tx, new: New) -> Created:
    """Add a prediction to its queue, unless the same request did so before.

    Raises:
        Conflict: its Idempotency-Key stands for another request.
    """
    if new.idempotency is not None:
        made = await replayed(tx, new.account, new.idempotency)
        if made is not None:
            return made
        key, digest = new.idempotency.key, new.idempotency.digest
        await tx.run(Q["remember"], new.account, key, digest, new.id, tx.now)
        await tx.run(Q["forget_keys"], tx.now - _KEY_US, _FORGOTTEN)
    hook = new.webhook
    bits = 0 if hook is None else mask(hook.events)
    await tx.run(
        Q["create"],
        new.id,
        new.account,
        new.version,
        new.model,
        new.input,
        tx.now,
        *((None, None, None) if hook is None else (hook.url, hook.endpoint, hook.origin)),
        bits,
        new.kind,
        new.pool,
        new.deadline,
        new.destination,
    )
    return Created(_facts(new, tx.now, None if hook is None else hook.url, bits), [])


def _facts(new: New, now: int, webhook: str | None, bits: int) -> Facts:
    return Facts(
        new.id,
        new.model,
        new.version,
        "starting",
        new.input,
        "api",
        now,
        None,
        None,
        None,
        "{}",
        webhook,
        bits,
        data_removed=False,
        kind=new.kind,
        pool=new.pool,
        deadline=new.deadline,
    )


async def replayed(tx: Tx, account: str, same: Idempotency) -> Created | None:
    """Give what the same request has made before, or None.

    Raises:
        Conflict: its Idempotency-Key stands for another request.
    """
    known = await _known(tx, account, same)
    return None if known is None else Created(*known, replayed=True)


async def _known(tx: Tx, account: str, same: Idempotency) -> tuple[Facts, list[Chunk]] | None:
    row = await tx.row(Q["idempotent"], account, same.key, tx.now - _KEY_US)
    if row is None:
        return None
    digest, id_ = row
    if digest != same.digest:
        raise Conflict(
            "This Idempotency-Key was used for another request in the last 24 hours: use a new key for it."
        )
    return await get(tx, account, id_)


async def get(tx: Tx, account: str, id_: str) -> tuple[Facts, list[Chunk]] | None:
    """Give a prediction or training of this account with its chunks, or None."""
    row = await tx.row(Q["get_of_account"], id_, account)
    return None if row is None else (Facts(*row), await _chunks(tx, id_))


async def facts(tx: Tx, id_: str) -> Facts | None:
    """Give a prediction whoever it belongs to, or None."""
    row = await tx.row(Q["get"], id_)
    return None if row is None else Facts(*row)


async def fits(tx: Tx, id_: str, room: int) -> bool:
    """Say whether a prediction's input, output and logs have at most `room` characters together.

    No more of them is looked at than that and 50 chunks.
    """
    row = await tx.row(Q["size"], id_, room)
    return row is None or row[0] is None or row[0] <= room


async def _chunks(tx: Tx, id_: str) -> list[Chunk]:
    return [(kind, data) for kind, data in await tx.rows(C["all"], id_)]


class Wanted(Struct, frozen=True):
    """Which predictions of an account to list.

    Attributes:
        kind: prediction or training.
        after: created then or later, microseconds since the epoch.
        before: created before that.
        is_web: only those made on the server's own pages.
    """

    kind: Kind = "prediction"
    after: int = 0
    before: int = _FOR_EVER
    is_web: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """The ids on a page of a list, newest first, and whether there is more on either side."""

    ids: list[str]
    newer: bool
    older: bool


async def page(
    tx: Tx,
    account: str,
    size: int,
    wanted: Wanted,
    *,
    before: str | None = None,
    after: str | None = None,
) -> Page:
    """List an account's predictions, newest first: before (older than) or after (newer than) an id.

    Only which they are: each may be large, so that they are read one by one.
    """
    if after is not None:
        rows = await _rows(tx, "newer", account, after, size, wanted)
        newer, rows = len(rows) > size, rows[:size][::-1]
        older = True
    else:
        rows = await _rows(tx, "older", account, before or _end(wanted), size, wanted)
        older, rows = len(rows) > size, rows[:size]
        newer = before is not None
    return Page([id_ for (id_,) in rows], newer, older)


def _end(wanted: Wanted) -> str:
    """Give an id above all that were created in time, so that the walk begins there."""
    return HIGHEST_ID if wanted.before == _FOR_EVER else earliest_id(wanted.before + 1000)


async def _rows(tx: Tx, name: str, account: str, id_: str, size: int, wanted: Wanted) -> list[Row]:
    which = "web" if wanted.is_web else wanted.kind
    low = earliest_id(wanted.after - _LAG_US) if wanted.after > _LAG_US else LOWEST_ID
    return await tx.rows(_LISTS[name, which], account, id_, low, wanted.after, wanted.before, size + 1)


_WHICH = {
    "prediction": "kind = 'prediction'",
    "training": "kind = 'training'",
    "web": "source = 'web' AND kind = 'prediction'",
}
"""As literals: a partial index serves a condition that the planner can read."""

_LISTS = {
    (name, which): Q[name].replace(":which", condition)
    for name in ("older", "newer")
    for which, condition in _WHICH.items()
}
