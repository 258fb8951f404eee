"""Files that people have sent, and large data URIs taken out of inputs; the bytes lie in the blob store.

The bytes are there before the row is, and go after it: what has a row can be read.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct

from ringback.store.database import Tx, queries
from ringback.words.ids import HIGHEST_ID, LOWEST_ID

Q = queries("uploads")


class Upload(Struct, frozen=True):
    """A file.

    Attributes:
        id: sorts by the time it came; the blob's key.
        account: whose it is.
        prediction_id: of a data URI: the prediction that it is an input of.
        name: what its sender calls it.
        content_type: its media type.
        size: bytes.
        md5: hexadecimal.
        sha256: hexadecimal.
        metadata: a JSON object, canonical.
        created_at: microseconds since the epoch.
        expires_at: likewise; None for what stays as long as its prediction.
    """

    id: str
    account: str
    prediction_id: str | None
    name: str
    content_type: str
    size: int
    md5: str
    sha256: str
    metadata: str
    created_at: int
    expires_at: int | None


async def add(tx: Tx, upload: Upload) -> None:
    """Record a file whose bytes are in the blob store already."""
    await tx.run(
        Q["add"],
        upload.id,
        upload.account,
        upload.prediction_id,
        upload.name,
        upload.content_type,
        upload.size,
        upload.md5,
        upload.sha256,
        upload.metadata,
        upload.created_at,
        upload.expires_at,
    )


async def get(tx: Tx, account: str, id_: str) -> Upload | None:
    """Give a file of this account that has not expired, or None."""
    row = await tx.row(Q["get"], id_, account, tx.now)
    return None if row is None else Upload(*row)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, newest first, and whether there is more on either side."""

    items: list[Upload]
    newer: bool
    older: bool


async def page(
    tx: Tx, account: str, size: int, *, before: str | None = None, after: str | None = None
) -> Page:
    """List what an account has sent, newest first: before (older than) or after (newer than) an id."""
    if after is not None:
        rows = await tx.rows(Q["newer"], account, max(after, LOWEST_ID), tx.now, size + 1)
        newer, older, rows = len(rows) > size, True, rows[:size][::-1]
    else:
        rows = await tx.rows(Q["older"], account, before or HIGHEST_ID, tx.now, size + 1)
        newer, older, rows = before is not None, len(rows) > size, rows[:size]
    return Page([Upload(*row) for row in rows], newer, older)


async def keep(tx: Tx, account: str, ids: Iterable[str], until: int) -> list[str]:
    """See to it that files stay until then at least; give those that this account doesn't have.

    What was taken out of an input stays with its prediction from now on: only the transaction that makes the
    prediction calls this.

    Args:
        tx: the transaction.
        account: whose they have to be.
        ids: the files.
        until: microseconds since the epoch.
    """
    return [id_ for id_ in ids if not await tx.run(Q["keep"], id_, account, until, tx.now)]


async def remove(tx: Tx, account: str, id_: str) -> bool:
    """Forget a file of this account; False if there is none such. Its bytes have to go after this."""
    return await tx.run(Q["remove"], id_, account, tx.now) > 0


async def expire(tx: Tx, limit: int) -> list[str]:
    """Forget up to `limit` files whose time is over; give their ids. Their bytes have to go after this."""
    ids = [str(row[0]) for row in await tx.rows(Q["expired"], tx.now, limit)]
    for id_ in ids:
        await tx.run(Q["drop"], id_)
    return ids


async def known(tx: Tx) -> set[str]:
    """Give the ids of all files."""
    return {str(row[0]) for row in await tx.rows(Q["ids"])}
