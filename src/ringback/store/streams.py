"""What a stream of a prediction reads: how it stands, and its chunks from a place on."""

from msgspec import Struct

from ringback.rules.prediction import Status
from ringback.rules.snapshot import Chunk
from ringback.store.database import Tx, queries

Q = queries("streams")

SIZE = 1_000_000
"""Characters of the chunks that are read at a time, unless it is a single larger one."""


class Standing(Struct, frozen=True):
    """How a prediction stands.

    Attributes:
        status: now.
        error: what went wrong, if it failed.
        run: how often it was claimed; chunks of an earlier run than the last are gone.
        streamed: somebody has been sent output or logs of this run.
        data_removed: its output and logs are gone.
        chunks: (sequence, (kind, data)) from the place that was asked for.
        more: others may follow them already.
    """

    status: Status
    error: str | None
    run: int
    streamed: bool
    data_removed: bool
    chunks: list[tuple[int, Chunk]]
    more: bool


async def since(tx: Tx, id_: str, sequence: int, limit: int) -> Standing | None:
    """Give how a prediction stands, with chunks from `sequence` on: `limit` at most, of `SIZE` together.

    None if there is none.
    """
    row = await tx.row(Q["standing"], id_)
    if row is None:
        return None
    status, error, run, streamed, removed = row
    reach = await tx.row(Q["reach"], id_, sequence - 1, limit, SIZE) or (sequence - 1, 0, 0)
    last, count, size = reach
    rows = await tx.rows(Q["since"], id_, sequence - 1, last) if count else []
    chunks = [(number, (kind, data)) for number, kind, data in rows]
    more = count == limit or size > SIZE
    return Standing(status, error, run, bool(streamed), bool(removed), chunks, more)


async def mark(tx: Tx, id_: str, run: int) -> bool:
    """Keep that somebody is being sent output or logs of this run; False when it is no longer that run."""
    return await tx.run(Q["mark"], id_, run) > 0
