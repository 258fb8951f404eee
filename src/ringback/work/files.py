"""Output files: received in pieces, kept in the data folder, shown as unguessable URLs.

What a full disk has no room for waits in memory, up to a limit, and is written when there is room again.
"""

import errno
import mimetypes
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from ringback.runner.protocol import FILE_KEY
from ringback.words.ids import Entropy, unguessable

_NAME_LIMIT = 128
_WAITING_LIMIT = 64_000_000
"""Bytes of one prediction's files that may wait in memory for room on the disk."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def no_room(error: OSError) -> bool:
    """Whether it is for want of room on the disk, of which there may be some later."""
    return error.errno in _NO_ROOM


class Arriving:
    """A file on its way to the disk; the pieces there is no room for wait here, in order."""

    def __init__(self, id_: str, path: Path) -> None:
        self.id = id_
        self.path = path
        self.size = 0
        self._file: FileIO | None = None
        self._waiting: deque[bytes] = deque()

    @property
    def waiting(self) -> int:
        """Bytes that are not with the system yet."""
        return sum(map(len, self._waiting))

    def add(self, data: bytes) -> None:
        """Take the next piece, which is kept whatever happens.

        Raises:
            OSError: it could not be written, or one before it.
        """
        self.size += len(data)
        self._waiting.append(data)
        self.flush()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: it can't be written.
        """
        if self._file is None:
            self.path.parent.mkdir(exist_ok=True)
            self._file = FileIO(self.path, "xb")
        while self._waiting:
            written = self._file.write(self._waiting[0])
            left = self._waiting[0][written:]
            self._waiting.popleft()
            if left:
                self._waiting.appendleft(left)

    def close(self) -> None:
        """Write what waits and end the file; if that fails it may be tried again.

        Raises:
            OSError: it can't be written.
        """
        if self._file is None or not self._file.closed:
            self.flush()
            assert self._file is not None  # noqa: S101 - `flush` has opened it
            self._file.close()

    def discard(self) -> None:
        """Remove what there is of it."""
        self._waiting.clear()
        if self._file is not None:
            self._file.close()
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that has come to its end: its id, name, media type, size in bytes, and how far it is."""

    id: str
    name: str
    content_type: str
    size: int
    arriving: Arriving

    @property
    def path(self) -> Path:
        """Where it lies, or will."""
        return self.arriving.path


class FileStore:
    """The folder where output files lie, each under its own id."""

    def __init__(self, folder: Path, entropy: Entropy) -> None:
        self._folder = folder
        self._entropy = entropy
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, id_: str) -> Path:
        """Give where a file lies."""
        return self._folder / id_[:2] / id_

    def create(self) -> Arriving:
        """Give a new file to write to."""
        id_ = unguessable(self._entropy)
        return Arriving(id_, self.path(id_))

    def sweep(self, known: set[str]) -> int:
        """Remove files that no row names (a run that a crash cut short); give how many."""
        removed = 0
        for path in self._folder.glob("*/*"):
            if path.name not in known:
                path.unlink(missing_ok=True)
                removed += 1
        return removed


class Incoming:
    """The files of one prediction on their way in."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self._open: dict[int, Arriving] = {}
        self._ids: dict[int, Stored] = {}
        self.complete: list[Stored] = []

    def piece(self, number: int, name: str, data: bytes, *, last: bool) -> None:
        """Take the next piece of a file; if the disk is full it is written later, by `sync`.

        Raises:
            OSError: it can't be written, or too much waits for room already.
        """
        if number not in self._open:
            self._open[number] = self._store.create()
        file = self._open[number]
        try:
            file.add(data)
            if last:
                file.close()
        except OSError as error:
            if not no_room(error) or self._waiting() > _WAITING_LIMIT:
                raise
        if last:
            del self._open[number]
            stored = Stored(file.id, safe_name(name), content_type(name), file.size, file)
            self._ids[number] = stored
            self.complete.append(stored)

    def _waiting(self) -> int:
        files = {*self._open.values(), *(stored.arriving for stored in self._ids.values())}
        return sum(file.waiting for file in files)

    def stored(self, value: Any) -> Stored | None:
        """Give the complete file that `value` marks, or None if it marks none."""
        number = value.get(FILE_KEY) if isinstance(value, dict) and len(value) == 1 else None
        return self._ids.get(number) if isinstance(number, int) else None

    def linked(self, value: Any, url: Callable[[Stored], str]) -> Any:
        """Give `value` with each file marker replaced by the file's URL."""
        if isinstance(value, list):
            return [self.linked(item, url) for item in value]
        if isinstance(value, dict):
            marked = self.stored(value)
            if marked is not None:
                return url(marked)
            return {key: self.linked(item, url) for key, item in value.items()}
        return value

    def discard(self) -> None:
        """Remove what is not complete."""
        for file in self._open.values():
            file.discard()
        self._open.clear()


def safe_name(name: str) -> str:
    """Give a file's name as it may stand in a URL's last segment."""
    plain = "".join(
        c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name.rpartition("/")[2]
    )
    return plain.lstrip(".")[-_NAME_LIMIT:] or "file"


def content_type(name: str) -> str:
    """Guess a media type from a file's name."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def sync(files: list[Stored]) -> None:
    """Bring files and their folder entries to the disk, before a row says that they are there.

    Raises:
        OSError: that is not possible now; it may be tried again.
    """
    for file in files:
        file.arriving.close()
    shards = {file.path.parent for file in files}
    # A shard may be new, and then its own entry is not on the disk yet either.
    for path in [*(file.path for file in files), *shards, *{shard.parent for shard in shards}]:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
