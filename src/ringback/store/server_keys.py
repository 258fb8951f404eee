"""Keys of the server's own, made at their first use: for URLs that can't be guessed."""

from ringback.store.database import Tx, queries

Q = queries("server_keys")


async def key(tx: Tx, name: str, made: bytes) -> bytes:
    """Give the key of this name; if there is none yet it is `made` (random bytes, 32 of them)."""
    await tx.run(Q["add"], name, made.hex(), tx.now)
    row = await tx.row(Q["get"], name)
    return bytes.fromhex(row[0]) if row is not None else made
