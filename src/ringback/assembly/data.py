"""The data folder: made, locked against a second server, opened."""

import fcntl
import logging
import os
import shlex
import shutil
from pathlib import Path

from ringback.words.errors import SetupError

log = logging.getLogger(__name__)

_OWNERS = 0o700


class InUse(SetupError):
    """Another process of Ringback holds the folder."""


class DataFolder:
    """The folder with the database and the files of one server."""

    def __init__(self, path: str) -> None:
        """Make and lock the folder; the lock is the kernel's, so it goes with the process however that ends.

        What it makes is its owner's only. A folder that was there keeps its rights: if others may open it
        the log says so.

        Raises:
            InUse: another server has it.
            SetupError: it can't be written.
        """
        self.folder = folder = Path(path).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=_OWNERS)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(folder, error) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise InUse(
                f"another ringback is using the data folder {folder}: stop it, or give another with --data"
            ) from None
        shutil.rmtree(self.scratch, ignore_errors=True)  # what a killed server left
        try:
            for each in (self.files, self.uploads, self.versions, self.scratch):
                each.mkdir(exist_ok=True, mode=_OWNERS)
                _close(each)
        except OSError as error:
            os.close(self._lock)
            raise _unwritable(folder, error) from None
        if _is_open(folder):
            log.warning(
                "others on this machine may open the data folder, which has secrets in it: chmod 700 %s",
                shlex.quote(str(folder)),
            )

    @property
    def database(self) -> Path:
        """Where the database file is."""
        return self.folder / "ringback.sqlite"

    @property
    def files(self) -> Path:
        """Where output files are."""
        return self.folder / "files"

    @property
    def uploads(self) -> Path:
        """Where the files that people send are."""
        return self.folder / "uploads"

    @property
    def versions(self) -> Path:
        """Where kept sources are restored to."""
        return self.folder / "versions"

    @property
    def scratch(self) -> Path:
        """Where running models keep temporary files; empty at each start."""
        return self.folder / "tmp"

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._lock)


def _unwritable(folder: Path, error: OSError) -> SetupError:
    return SetupError(f"can't write to the data folder {folder}: {error.strerror}; give another with --data")


def _is_open(folder: Path) -> bool:
    return bool(folder.stat().st_mode & 0o077)


def _close(folder: Path) -> None:
    """Take others' rights away, as earlier versions made it; a file system without rights has its own."""
    if _is_open(folder):
        try:
            folder.chmod(_OWNERS)
        except OSError as error:
            log.warning("others on this machine may open %s: %s", folder, error.strerror)
