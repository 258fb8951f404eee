"""Output files: received in pieces, kept in the data folder, shown as unguessable URLs."""

import mimetypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any

from ringback.runner.protocol import FILE_KEY
from ringback.words.ids import Entropy, unguessable

_NAME_LIMIT = 128


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is complete: its id, name, media type, size in bytes and place."""

    id: str
    name: str
    content_type: str
    size: int
    path: Path


class FileStore:
    """The folder where output files lie, each under its own id."""

    def __init__(self, folder: Path, entropy: Entropy) -> None:
        self._folder = folder
        self._entropy = entropy
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, id_: str) -> Path:
        """Give where a file lies."""
        return self._folder / id_[:2] / id_

    def create(self) -> tuple[str, BufferedWriter]:
        """Open a new file for writing."""
        id_ = unguessable(self._entropy)
        path = self.path(id_)
        path.parent.mkdir(exist_ok=True)
        return id_, path.open("xb")

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
        self._open: dict[int, tuple[str, BufferedWriter]] = {}
        self._ids: dict[int, Stored] = {}
        self.complete: list[Stored] = []

    def piece(self, number: int, name: str, data: bytes, *, last: bool) -> None:
        """Take the next piece of a file.

        Raises:
            OSError: it can't be written.
        """
        if number not in self._open:
            self._open[number] = self._store.create()
        id_, file = self._open[number]
        file.write(data)
        if last:
            del self._open[number]
            file.flush()
            stored = Stored(id_, safe_name(name), content_type(name), file.tell(), Path(file.name))
            file.close()
            self._ids[number] = stored
            self.complete.append(stored)

    def linked(self, value: Any, url: Callable[[Stored], str]) -> Any:
        """Give `value` with each file marker replaced by the file's URL."""
        if isinstance(value, list):
            return [self.linked(item, url) for item in value]
        if isinstance(value, dict):
            number = value.get(FILE_KEY)
            if len(value) == 1 and isinstance(number, int) and number in self._ids:
                return url(self._ids[number])
            return {key: self.linked(item, url) for key, item in value.items()}
        return value

    def discard(self) -> None:
        """Remove what is not complete."""
        for _, file in self._open.values():
            file.close()
            Path(file.name).unlink(missing_ok=True)
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
    """Bring files and their folder entries to the disk, before a row says that they are there."""
    shards = {file.path.parent for file in files}
    # A shard may be new, and then its own entry is not on the disk yet either.
    for path in [*(file.path for file in files), *shards, *{shard.parent for shard in shards}]:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
