"""A look into a server's database, from outside."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any


def rows(path: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Read what is committed; the server goes on meanwhile."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(sql, parameters).fetchall()
