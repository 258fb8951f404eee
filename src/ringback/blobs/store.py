"""A store of blobs: put whole or not at all, read in pieces, removed, listed.

obstore is called from threads and not through its async functions: those hold Python objects in threads of
their own for a moment after each call, and a process that ends in that moment is aborted
(github.com/PyO3/pyo3-async-runtimes/issues/40: 9 of 25 ends with obstore 0.12).
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from ringback.words.errors import TooLarge, Unavailable

if TYPE_CHECKING:
    from obstore import GetOptions, WritableFile  # it has them for type checkers only

log = logging.getLogger(__name__)

PIECE = 1 << 20
_PART = 5 << 20  # the smallest part that S3 takes in an upload of several
_PARTS_AT_ONCE = 2


class MissingBlobError(Exception):
    """There is no blob of this key."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What was stored: its size in bytes, and its checksums in hexadecimal."""

    size: int
    md5: str
    sha256: str


class Blobs:
    """Blobs by their keys, which are ids: small letters and digits."""

    def __init__(self, store: ObjectStore, settle: Callable[[str], None] = lambda _path: None) -> None:
        """Take where they lie.

        Args:
            store: where.
            settle: makes durable what the store has taken at a path, where the store does not by itself.
        """
        self._store = store
        self._settle = settle

    async def put(self, key: str, pieces: AsyncIterator[bytes], limit: int) -> Sums:
        """Store a blob; it is durable when this returns, and not there at all when this fails.

        Raises:
            TooLarge: there are more than `limit` bytes.
            Unavailable: it can't be stored now.
            Exception: what `pieces` raises.
        """
        writing = _Writing(self._store, _path(key), limit)
        try:
            async for piece in _gathered(pieces):
                await asyncio.to_thread(writing.add, piece)
            await asyncio.to_thread(writing.close)
        except BaseException:
            writing.drop()
            raise
        try:
            await asyncio.to_thread(self._settle, _path(key))
        except OSError as error:
            await self.remove([key])
            raise _unavailable(error) from error
        return writing.sums

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Open a blob and give its bytes from `start` to before `end` (its own end if None), in pieces.

        Raises:
            MissingBlobError: there is none of this key.
            Unavailable: it can't be read now.
        """
        if end is not None and start >= end:
            return _read(iter(()))
        return _read(await asyncio.to_thread(self._stream, key, start, end))

    def _stream(self, key: str, start: int, end: int | None) -> Iterator[bytes]:
        options: GetOptions = {"range": {"offset": start} if end is None else (start, end)}
        with _told():
            try:
                # Of an empty blob no range can be had.
                found = obstore.get(self._store, _path(key), options=options if start or end else None)
            except FileNotFoundError:
                raise MissingBlobError(key) from None
            return found.stream(min_chunk_size=PIECE)

    async def remove(self, keys: Collection[str]) -> None:
        """Remove blobs; one that is not there is no fault.

        Raises:
            Unavailable: one can't be removed now; others may have been.
        """
        await asyncio.to_thread(self._remove, keys)

    def _remove(self, keys: Collection[str]) -> None:
        for key in keys:
            with _told():
                try:
                    obstore.delete(self._store, _path(key))
                except FileNotFoundError:
                    continue

    async def keys(self) -> set[str]:
        """Give the keys of all blobs.

        Raises:
            Unavailable: they can't be listed now.
        """
        return await asyncio.to_thread(self._keys)

    def _keys(self) -> set[str]:
        with _told():
            items = (item for batch in obstore.list(self._store) for item in batch)
            return {item["path"].rpartition("/")[2] for item in items}


class _Writing:
    """A blob on its way: if it is not closed there is nothing."""

    def __init__(self, store: ObjectStore, path: str, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._writer: WritableFile | None = obstore.open_writer(
            store, path, buffer_size=_PART, max_concurrency=_PARTS_AT_ONCE
        )

    def add(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise TooLarge(size_fault(self._limit))
        self._md5.update(data)
        self._sha256.update(data)
        if self._writer is not None:
            with _told():
                self._writer.write(data)

    def close(self) -> None:
        if self._writer is not None:
            with _told():
                self._writer.close()

    def drop(self) -> None:
        # That nobody holds it any more is what makes obstore take back what it has written.
        self._writer = None

    @property
    def sums(self) -> Sums:
        return Sums(self._size, self._md5.hexdigest(), self._sha256.hexdigest())


def _path(key: str) -> str:
    # The ends of ids differ, their beginnings tell the time: so no folder holds them all.
    return f"{key[-2:]}/{key}"


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small pieces: each costs a change of threads."""
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        if len(waiting) >= PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


async def _read(stream: Iterator[bytes]) -> AsyncIterator[bytes]:
    def following() -> bytes | None:
        with _told():
            return next(stream, None)

    while (piece := await asyncio.to_thread(following)) is not None:
        yield piece


@contextmanager
def _told() -> Iterator[None]:
    """Raise what goes wrong in the store as Unavailable; why is for the log, since it names places."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    log.error("the file store: %s", str(error).partition("\n")[0])  # what follows is a listing of Rust's
    return Unavailable("The file store can't do that now; the server's log says why.")


def size_fault(limit: int) -> str:
    """Say that a file is over the limit (bytes), in Replicate's words."""
    return f"Files must be less than {_shown(limit)} in size"


def _shown(limit: int) -> str:
    """Write a size as Replicate does: 100MB."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if limit >= size and limit % size == 0:
            return f"{limit // size}{unit}"
    return f"{limit:,} bytes"
