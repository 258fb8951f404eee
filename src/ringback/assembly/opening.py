"""The database of a data folder, opened, and what must be in it before anything else."""

import contextlib
from collections.abc import AsyncIterator, Callable

from ringback.assembly.clock import resume
from ringback.assembly.data import DataFolder
from ringback.assembly.world import World
from ringback.store import accounts, server_keys
from ringback.store.database import Database, Tx
from ringback.store.migrations import migrate_sqlite
from ringback.store.sqlite import Sqlite
from ringback.words.clock import SteadyClock
from ringback.words.ids import Entropy, digest, unguessable
from ringback.words.signature import new_secret

FIRST = "ringback"
"""The username of the first account, the operator's."""

_HINT = 6
"""Characters of a token that are kept: the form's own three, and three to tell it from others."""

_SHOWN_DIGITS = 12


@contextlib.asynccontextmanager
async def opened(
    data: DataFolder, clock: SteadyClock, world: World, refused: Callable[[], None] = lambda: None
) -> AsyncIterator[Database]:
    """Bring the database to this program's schema, open it and set the clock by it.

    Args:
        data: the folder, locked.
        clock: the server's clock.
        world: what comes from outside.
        refused: called whenever a change could not be written.
    """
    migrate_sqlite(data.database)
    database = Sqlite(data.database, clock, before_commit=world.before_commit, refused=refused)
    try:
        await resume(clock, database)
        yield database
    finally:
        await database.close()


async def server_key(database: Database, world: World, name: str) -> bytes:
    """Give the server's own key of this name, made at its first use."""
    made = world.entropy(32)
    return await database.write(lambda tx: server_keys.key(tx, name, made))


async def first_account(database: Database, entropy: Entropy) -> str:
    """Give the first account, made with its secret at the first start."""
    account = await database.read(accounts.default)
    if account is not None:
        return account
    made = NewAccount(FIRST, entropy)
    await database.write(made.add)
    return made.id


class NewAccount:
    """An account that is to be made, with its first signing secret."""

    def __init__(self, username: str, entropy: Entropy) -> None:
        """Make up all of it that is random."""
        self.id = f"acct_{unguessable(entropy, 10)}"
        self._username = username
        self._secret_id = unguessable(entropy, 10)
        self._secret = new_secret(entropy)

    async def add(self, tx: Tx) -> None:
        """Write it."""
        await accounts.create(
            tx, id=self.id, username=self._username, secret_id=self._secret_id, secret=self._secret
        )


class NewToken:
    """A token that is to be made; `text` is told once and never kept."""

    def __init__(self, name: str, entropy: Entropy) -> None:
        """Make it up, in the form and length of Replicate's own."""
        self.text = f"r8_{unguessable(entropy, 24)[:37]}"
        self._digest = digest(self.text)
        self.id = f"tok_{self._digest[:_SHOWN_DIGITS]}"
        self._name = name

    async def add(self, tx: Tx, account: str) -> None:
        """Write what is kept of it."""
        hint = self.text[:_HINT]
        await accounts.add_token(tx, account, self._digest, self._name, id=self.id, hint=hint)


async def first_token(database: Database, account: str, world: World) -> str | None:
    """Make a token if there is none. Only once all else has started: it is shown once, in the greeting."""
    if world.token is not None or await database.read(lambda tx: accounts.has_token(tx, account)):
        return None
    token = NewToken("first start", world.entropy)
    await database.write(lambda tx: token.add(tx, account))
    return token.text
