"""Numbered SQL files, each applied once in a transaction of its own, forward only."""

import os
import re
import sqlite3
from importlib.resources import files
from pathlib import Path

from ringback.words.errors import SetupError

_NAME = re.compile(r"(\d{4})_\w+\.sql")


def scripts() -> list[tuple[int, str]]:
    """Give every migration as (number, SQL), in order."""
    found = []
    for entry in files(__package__).joinpath("migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            found.append((int(match[1]), entry.read_text(encoding="utf-8")))
    return sorted(found)


def migrate_sqlite(path: Path) -> None:
    """Bring the database file to this program's schema.

    Raises:
        SetupError: the file is no database, can't be written, or is newer than this program.
    """
    try:
        # Signing secrets are in it; SQLite gives its other files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            _migrate(connection, path)
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise SetupError(f"can't open the database {path}: {error}") from error


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    known = scripts()
    if version > known[-1][0]:
        raise SetupError(
            f"the database {path} has schema {version}, newer than this program's {known[-1][0]}: "
            "start the newer ringback that wrote it"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    for number, sql in known:
        if number > version:
            connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")
