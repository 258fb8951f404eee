"""Moving what the write-ahead log holds into the database file, beside the commits and not within them.

SQLite's own way is that every so often one commit does it for all: it then takes tens of milliseconds, and a
webhook waits for it. A passive checkpoint on a connection of its own holds up nobody (sqlite.org/wal.html,
"Performance considerations").
"""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from ringback.store.complaint import Complaint

_EVERY_S = 1.0
_TOO_LONG = 50_000
"""Pages (200 MB) in the log from which on writers are made to wait: without a pause it never starts again."""


class Checkpointer:
    """A thread that empties the log once a second."""

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection]) -> None:
        """Start the thread.

        Args:
            path: the database file.
            connect: opens a connection to it.
        """
        self._connection = connect(path)
        self._connection.execute("PRAGMA busy_timeout = 1000")
        self._complaint = Complaint("database: emptying the log")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, name="ringback-checkpoint", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; closing the last connection empties the log anyway."""
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _main(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self.run_once()
            except sqlite3.Error as error:  # a full disk: nothing is lost, the next second tries again
                self._complaint.failed(error)
            else:
                self._complaint.succeeded()

    def run_once(self) -> int:
        """Empty the log as far as that disturbs nobody; give the pages it holds.

        Raises:
            sqlite3.Error: the disk is full or broken.
        """
        _busy, pages, _moved = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > _TOO_LONG:
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)")
        return int(pages)
