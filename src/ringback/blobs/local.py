"""Blobs on the local disk."""

import os
import re
from pathlib import Path

from obstore.store import LocalStore

from ringback.blobs.store import Blobs

_STAGED = re.compile(r".*#[0-9]+")
"""How obstore names what it has not finished writing; it neither lists nor removes such a file later."""


def local(folder: Path) -> Blobs:
    """Open the blobs in a folder, which is nobody else's; what a crash left half written is removed.

    Raises:
        OSError: the folder can't be made or read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*/*"):
        if _STAGED.fullmatch(path.name):
            path.unlink(missing_ok=True)
    return Blobs(LocalStore(folder), lambda path: _settle(folder, path))


def _settle(folder: Path, path: str) -> None:
    """Bring a file and its folders' entries to the disk: obstore's LocalStore (0.12) can't be told to."""
    # A shard may be new, and then its own entry is not on the disk yet either.
    for place in (folder / path, (folder / path).parent, folder):
        fd = os.open(place, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
