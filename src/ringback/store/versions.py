"""Versions of models: their schema, and their sources, kept so that a queued prediction can always run."""

from collections.abc import Sequence
from dataclasses import dataclass

from ringback.store.database import Row, Tx, queries

Q = queries("versions")
_SET_ENTRY = "UPDATE versions SET entry = $2 WHERE id = $1"
_DROP_FILES = "DELETE FROM version_files WHERE version_id = $1"


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


async def latest(tx: Tx, model: str) -> Version | None:
    """Give the version of a model that was served last, or None."""
    return _version(await tx.row(Q["latest"], model))


async def register(
    tx: Tx, id_: str, model: str, entry: str, openapi_schema: str, sources: Sequence[SourceFile]
) -> None:
    """Make this the model's latest version, and keep its sources.

    An id that the configuration gives may come with other sources than before: these take the place of the
    kept ones, as the schema does, so that the two always belong together.
    """
    await tx.run(Q["register"], id_, model, entry, openapi_schema, tx.now)
    await tx.run(_SET_ENTRY, id_, entry)
    if set(await _files(tx, id_)) != set(sources):
        await tx.run(_DROP_FILES, id_)
        for file in sources:
            await tx.run(Q["add_file"], id_, file.path, file.mode, file.size, file.content, file.origin)


async def _files(tx: Tx, id_: str) -> list[SourceFile]:
    return [SourceFile(*row) for row in await tx.rows(Q["files"], id_)]


async def sources(tx: Tx, id_: str) -> list[SourceFile]:
    """Give a version's kept sources."""
    return await _files(tx, id_)
