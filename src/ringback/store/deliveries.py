"""What became of a prediction's deliveries, attempt by attempt: to read, never to change."""

from dataclasses import dataclass

from ringback.rules.prediction import Event
from ringback.store.database import Tx, queries

Q = queries("deliveries")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One recorded attempt. Times in microseconds."""

    number: int
    attempt: int
    started_at: int
    duration: int
    cause: str
    status: int | None
    diagnosis: str
    excerpt: str
    resent: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery: `digest` and `length` are of its body's bytes, None until the first attempt."""

    number: int
    event: Event
    status: str
    attempts: int
    created_at: int
    settled_at: int | None
    digest: str | None
    length: int | None


async def of_prediction(tx: Tx, prediction_id: str) -> list[Delivery]:
    """Give a prediction's deliveries, oldest first."""
    return [Delivery(*row) for row in await tx.rows(Q["of_prediction"], prediction_id)]


async def attempts_of(tx: Tx, prediction_id: str) -> list[Attempt]:
    """Give all attempts of a prediction's deliveries, in order."""
    return [Attempt(*row) for row in await tx.rows(Q["attempts_of"], prediction_id)]
