"""The server's ed25519 key pairs for v1a signatures: which sign, and how one follows another."""

from collections.abc import Callable

from msgspec import Struct

from ringback.rules.retry import SECOND
from ringback.rules.rotation import Age, is_repeated, signing
from ringback.store.database import Database, Tx, queries
from ringback.words.ed25519 import SigningKey, new_key, signing_key
from ringback.words.ids import Entropy

Q = queries("signing_keys")
SIGNING = 2
"""Key pairs that sign at most. Receivers read the public ones again and again, so one former is enough."""


class Kept(Struct, frozen=True):
    """A key pair that is kept. Its repr tells no private key: a SigningKey's does not."""

    age: Age
    key: SigningKey


async def kept(tx: Tx) -> list[Kept]:
    """Give all key pairs: the current one, then the newest first."""
    return [Kept(Age(*row[:3]), signing_key(row[3])) for row in await tx.rows(Q["all"])]


async def ages(tx: Tx) -> list[Age]:
    """Give the key pairs by age, as `kept` does, without the keys."""
    return [Age(*row[:3]) for row in await tx.rows(Q["all"])]


async def ensure(tx: Tx, text: str) -> None:
    """Make `text` the current private key if there is none."""
    if not await ages(tx):
        await tx.run(Q["add"], signing_key(text).kid, text, tx.now)


async def rotate(tx: Tx, text: str, overlap_s: float) -> None:
    """Make `text` the current private key; the one before still signs for `overlap_s` seconds.

    It stops before that once `SIGNING` newer ones are there. Asked again so soon that it must be the same
    request (rules/rotation.is_repeated), nothing changes.
    """
    if is_repeated(await ages(tx), tx.now):
        return
    await tx.run(Q["forget"], tx.now)
    await tx.run(Q["retire"], tx.now + int(overlap_s * SECOND))
    await tx.run(Q["add"], signing_key(text).kid, text, tx.now)


class Keyring:
    """The key pairs that sign, ready for use: reading one takes as long as two signatures.

    The table rebuilds it, at the start and after each rotation.
    """

    def __init__(self, database: Database, clock: Callable[[], int], entropy: Entropy) -> None:
        """Take where the keys are kept.

        Args:
            database: where the table is.
            clock: the wall clock, microseconds.
            entropy: random bytes, for new keys.
        """
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._kept: list[Kept] = []

    async def open(self) -> None:
        """Read the key pairs; make the first one if there is none."""
        text = new_key(self._entropy)
        await self._database.write(lambda tx: ensure(tx, text))
        self._kept = await self._database.read(kept)

    def signing(self) -> list[SigningKey]:
        """Give the key pairs that sign now, the current one first."""
        live = signing([each.age for each in self._kept], self._clock(), SIGNING)
        return [each.key for each in self._kept if each.age.id in live]

    async def rotate(self, overlap_s: float) -> SigningKey:
        """Make a new current key pair and give it; the one before still signs for `overlap_s` seconds.

        Asked again within a minute, it gives the one that is already there.
        """
        text = new_key(self._entropy)
        await self._database.write(lambda tx: rotate(tx, text, overlap_s))
        self._kept = await self._database.read(kept)
        return self._kept[0].key
