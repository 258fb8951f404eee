"""Attempts: begun with a body that is frozen from then on, recorded with what they came to."""

import hashlib

from msgspec import Struct
from msgspec.structs import replace

from ringback.rules.attempt import Result
from ringback.rules.endpoint import Target, endpoint_key
from ringback.rules.lane import Pending
from ringback.rules.prediction import TERMINAL, Event, Status
from ringback.rules.snapshot import Chunk, Facts, Links, render
from ringback.store import accounts
from ringback.store.database import Tx, queries
from ringback.words.ids import delivery_id

D = queries("deliveries")
C = queries("chunks")


class Work(Struct, frozen=True):
    """One attempt to make; holding it means holding the lane with this fence.

    Attributes:
        attempt: which attempt of the delivery this is, from 1.
        begun_at: when it was claimed, microseconds.
        completed_at: of a `completed`: when the prediction ended, microseconds; None of the others.
        asked: somebody has asked for the delivery to be sent again.
    """

    prediction_id: str
    number: int
    event: Event
    target: Target
    url: str
    body: bytes
    secrets: tuple[str, ...]
    attempt: int
    begun_at: int
    holder: str
    fence: int
    completed_at: int | None = None
    asked: bool = False

    @property
    def origin(self) -> str:
        """Where it goes: scheme://host:port."""
        return self.target.origin

    def __repr__(self) -> str:
        """Name the attempt; secrets, body and URL are not for a log."""
        return f"Work({delivery_id(self.prediction_id, self.number)}, attempt {self.attempt}, {self.origin})"


class Lease(Struct, frozen=True):
    """The right to attempt a lane's head."""

    prediction_id: str
    holder: str
    fence: int


async def begin(tx: Tx, lease: Lease, links: Links) -> Work:
    """Begin the next attempt of a lane that is held; the first one of a delivery freezes its body."""
    row = await tx.row(D["head"], lease.prediction_id)
    if row is None:
        raise LookupError(f"lane {lease.prediction_id} is due and has no pending delivery")
    number, event, snapshot, upto, attempts, frozen = row[:6]
    *columns, account, origin, endpoint, asked = row[6:]
    facts = Facts(*columns)
    if frozen is None:
        chunks = await chunks_upto(tx, lease.prediction_id, upto)
        body = render(shown(facts, snapshot), chunks, links)
        await tx.run(
            D["freeze"], lease.prediction_id, number, tx.now, body.decode(), digest_of(body), len(body)
        )
    else:
        body = frozen.encode()
        await tx.run(D["begin"], lease.prediction_id, number, tx.now)
    secrets = await accounts.live_secrets(tx, account)
    target = Target(origin, endpoint_key(account, endpoint))
    return _work(lease, number, event, target, facts, body, secrets, attempts + 1, tx.now, asked=bool(asked))


def _work(
    lease: Lease,
    number: int,
    event: Event,
    target: Target,
    facts: Facts,
    body: bytes,
    secrets: tuple[str, ...],
    attempt: int,
    now: int,
    *,
    asked: bool = False,
) -> Work:
    return Work(
        lease.prediction_id,
        number,
        event,
        target,
        str(facts.webhook),
        body,
        secrets,
        attempt,
        now,
        lease.holder,
        lease.fence,
        facts.completed_at if event == "completed" else None,
        asked,
    )


class Fresh(Struct, frozen=True):
    """A delivery that is created and begun in one step.

    Attributes:
        delivery: the head.
        snapshot: the status it shows.
        upto: the last chunk it shows.
        facts: the prediction.
        account: whose it is.
        target: where it goes.
        chunks: the chunks up to `upto`, if they are at hand.
    """

    delivery: Pending
    snapshot: Status
    upto: int
    facts: Facts
    account: str
    target: Target
    chunks: list[Chunk] | None


async def begin_fresh(tx: Tx, lease: Lease, fresh: Fresh, links: Links) -> Work:
    """Create a delivery whose first attempt begins at once."""
    chunks = fresh.chunks
    if chunks is None:
        chunks = await chunks_upto(tx, lease.prediction_id, fresh.upto)
    body = render(shown(fresh.facts, fresh.snapshot), chunks, links)
    new = fresh.delivery
    await tx.run(
        D["create_begun"],
        lease.prediction_id,
        new.number,
        new.event,
        fresh.snapshot,
        fresh.upto,
        new.due_at,
        tx.now,
        body.decode(),
        digest_of(body),
        len(body),
    )
    secrets = await accounts.live_secrets(tx, fresh.account)
    return _work(lease, new.number, new.event, fresh.target, fresh.facts, body, secrets, 1, tx.now)


async def chunks_upto(tx: Tx, prediction_id: str, upto: int) -> list[Chunk]:
    """Give a prediction's chunks up to a sequence number."""
    return [(kind, data) for kind, data in await tx.rows(C["upto"], prediction_id, upto)]


def digest_of(body: bytes) -> str:
    """Give the hex SHA-256 of a body, by which its bytes are known once they are dropped."""
    return hashlib.sha256(body).hexdigest()


def shown(facts: Facts, snapshot: Status) -> Facts:
    """Give the prediction as it stood when its status was `snapshot`."""
    if snapshot in TERMINAL:
        return facts
    return replace(facts, status=snapshot, completed_at=None, error=None, metrics="{}")


async def record(
    tx: Tx,
    prediction_id: str,
    number: int,
    attempt: int,
    begun_at: int,
    result: Result,
    *,
    asked: bool = False,
) -> None:
    """Keep what an attempt came to; `asked` if it was made because somebody asked for it."""
    await tx.run(
        D["record"],
        prediction_id,
        number,
        attempt,
        begun_at,
        result.duration_us,
        result.cause,
        result.status,
        result.diagnosis,
        result.excerpt,
        result.resent,
        asked,
    )
