"""A server with two accounts, and with models and versions that were there before its start."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from ringback.store import accounts, models, versions
from ringback.store.versions import SourceFile
from ringback.words.ids import digest
from store.world import ACCOUNT, opened
from support.server import Server, model, serving

MODELS = Path(__file__).parent / "models"
NEIGHBOUR = "r8_token_of_the_neighbour_00000000000000"
"""The other account's token."""

OLD = "0d" * 32
"""An older version of test/echo: it says it twice."""

TUNED = ("1a" * 32, "2b" * 32)
"""Versions of ringback/tuned, which was made over the API; the later one last."""

GONE = "3c" * 32
"""A version of test/gone, which is not in the configuration any more."""

SCHEMA = json.dumps(
    {
        "components": {
            "schemas": {
                "Input": {
                    "type": "object",
                    "title": "Input",
                    "required": ["text"],
                    "properties": {"text": {"type": "string", "title": "Text", "x-order": 0}},
                },
                "Output": {"type": "string", "title": "Output"},
            }
        }
    },
    separators=(",", ":"),
)
TWICE = b"def run(text: str) -> str:\n    return text * 2\n"
CONFIG = """
[collections.first-steps]
name = "First steps"
description = "Models that say it back"
full_description = "At length."
models = ["test/storied", "test/nowhere", "test/echo", "ringback/secret"]
[collections.empty]
"""


def private(name: str) -> models.New:
    return models.New(name, ACCOUNT, "private", "cpu", "not for you", None, None, None, None)


async def seed(folder: Path) -> None:
    """Fill a data folder as an earlier server left it."""
    source = [SourceFile("predict.py", 0o644, len(TWICE), TWICE, None)]
    async with opened(folder) as world:
        write = world.database.write
        await write(
            lambda tx: accounts.create(
                tx, id="acct_2", username="neighbour", secret_id="secret_2", secret="whsec_bmVpZ2hib3Vy"
            )
        )
        await write(
            lambda tx: accounts.add_token(
                tx, "acct_2", digest(NEIGHBOUR), "test", id="tok_2", hint=NEIGHBOUR[:6]
            )
        )
        await write(lambda tx: versions.register(tx, OLD, "test/echo", "predict.py:run", SCHEMA, source))
        await write(lambda tx: models.register(tx, "test/gone", "configuration"))
        await write(lambda tx: versions.register(tx, GONE, "test/gone", "predict.py:run", SCHEMA, source))
        await write(lambda tx: models.create(tx, private("ringback/secret")))
        await write(
            lambda tx: models.create(
                tx, models.New("ringback/tuned", ACCOUNT, "public", "cpu", None, None, None, None, None)
            )
        )
        for id_ in (*TUNED, "4d" * 32):
            world.wait(1)
            name = "ringback/tuned" if id_ in TUNED else "ringback/secret"
            await write(
                lambda tx, id_=id_, name=name: versions.register(  # type: ignore[misc] # bound now
                    tx, id_, name, "predict.py:run", SCHEMA, source, weights="https://x/w"
                )
            )


@asynccontextmanager
async def open_shop(folder: Path, *more: str) -> AsyncIterator[Server]:
    """Seed a data folder and serve it; the server must not have answered 500."""
    data = folder / "data"
    data.mkdir()
    await seed(data)
    config = folder / "ringback.toml"
    config.write_text(CONFIG)
    async with serving(
        model("test/echo", "echo"),
        f"test/storied={MODELS / 'storied'}",
        f"test/patient={MODELS / 'patient'}",
        "--config",
        str(config),
        *more,
        data=data,
    ) as server:
        yield server
        assert "Traceback" not in server.log()
        assert server.process.poll() is None


def data_of(server: Server) -> Path:
    """The data folder of a server."""
    arguments = server.process.args
    assert isinstance(arguments, list)
    return Path(str(arguments[arguments.index("--data") + 1]))


def marked(shop: Server, model: str, *ids: str, at: int = 0) -> None:
    """Mark predictions one after the other, as the operator does; the first at this time."""
    rows = [(model, id_, place) for place, id_ in enumerate(ids, at)]
    with closing(sqlite3.connect(data_of(shop) / "ringback.sqlite", timeout=10)) as connection, connection:
        connection.executemany("INSERT INTO examples VALUES (?, ?, ?)", rows)
