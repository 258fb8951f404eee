"""Illegal rows are impossible, whatever a statement gets wrong."""

import sqlite3

import pytest

from ringback.store.runs import Ending
from store.world import World, hook

ILLEGAL = [
    "UPDATE predictions SET status = 'aborted'",
    "UPDATE predictions SET status = 'succeeded'",  # without completed_at
    "UPDATE predictions SET completed_at = 1",  # still processing
    "UPDATE predictions SET started_at = NULL",  # processing
    "UPDATE predictions SET error = 'x'",  # not failed
    "UPDATE predictions SET status = 'failed', completed_at = 1",  # still held
    "UPDATE predictions SET webhook = NULL",  # with an origin
    "UPDATE predictions SET origin = NULL",  # with a webhook
    "UPDATE predictions SET id = 'short'",
    "UPDATE predictions SET input = NULL",
    "INSERT INTO predictions SELECT * FROM predictions",
    "UPDATE chunks SET kind = 'video'",
    "INSERT INTO chunks SELECT * FROM chunks",
    "UPDATE deliveries SET event = 'resumed'",
    "UPDATE deliveries SET status = 'lost'",
    "UPDATE deliveries SET status = 'delivered'",  # without settled_at
    "UPDATE deliveries SET settled_at = 1",  # still pending
    "UPDATE deliveries SET digest = NULL",  # attempted
    "UPDATE deliveries SET body = NULL",  # pending and attempted
    "INSERT INTO deliveries SELECT * FROM deliveries",
    "INSERT INTO lanes SELECT * FROM lanes",
    "INSERT INTO secrets (id, account_id, key, created_at) SELECT 'x', account_id, key, 1 FROM secrets",
    "INSERT INTO secrets (id, account_id, key, created_at) VALUES ('x', 'nobody', 'x', 1)",
    "INSERT INTO tokens (digest, account_id, name, created_at) VALUES ('x', 'nobody', 'x', 1)",
    "INSERT INTO accounts (id, username, created_at) SELECT 'x', username, 1 FROM accounts",
    # the id is no digest
    (
        "INSERT INTO versions (id, model, entry, openapi_schema, created_at, registered_at)"
        " VALUES ('x', 'a/b', 'p.py:P', '{}', 1, 1)"
    ),
    "INSERT INTO version_files (version_id, path, mode, size) VALUES ('x', 'p.py', 420, 1)",
]


@pytest.mark.parametrize("sql", ILLEGAL)
async def test_an_illegal_change_is_refused(world: World, sql: str) -> None:
    hold = await world.running(hook("output"))
    await world.advance(hold, ("items", "[1]"))
    await world.head()
    before = await world.dump()
    with pytest.raises(sqlite3.IntegrityError):
        await world.database.write(lambda tx: tx.run(sql))
    assert await world.dump() == before


async def test_the_row_that_they_start_from_is_legal(world: World) -> None:
    hold = await world.running(hook("output"))
    await world.advance(hold, ("items", "[1]"))
    await world.head()
    for table in ("predictions", "chunks", "deliveries", "lanes", "secrets"):
        assert len(await world.rows(f"SELECT * FROM {table}")) == 1
    assert await world.database.write(lambda tx: tx.run("UPDATE predictions SET model = 'a/b'")) == 1
    assert (await world.end(hold, Ending("fail", error="x"))).held
