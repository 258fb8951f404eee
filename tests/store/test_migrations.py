"""The database file is brought to this program's schema, or refused in one line."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ringback.store.migrations import migrate_sqlite, scripts
from ringback.words.errors import SetupError


def schema(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_fresh_file_gets_the_whole_schema(tmp_path: Path) -> None:
    path = tmp_path / "ringback.sqlite"
    migrate_sqlite(path)
    assert version(path) == scripts()[-1][0]
    names = {name for name, _ in schema(path)}
    assert {"accounts", "predictions", "chunks", "lanes", "deliveries", "attempts", "files"} <= names
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_numbers_of_the_migrations_have_no_gap() -> None:
    assert [number for number, _ in scripts()] == list(range(1, len(scripts()) + 1))


def test_a_file_that_is_up_to_date_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ringback.sqlite"
    migrate_sqlite(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO accounts (id, username, created_at) VALUES ('a', 'b', 1)")
    before = schema(path)
    migrate_sqlite(path)
    assert schema(path) == before
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (1,)


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ringback.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE from_the_future (x)")
        connection.execute("PRAGMA user_version = 9999")
    before = path.read_bytes()
    with pytest.raises(SetupError, match=r"has schema 9999, newer than this program's \d+: start the newer"):
        migrate_sqlite(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to look like one" * 100, b"\0" * 8192]
)
def test_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ringback.sqlite"
    path.write_bytes(content)
    with pytest.raises(SetupError, match=r"can't open the database .*not a database"):
        migrate_sqlite(path)
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="can't open the database"):
        migrate_sqlite(tmp_path)


def test_a_migration_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    """A table that is there already, in a file that says it has no schema yet."""
    path = tmp_path / "ringback.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE lanes (x)")
    with pytest.raises(SetupError, match="lanes already exists"):
        migrate_sqlite(path)
    assert [name for name, _ in schema(path)] == ["lanes"]
    assert version(path) == 0
