"""Rows of output files; the bytes lie in the data folder under the same id."""

from dataclasses import dataclass

from ringback.store.database import Tx, queries

Q = queries("files")


@dataclass(frozen=True, slots=True)
class File:
    """An output file. `id` is unguessable: whoever has the URL may read it. `size` is in bytes."""

    id: str
    prediction_id: str
    name: str
    content_type: str
    size: int
    created_at: int


async def add(tx: Tx, id_: str, prediction_id: str, name: str, content_type: str, size: int) -> None:
    """Record a file whose bytes are on disk already."""
    await tx.run(Q["add"], id_, prediction_id, name, content_type, size, tx.now)


async def get(tx: Tx, id_: str) -> File | None:
    """Give a file, or None."""
    row = await tx.row(Q["get"], id_)
    return None if row is None else File(*row)


async def ids(tx: Tx) -> set[str]:
    """Give the ids of all files."""
    return {str(row[0]) for row in await tx.rows(Q["ids"])}
