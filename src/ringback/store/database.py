"""The seam to the database: what the verbs of this floor are written against.

A verb is `async def verb(tx, ...)`: it runs its SQL through `tx` and nothing else: no clock but `tx.now`, no
randomness, no I/O, no memory kept. So a unit of work can be run again after a rollback, and the same text
serves every database. SQL is written with `$1` parameters.
"""

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]


class Tx(Protocol):
    """One open transaction.

    Attributes:
        now: its time, microseconds since the epoch; the same for all of it.
        memo: what was read in it and is asked for again and again; whoever changes such a thing clears it.
    """

    now: int
    memo: dict[object, object]

    async def rows(self, sql: str, *parameters: object) -> list[Row]:
        """Run a statement and give all its rows."""

    async def row(self, sql: str, *parameters: object) -> Row | None:
        """Run a statement and give its first row, or None."""

    async def run(self, sql: str, *parameters: object) -> int:
        """Run a statement and give how many rows it changed."""


Unit = Callable[[Tx], Awaitable[T]]


class Database(Protocol):
    """What the floors above use."""

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in a transaction and give its result once that is durable.

        `unit` may be run more than once (after a rollback that others caused); only one run takes effect.

        Raises:
            Unavailable: the database can't take the change now; nothing of it was written.
            Exception: whatever `unit` raises; nothing of it was written.
        """

    async def read(self, unit: Unit[T]) -> T:
        """Run `unit` on one consistent state without changing it, and give its result."""

    async def close(self) -> None:
        """Finish what was accepted, then let go of the database."""


@cache
def queries(noun: str) -> dict[str, str]:
    """Load `queries/<noun>.sql`: statements under `-- name: x` headings."""
    text = files(__package__).joinpath("queries", f"{noun}.sql").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for part in text.split("-- name: ")[1:]:
        name, _, sql = part.partition("\n")
        found[name.strip()] = sql.strip().rstrip(";")
    return found
