"""What must hold when everything has settled: the receivers' record against the database."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from chaos.evidence import Evidence
from chaos.ledger import TERMINAL, Asked, Ledger
from ringback.words.ids import delivery_id


class Owed(NamedTuple):
    """A delivery."""

    number: int
    event: str
    status: str
    digest: str | None


class Ended(NamedTuple):
    """A prediction, and its deliveries in order."""

    id: str
    status: str
    has_started: bool
    deliveries: list[Owed]


def judge(ledger: Ledger, evidence: Evidence) -> None:
    """Add to the ledger whatever is not as it must be."""
    ledger.settle_signatures()
    predictions = _predictions(evidence)
    for id_, asked in ledger.asked.items():
        found = predictions.get(id_)
        if found is None:
            ledger.wrong(f"{id_} was accepted and is gone")
            continue
        for what in (
            *_of_prediction(found, asked),
            *_of_deliveries(found, ledger),
            *_of_end(found, asked, ledger),
        ):
            ledger.wrong(f"{id_} ({found.status}): {what}")
    for id_, found in predictions.items():
        if found.status not in TERMINAL:
            ledger.wrong(f"{id_} has not ended: {found.status}")
    for what in (*_of_attempts(ledger, evidence), *_of_rest(evidence)):
        ledger.wrong(what)


def _predictions(evidence: Evidence) -> dict[str, Ended]:
    owed = defaultdict(list)
    for id_, *columns in evidence.rows(
        "SELECT prediction_id, number, event, status, digest FROM deliveries ORDER BY 1, 2"
    ):
        owed[id_].append(Owed(*columns))
    rows = evidence.rows("SELECT id, status, started_at FROM predictions")
    return {id_: Ended(id_, status, started is not None, owed[id_]) for id_, status, started in rows}


def _of_prediction(found: Ended, asked: Asked) -> Iterator[str]:
    """Each event that was asked for is owed, the single ones once."""
    counts = {name: sum(item.event == name for item in found.deliveries) for name in ("start", "completed")}
    if "completed" in asked.events and counts["completed"] != 1:
        yield f"{counts['completed']} completed events"
    if "start" in asked.events and counts["start"] != int(found.has_started):
        yield f"{counts['start']} start events"
    for item in found.deliveries:
        if item.event not in asked.events:
            yield f"number {item.number} is {item.event}, which nobody asked for"


def _of_deliveries(found: Ended, ledger: Ledger) -> Iterator[str]:
    """Each delivery is acknowledged, or a later one is."""
    last = max((item.number for item in found.deliveries if item.status == "delivered"), default=0)
    for item in found.deliveries:
        seen = ledger.events.get(delivery_id(found.id, item.number))
        if item.status == "delivered":
            if seen is None or not seen.acknowledged:
                yield f"number {item.number} ({item.event}) is delivered and no receiver acknowledged it"
            elif seen.digest != item.digest or seen.name != item.event:
                yield f"number {item.number} ({item.event}) is not what came"
        elif item.status != "superseded":
            yield f"number {item.number} ({item.event}) is {item.status}"
        elif item.event == "completed" or last < item.number:
            yield f"number {item.number} ({item.event}) is superseded by nothing that came"


def _of_end(found: Ended, asked: Asked, ledger: Ledger) -> Iterator[str]:
    """The last thing that came shows how it ended, and all of its output."""
    last = next((item for item in reversed(found.deliveries) if item.status == "delivered"), None)
    seen = None if last is None else ledger.events.get(delivery_id(found.id, last.number))
    if seen is None:
        return
    shown = json.loads(seen.body)
    if seen.name == "completed" and shown["status"] != found.status:
        yield f"its completed said {shown['status']}"
    if (
        found.status == "succeeded"
        and seen.name in ("completed", "output")
        and shown["output"] != asked.output
    ):
        yield f"its last {seen.name} showed {shown['output']!r} and not {asked.output!r}"


def _of_attempts(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    """Whatever came is an attempt that is recorded, and what is recorded as acknowledged came."""
    rows = evidence.rows("SELECT prediction_id, number, attempt, cause FROM attempts")
    recorded = {(delivery_id(id_, number), attempt): cause for id_, number, attempt, cause in rows}
    for id_, attempt in ledger.attempts - recorded.keys():
        yield f"{id_} attempt {attempt} came and is not recorded"
    for (id_, attempt), cause in recorded.items():
        if cause == "acknowledged" and (id_, attempt) not in ledger.attempts:
            yield f"{id_} attempt {attempt} is recorded as acknowledged and never came"


def _of_rest(evidence: Evidence) -> Iterator[str]:
    for id_, holder in evidence.rows("SELECT prediction_id, holder FROM lanes"):
        yield f"a lane is left: {id_}, held by {holder}"
    for fault in evidence.faults():
        yield f"the database: {fault}"
