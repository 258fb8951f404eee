"""Versions of models: their schema, and their sources, kept so that a queued prediction can always run."""

from collections.abc import Sequence
from dataclasses import dataclass

from ringback.store.database import Row, Tx, queries

Q = queries("versions")


@dataclass(frozen=True, slots=True)
class Version:
    """A version as registered.

    Attributes:
        id: 64 hexadecimal digits.
        model: owner/name.
        entry: file.py:Class.
        openapi_schema: canonical JSON.
        created_at: microseconds since the epoch.
        train: file.py:function of its trainings; empty if it has none.
        weights: made by a training: the output file of its weights, as id/name; otherwise empty.
    """

    id: str
    model: str
    entry: str
    openapi_schema: str
    created_at: int
    train: str
    weights: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a version: its content, or for a large one the absolute path where it lay."""

    path: str
    mode: int
    size: int
    content: bytes | None
    origin: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """A version's place among its model's: when it became the latest (microseconds), then its id."""

    at: int
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """Places of versions, the latest first, and whether there is more on either side."""

    items: list[Place]
    newer: bool
    older: bool


def _version(row: Row | None) -> Version | None:
    return None if row is None else Version(*row)


async def get(tx: Tx, id_: str) -> Version | None:
    """Give the version with this id, one deleted over the API too, or None."""
    return _version(await tx.row(Q["get"], id_))


async def shown(tx: Tx, model: str, id_: str) -> Version | None:
    """Give a model's version with this id, unless it was deleted over the API."""
    return _version(await tx.row(Q["shown"], id_, model))


async def may_run(tx: Tx, account: str, id_: str) -> bool:
    """Say whether an account may run a version: it is shown, and so is its model, to this account."""
    return await tx.row(Q["may_run"], account, id_) is not None


async def latest(tx: Tx, model: str) -> Version | None:
    """Give a model's latest version, or None while it has none."""
    return _version(await tx.row(Q["latest"], model))


async def register(
    tx: Tx,
    id_: str,
    model: str,
    entry: str,
    openapi_schema: str,
    found: Sequence[SourceFile],
    *,
    train: str = "",
    weights: str = "",
) -> None:
    """Make this the model's latest version, and keep its sources.

    An id that the configuration gives may come with other sources than before: these take the place of the
    kept ones, as the schema does, so that the two always belong together. One that was the configuration's
    already is not made the latest again: what a training has made since remains the latest over a restart.
    """
    await tx.run(Q["register"], id_, model, entry, openapi_schema, tx.now, train, weights)
    if set(await sources(tx, id_)) != set(found):
        await tx.run(Q["drop_files"], id_)
        for file in found:
            await tx.run(Q["add_file"], id_, file.path, file.mode, file.size, file.content, file.origin)


async def sources(tx: Tx, id_: str) -> list[SourceFile]:
    """Give a version's kept sources."""
    return [SourceFile(*row) for row in await tx.rows(Q["files"], id_)]


async def text(tx: Tx, id_: str, path: str) -> str | None:
    """Give a source file's text, or None if there is none such or it is kept by reference."""
    row = await tx.row(Q["file"], id_, path)
    return None if row is None or row[0] is None else bytes(row[0]).decode(errors="replace")


async def page(
    tx: Tx, model: str, size: int, *, before: Place | None = None, after: Place | None = None
) -> Page:
    """List a model's versions, the latest first: before (older than) or after (newer than) a place."""
    if after is not None:
        rows = await tx.rows(Q["newer"], model, after.at, after.id, size + 1)
        return Page(_places(rows[:size])[::-1], newer=len(rows) > size, older=True)
    start = before or Place(1 << 62, "")
    rows = await tx.rows(Q["older"], model, start.at, start.id, size + 1)
    return Page(_places(rows[:size]), newer=before is not None, older=len(rows) > size)


def _places(rows: Sequence[Row]) -> list[Place]:
    return [Place(at, id_) for id_, at in rows]


async def configured(tx: Tx, model: str) -> str | None:
    """Give the version that a model's folder made last (the others come from trainings), or None."""
    row = await tx.row(Q["configured"], model)
    return None if row is None else str(row[0])


async def used_by(tx: Tx, id_: str) -> str | None:
    """Say what still needs a version, or None."""
    if await tx.row(Q["waiting"], id_) is not None:
        return "predictions that have not ended"
    row = await tx.row(Q["deployed"], id_)
    return None if row is None else f"the deployment {row[0]}"


async def remove(tx: Tx, id_: str) -> None:
    """Show and run a version no more; its sources stay."""
    await tx.run(Q["remove"], id_)
