"""The database of a data folder, opened, and what must be in it before anything else."""

import contextlib
from collections.abc import AsyncIterator

from ringback.api.figures import Figures
from ringback.assembly.clock import resume
from ringback.assembly.data import DataFolder
from ringback.assembly.world import World
from ringback.store import accounts, server_keys
from ringback.store.database import Database
from ringback.store.migrations import migrate_sqlite
from ringback.store.sqlite import Sqlite
from ringback.words.clock import SteadyClock
from ringback.words.ids import digest, unguessable
from ringback.words.signature import new_secret


@contextlib.asynccontextmanager
async def opened(
    data: DataFolder, clock: SteadyClock, world: World, figures: Figures
) -> AsyncIterator[Database]:
    """Bring the database to this program's schema, open it and set the clock by it."""
    migrate_sqlite(data.database)
    database = Sqlite(data.database, clock, before_commit=world.before_commit, refused=figures.write_refused)
    try:
        await resume(clock, database)
        yield database
    finally:
        await database.close()


async def server_key(database: Database, world: World, name: str) -> bytes:
    """Give the server's own key of this name, made at its first use."""
    made = world.entropy(32)
    return await database.write(lambda tx: server_keys.key(tx, name, made))


async def first_account(database: Database, world: World) -> str:
    """Give the account, made with its secret at the first start."""
    account = await database.read(accounts.default)
    if account is not None:
        return account
    made, secret_id = f"acct_{unguessable(world.entropy, 10)}", unguessable(world.entropy, 10)
    secret = new_secret(world.entropy)
    await database.write(
        lambda tx: accounts.create(tx, id=made, username="ringback", secret_id=secret_id, secret=secret)
    )
    return made


async def first_token(database: Database, account: str, world: World) -> str | None:
    """Make a token if there is none. Only once all else has started: it is shown once, in the greeting."""
    if world.token is not None or await database.read(lambda tx: accounts.has_token(tx, account)):
        return None
    token = f"r8_{unguessable(world.entropy, 24)[:37]}"  # the form and length of Replicate's own
    await database.write(lambda tx: accounts.add_token(tx, account, digest(token), "first start"))
    return token
