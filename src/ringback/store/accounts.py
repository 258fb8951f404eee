"""Accounts, their tokens and their signing secrets."""

from dataclasses import dataclass
from typing import cast

from ringback.rules.retry import SECOND
from ringback.rules.rotation import Age, is_repeated
from ringback.store.database import Tx, queries

Q = queries("accounts")
SIGNING = 3
"""Secrets that sign at most: each adds two entries to a header that receivers limit (often to 8 KB)."""


async def default(tx: Tx) -> str | None:
    """Give the id of the oldest account, or None before the first start."""
    row = await tx.row(Q["default"])
    return None if row is None else str(row[0])


async def create(tx: Tx, *, id: str, username: str, secret_id: str, secret: str) -> None:  # noqa: A002 - the column
    """Add an account with its first signing secret."""
    await tx.run(Q["create"], id, username, tx.now)
    await tx.run(Q["add_secret"], secret_id, id, secret, tx.now)


async def of_username(tx: Tx, username: str) -> str | None:
    """Give the id of the account with this username, or None."""
    row = await tx.row(Q["of_username"], username)
    return None if row is None else str(row[0])


async def username(tx: Tx, account: str) -> str:
    """Give an account's username.

    Raises:
        LookupError: there is no such account.
    """
    row = await tx.row(Q["username"], account)
    if row is None:
        raise LookupError(account)
    return str(row[0])


async def of_token(tx: Tx, digest: str) -> str | None:
    """Give the account whose live token has this digest."""
    row = await tx.row(Q["token"], digest)
    return None if row is None else str(row[0])


async def has_token(tx: Tx, account: str) -> bool:
    """Say whether the account has a token that is not revoked."""
    return await tx.row(Q["any_token"], account) is not None


async def add_token(tx: Tx, account: str, digest: str, name: str, *, id: str, hint: str) -> None:  # noqa: A002
    """Keep a token: its digest, what it is called by, and its first characters to tell it from others."""
    await tx.run(Q["add_token"], digest, account, name, tx.now, id, hint)


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token. Times are microseconds since the epoch.

    Attributes:
        id: what it is called by.
        hint: its first characters; empty for one from before they were kept.
        account: the username of its account.
        name: what it was called when it was made.
        revoked_at: when it stopped being valid; None while it is.
    """

    id: str
    hint: str
    account: str
    name: str
    created_at: int
    revoked_at: int | None


async def tokens(tx: Tx, username: str | None = None) -> list[Token]:
    """Give all tokens, or those of one account, the oldest first."""
    return [Token(*row) for row in await tx.rows(Q["tokens"], username)]


async def revoke(tx: Tx, id: str) -> str | None:  # noqa: A002 - the column
    """Make a token invalid for good, and give its digest; None if there is none, or it was revoked before."""
    row = await tx.row(Q["revoke"], id, tx.now)
    return None if row is None else str(row[0])


async def secret(tx: Tx, account: str) -> str:
    """Give the account's current signing secret.

    Raises:
        LookupError: there is no such account.
    """
    row = await tx.row(Q["current_secret"], account)
    if row is None:
        raise LookupError(account)
    return str(row[0])


async def live_secrets(tx: Tx, account: str) -> tuple[str, ...]:
    """Give the secrets that sign now, the current one first: the newest `SIGNING` of those that live."""
    known = tx.memo.get(account)
    if known is None:
        known = tuple(str(row[0]) for row in await tx.rows(Q["live_secrets"], account, tx.now, SIGNING))
        tx.memo[account] = known
    return cast("tuple[str, ...]", known)


async def ages(tx: Tx, account: str) -> list[Age]:
    """Give the account's secrets by age, without their values: the current one, then the newest first.

    Those that have expired are among them until the next rotation removes them.
    """
    return [Age(*row) for row in await tx.rows(Q["ages"], account)]


async def rotate(tx: Tx, account: str, *, secret_id: str, key: str, overlap_s: float) -> str:
    """Make `key` the current secret, and give the current one; the one before still signs for `overlap_s`.

    It stops before that once `SIGNING` newer ones are there. Asked again so soon that it must be the same
    request (rules/rotation.is_repeated), nothing changes, and the current one is what the first request made.
    """
    if is_repeated(await ages(tx, account), tx.now):
        return await secret(tx, account)
    tx.memo.pop(account, None)
    await tx.run(Q["forget_secrets"], account, tx.now)
    await tx.run(Q["retire_secret"], account, tx.now + int(overlap_s * SECOND))
    await tx.run(Q["add_secret"], secret_id, account, key, tx.now)
    return key
