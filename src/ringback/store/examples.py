"""Examples of a model: predictions that the operator has marked, shown to whoever sees the model."""

from collections.abc import Sequence
from dataclasses import dataclass

from ringback.rules.snapshot import Chunk, Facts
from ringback.store import predictions
from ringback.store.database import Row, Tx, queries

Q = queries("examples")
C = queries("chunks")


@dataclass(frozen=True, slots=True)
class Example:
    """An example's place among its model's: when it was marked (microseconds), then the prediction's id."""

    at: int
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Examples, the latest marked first, and whether there is more on either side."""

    items: list[Example]
    newer: bool
    older: bool


async def add(tx: Tx, prediction_id: str) -> str | None:
    """Mark a prediction, one marked before anew, and give its model; None unless it has succeeded."""
    row = await tx.row(Q["add"], prediction_id, tx.now)
    return None if row is None else str(row[0])


async def remove(tx: Tx, prediction_id: str) -> bool:
    """Take a mark away; say whether there was one."""
    return await tx.run(Q["remove"], prediction_id) > 0


async def newest(tx: Tx, model: str) -> str | None:
    """Give the id of the prediction that was marked last for a model, or None."""
    row = await tx.row(Q["newest"], model)
    return None if row is None else str(row[0])


async def prediction(tx: Tx, id_: str) -> tuple[Facts, list[Chunk]] | None:
    """Give a prediction with its output, whoever it belongs to: only of one that is marked."""
    facts = await predictions.facts(tx, id_)
    return None if facts is None else (facts, [(kind, data) for kind, data in await tx.rows(C["all"], id_)])


async def page(
    tx: Tx, model: str, size: int, *, before: Example | None = None, after: Example | None = None
) -> Page:
    """List a model's examples, the latest first: before (older than) or after (newer than) one of them."""
    if after is not None:
        rows = await tx.rows(Q["newer"], model, after.at, after.id, size + 1)
        return Page(_examples(rows[:size])[::-1], newer=len(rows) > size, older=True)
    start = before or Example(1 << 62, "")
    rows = await tx.rows(Q["older"], model, start.at, start.id, size + 1)
    return Page(_examples(rows[:size]), newer=before is not None, older=len(rows) > size)


def _examples(rows: Sequence[Row]) -> list[Example]:
    return [Example(at, id_) for id_, at in rows]
