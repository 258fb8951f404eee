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
    """

    id: str
    model: str
    entry: str
    openapi_schema: str
    created_at: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a version: its content, or for a large one the absolute path where it lay."""

    path: str
    mode: int
    size: int
    content: bytes | None
    origin: str | None


def _version(row: Row | None) -> Version | None:
    return None if row is None else Version(*row)


async def get(tx: Tx, id_: str) -> Version | None:
    """Give the version with this id, or None."""
    return _version(await tx.row(Q["get"], id_))


async def register(
    tx: Tx, id_: str, model: str, entry: str, openapi_schema: str, found: Sequence[SourceFile]
) -> None:
    """Make this the model's latest version, and keep its sources.

    An id that the configuration gives may come with other sources than before: these take the place of the
    kept ones, as the schema does, so that the two always belong together.
    """
    await tx.run(Q["register"], id_, model, entry, openapi_schema, tx.now)
    if set(await sources(tx, id_)) != set(found):
        await tx.run(Q["drop_files"], id_)
        for file in found:
            await tx.run(Q["add_file"], id_, file.path, file.mode, file.size, file.content, file.origin)


async def sources(tx: Tx, id_: str) -> list[SourceFile]:
    """Give a version's kept sources."""
    return [SourceFile(*row) for row in await tx.rows(Q["files"], id_)]
