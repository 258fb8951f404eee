"""The data folder: made, locked against a second server, opened."""

import fcntl
import os
import shutil
from pathlib import Path

from ringback.words.errors import SetupError


class InUse(SetupError):
    """Another process of Ringback holds the folder."""


class DataFolder:
    """The folder with the database and the files of one server."""

    def __init__(self, path: str) -> None:
        """Make and lock the folder; the lock is the kernel's, so it goes with the process however that ends.

        Raises:
            InUse: another server has it.
            SetupError: it can't be written.
        """
        self.folder = folder = Path(path).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.files.mkdir(exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SetupError(
                f"can't write to the data folder {folder}: {error.strerror}; give another with --data"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise InUse(
                f"another ringback is using the data folder {folder}: stop it, or give another with --data"
            ) from None
        shutil.rmtree(self.scratch, ignore_errors=True)  # what a killed server left

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
