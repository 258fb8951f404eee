"""What the rows are made of: the load, what one run gave, and whether its figures can be trusted."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench.creates import Created, Job
from bench.processes import TOKEN, Receiver, Server, module, result_of
from bench.receiver import Report
from ringback.assembly.data import DataFolder
from ringback.words.ids import delivery_id

CREATES_IN_FLIGHT = 64
PACE = 100.0
"""Predictions a second where latency is measured."""
_PROMPT = "an astronaut riding a rainbow unicorn, cinematic, dramatic light, wide angle, film grain"
_INPUT = {
    "seed": 42,
    "aspect_ratio": "16:9",
    "num_outputs": 1,
}


@dataclass(frozen=True, slots=True)
class Check:
    """What was wrong with what arrived: all 0, or the numbers mean nothing.

    Attributes:
        bad: requests that are not authentic, or tell of something else than a success.
        missing: events that never came, and changes that are not in the database afterwards.
        duplicate: requests with an id that had come before.
    """

    bad: int = 0
    missing: int = 0
    duplicate: int = 0

    def __add__(self, other: "Check") -> "Check":
        return Check(self.bad + other.bad, self.missing + other.missing, self.duplicate + other.duplicate)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: figures by name (the unit is in the name), and whether they can be trusted."""

    figures: dict[str, float]
    check: Check = field(default_factory=Check)


def body_of(model: str, webhook: str | None = None, prompt: str = _PROMPT) -> bytes:
    """Give the body of a create."""
    hook = {} if webhook is None else {"webhook": webhook, "webhook_events_filter": ["completed"]}
    return msgspec.json.encode({"version": f"bench/{model}", "input": {**_INPUT, "prompt": prompt}, **hook})


def create(server: Server, body: bytes | list[bytes], events: int, per_second: float = 0.0) -> Created:
    """Create so many predictions, with these bodies in turn; without a pace, as they are answered."""
    bodies = [each.decode() for each in ([body] if isinstance(body, bytes) else body)]
    job = Job(server.port, TOKEN, bodies, events, CREATES_IN_FLIGHT, per_second)
    return result_of(module("creates", msgspec.json.encode(job).decode()), Created)


def warmed(server: Server, receiver: Receiver, body: bytes) -> str:
    """Run one prediction to its end, so that the model's setup is over; give the secret.

    Raises:
        TimeoutError: no webhook comes.
    """
    server.create(body)
    if not receiver.until(1, patience(1)):
        raise TimeoutError("the webhook of the first prediction does not come")
    secret = server.secret()
    receiver.report(secret)
    return secret


def patience(events: int) -> float:
    """Give the seconds after which so many are given up."""
    return 60 + events / 50


def checked(ids: Sequence[str], report: Report) -> Check:
    """Compare what came with the predictions whose first event had to come."""
    came = [receipt.id for receipt in report.receipts]
    expected = {delivery_id(id_, 1) for id_ in ids}
    strange = sum(id_ not in expected for id_ in came)
    return Check(report.bad + strange, len(expected - set(came)), len(came) - len(set(came)))


def settled(data: Path, urls: str = "http") -> Check:
    """Check that the database, whose server has ended, says `delivered` of all owed to URLs that begin so."""
    ((open_,),) = rows_of(
        data,
        "SELECT count(*) FROM deliveries JOIN predictions ON prediction_id = predictions.id "
        f"WHERE deliveries.status <> 'delivered' AND webhook LIKE '{urls}%'",
    )
    return Check(missing=int(open_))


def rows_of(data: Path, sql: str) -> list[tuple[str | int]]:
    """Ask the database of a server that has ended."""
    with closing(DataFolder(str(data))) as locked, closing(sqlite3.connect(locked.database)) as connection:
        return connection.execute(sql).fetchall()
