"""The database as a witness: how a server is told to use it, and what is in it afterwards."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

Row = tuple[Any, ...]


class Evidence(Protocol):
    """A database that can be asked while a server runs on it, and after that."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `serve` is told of it."""

    def rows(self, sql: str) -> list[Row]:
        """Run a statement that only reads."""

    def faults(self) -> list[str]:
        """Say what is wrong with the database itself."""


class SqliteEvidence:
    """The database that comes with it, in the data folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the rehearsal."""
        data = folder / "data"
        self.arguments = ("--data", str(data))
        self._path = data / "ringback.sqlite"

    def rows(self, sql: str) -> list[Row]:
        """See Evidence.rows."""
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(sql).fetchall()

    def faults(self) -> list[str]:
        """See Evidence.faults."""
        return [text for (text,) in self.rows("PRAGMA integrity_check") if text != "ok"]


DATABASES: dict[str, Callable[[Path], Evidence]] = {"sqlite": SqliteEvidence}


def unsettled(evidence: Evidence) -> str:
    """Say what is still to be done; nothing when all is."""
    counts = {
        "predictions running": "predictions WHERE status IN ('starting', 'processing')",
        "lanes": "lanes",
        "deliveries pending": "deliveries WHERE status = 'pending'",
    }
    found = {what: evidence.rows(f"SELECT count(*) FROM {where}")[0][0] for what, where in counts.items()}
    return ", ".join(f"{count} {what}" for what, count in found.items() if count)
