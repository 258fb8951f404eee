"""SQLite behind the seam: one thread that writes, one that reads.

The writer takes whatever queued while it was busy with the last commit and commits it as one group: one
fsync for all of them, with no delay added (WAL, synchronous=FULL, so a commit is on disk before anybody is
told). A unit that fails after it has written, or a group whose commit fails, is rolled back whole; then each
unit is run again alone, so that one bad unit never takes its neighbours with it (inside a savepoint,
SQLITE_FULL would roll back the whole group anyway).
"""

import asyncio
import logging
import re
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

from ringback.store.database import Row, Unit
from ringback.words.errors import Unavailable

T = TypeVar("T")
log = logging.getLogger(__name__)

_GROUP = 512
"""Units in one commit at most: bounds how long the first of them waits."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: fsync alone does not reach the disk; elsewhere it changes nothing
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
)

Clock = Callable[[], int]
"""Gives the wall clock in microseconds since the epoch."""


@cache
def _numbered(sql: str) -> str:
    # To SQLite `$1` is a parameter named "1"; `?1` is the first one.
    return re.sub(r"\$(\d+)", r"?\1", sql)


class SqliteTx:
    """A transaction on the thread that owns the connection; its awaits never suspend."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.now = 0
        self._execute = connection.execute

    async def rows(self, sql: str, *parameters: object) -> list[Row]:
        """See Tx.rows."""
        return self._execute(_numbered(sql), parameters).fetchall()

    async def row(self, sql: str, *parameters: object) -> Row | None:
        """See Tx.row."""
        return cast("Row | None", self._execute(_numbered(sql), parameters).fetchone())

    async def run(self, sql: str, *parameters: object) -> int:
        """See Tx.run."""
        return self._execute(_numbered(sql), parameters).rowcount


def _drive(awaitable: Awaitable[T]) -> T:
    """Run a unit to its end on this thread: nothing in it can wait, so one step is all it takes."""
    steps = cast("Generator[None, None, T]", awaitable.__await__())
    try:
        next(steps)
    except StopIteration as stop:
        return cast("T", stop.value)
    steps.close()
    raise RuntimeError("a store verb awaited something other than its transaction")


@dataclass(slots=True)
class _Job:
    unit: Unit[Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class _RunAgain(Exception):
    """The group must be rolled back and its units run one by one."""


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    return connection


class _Thread:
    """A thread that owns one connection and runs groups of jobs on it."""

    def __init__(self, name: str, connection: sqlite3.Connection, run: Callable[[list[_Job]], None]) -> None:
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._connection = connection
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self._closed = False

    def submit(self, unit: Unit[T]) -> asyncio.Future[T]:
        """Queue a unit; the future resolves in the event loop."""
        if self._closed:
            raise Unavailable("the server is shutting down")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(unit, future))
        return future

    async def close(self) -> None:
        """Finish what is queued and end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._connection.close()

    def _main(self) -> None:
        ending = False
        while not ending:
            jobs, ending = self._take()
            if jobs:
                self._run(jobs)
                self._loop.call_soon_threadsafe(_resolve, jobs)

    def _take(self) -> tuple[list[_Job], bool]:
        jobs: list[_Job] = []
        job = self._queue.get()
        try:
            while job is not None:
                jobs.append(job)
                if len(jobs) == _GROUP:
                    return jobs, False
                job = self._queue.get_nowait()
        except Empty:
            return jobs, False
        return jobs, True


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


class Sqlite:
    """The embedded database. Open it with `open_sqlite`."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        before_commit: Callable[[int], None] | None = None,
    ) -> None:
        """Start both threads.

        Args:
            path: the database file, already migrated.
            clock: the wall clock, microseconds.
            before_commit: called by the writer thread with the number of units about to be committed; a
                crash test waits here to know that a change is pending.
        """
        self._clock = clock
        self._before_commit = before_commit
        self._connection = _open(path)
        self._tx = SqliteTx(self._connection)
        reading = _open(path)
        reading.execute("PRAGMA query_only = ON")
        self._reading, self._reading_tx = reading, SqliteTx(reading)
        self._writer = _Thread("ringback-writer", self._connection, self._commit)
        self._reader = _Thread("ringback-reader", reading, self._look)

    async def write(self, unit: Unit[T]) -> T:
        """See Database.write."""
        return await self._writer.submit(unit)

    async def read(self, unit: Unit[T]) -> T:
        """See Database.read."""
        return await self._reader.submit(unit)

    async def close(self) -> None:
        """See Database.close."""
        await self._writer.close()
        await self._reader.close()

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            self._attempt(jobs)
        except _RunAgain:
            for job in jobs:
                self._alone(job)

    def _alone(self, job: _Job) -> None:
        job.error = None
        try:
            self._attempt([job])
        except _RunAgain as again:
            job.error = _outward(again.__cause__ or again)

    def _attempt(self, jobs: list[_Job]) -> None:
        """Run and commit the jobs as one transaction, or raise _RunAgain with nothing changed."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._tx.now = self._clock()
            for job in jobs:
                self._run_one(job)
            if self._before_commit is not None:
                self._before_commit(len(jobs))
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise _RunAgain from error.__cause__ if isinstance(error, _RunAgain) else error

    def _run_one(self, job: _Job) -> None:
        connection = self._connection
        before = connection.total_changes
        try:
            job.result = _drive(job.unit(self._tx))
        except Exception as error:
            if connection.total_changes != before or not connection.in_transaction:
                raise _RunAgain from error
            job.error = _outward(error)

    def _look(self, jobs: list[_Job]) -> None:
        connection = self._reading
        connection.execute("BEGIN")
        self._reading_tx.now = self._clock()
        for job in jobs:
            try:
                job.result = _drive(job.unit(self._reading_tx))
            except Exception as error:
                job.error = _outward(error)
        connection.execute("COMMIT")


def _outward(error: BaseException) -> BaseException:
    """Turn what SQLite says about itself (disk full, I/O, locked) into Unavailable; pass on the rest."""
    if isinstance(error, sqlite3.OperationalError):
        log.error("database: %s", error)
        unavailable = Unavailable(f"the database can't take this now: {error}")
        unavailable.__cause__ = error
        return unavailable
    return error
