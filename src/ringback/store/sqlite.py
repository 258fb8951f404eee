"""SQLite behind the seam: statements run in the event loop's thread, commits in a thread of their own.

In WAL mode a statement touches memory, and only the commit waits for the disk. So whatever queued while the
last commit was under way is run as one group, and committed as one: one fsync for all of them, with no delay
added (synchronous=FULL: it is on the disk before anybody is told). Running the statements in a second thread
instead costs more than twice as much: sqlite3 lets go of the interpreter's lock at each step, and a loop that
is busy is slow to give it back.

A unit that fails after it has written, or a group whose commit fails, is rolled back whole; then each unit
is run again alone, so that one bad unit never takes its neighbours with it (inside a savepoint, SQLITE_FULL
would roll back the whole group anyway).
"""

import asyncio
import re
import sqlite3
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from ringback.store.checkpoint import Checkpointer
from ringback.store.complaint import Complaint
from ringback.store.database import Row, Unit
from ringback.words.errors import Unavailable

T = TypeVar("T")

_BUSY_RETRY_S = 0.02
_BUSY_S = 5.0
"""Seconds to wait for another program (a backup) that holds the write lock, before changes fail."""

_GROUP = 128
"""Units in one commit at most: bounds how long the loop is busy with one group."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # macOS: fsync alone does not reach the disk; elsewhere it changes nothing
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 0",  # waiting is done in the loop's own time, see _turn
    "PRAGMA wal_autocheckpoint = 0",  # see checkpoint.py
    "PRAGMA cache_size = -16384",  # KiB, for each of two connections; the system caches the rest
    "PRAGMA temp_store = MEMORY",
)

Clock = Callable[[], int]
"""Gives microseconds since the epoch, never fewer than before (words/clock.py)."""


@cache
def _numbered(sql: str) -> str:
    # To SQLite `$1` is a parameter named "1"; `?1` is the first one.
    return re.sub(r"\$(\d+)", r"?\1", sql)


class SqliteTx:
    """A transaction on a connection; its awaits never suspend."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take the connection, which only this transaction uses."""
        self.now = 0
        self.memo: dict[object, object] = {}
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


class _Committer:
    """A thread that commits: a bare queue, since an executor's futures cost more than a small commit."""

    def __init__(self, commit: Callable[[int], None]) -> None:
        self._commit = commit
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[tuple[int, Callable[[BaseException | None], None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="ringback-commit", daemon=True)
        self._thread.start()

    def submit(self, units: int, done: Callable[[BaseException | None], None]) -> None:
        """Commit in the thread, then call `done` in the loop with what went wrong, if anything."""
        self._queue.put((units, done))

    def close(self) -> None:
        """End the thread once the queue is empty."""
        self._queue.put(None)
        self._thread.join()

    def _main(self) -> None:
        while (job := self._queue.get()) is not None:
            units, done = job
            error: BaseException | None = None
            try:
                self._commit(units)
            except BaseException as raised:
                error = raised
            self._loop.call_soon_threadsafe(done, error)


class Sqlite:
    """The embedded database. Make it in a running event loop and use it there."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        before_commit: Callable[[int], None] | None = None,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the database.

        Args:
            path: the database file, already migrated.
            clock: the time, microseconds.
            refused: called whenever a change could not be written.
            before_commit: called by the committing thread with the number of units about to be committed; a
                crash test waits here to know that a change is pending.
        """
        self._clock = clock
        self._before_commit = before_commit
        self._refused = refused
        self._loop = asyncio.get_running_loop()
        self._connection, self._reading = _open(path), _open(path)
        self._checkpointer = Checkpointer(path, _open)
        self._reading.execute("PRAGMA query_only = ON")
        self._tx, self._reading_tx = SqliteTx(self._connection), SqliteTx(self._reading)
        self._queue: deque[_Job] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._locked_since: float | None = None
        self._complaint = Complaint("database")
        self._changes_before = 0
        self._closed = False
        self._committer = _Committer(self._commit)

    async def write(self, unit: Unit[T]) -> T:
        """See Database.write."""
        if self._closed:
            raise Unavailable("the server is shutting down")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.append(_Job(unit, future))
        if self._idle.is_set():
            self._idle.clear()
            self._loop.call_soon(self._turn)
        try:
            return await future
        except Unavailable:
            self._refused()
            raise

    async def read(self, unit: Unit[T]) -> T:
        """See Database.read."""
        tx, connection = self._reading_tx, self._reading
        connection.execute("BEGIN")
        try:
            tx.now = self._clock()
            tx.memo.clear()
            return _drive(unit(tx))
        except sqlite3.OperationalError as error:
            raise self._outward(error) from error
        finally:
            connection.execute("COMMIT")

    async def close(self) -> None:
        """See Database.close."""
        self._closed = True
        await self._idle.wait()
        self._committer.close()
        self._checkpointer.close()
        self._connection.close()
        self._reading.close()

    def _turn(self) -> None:
        """Run what has queued and hand it to the committer."""
        jobs = [self._queue.popleft() for _ in range(min(len(self._queue), _GROUP))]
        if not jobs:
            self._idle.set()
            return
        try:
            self._begin()
            for job in jobs:
                self._run_one(job)
        except sqlite3.OperationalError as error:  # only BEGIN raises it as it is
            self._locked_out(jobs, error)
        except Exception as error:
            self._settle(jobs, error)
        else:
            self._committer.submit(len(jobs), partial(self._settle, jobs))

    def _begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._changes_before = self._connection.total_changes
        self._tx.now = self._clock()
        self._tx.memo.clear()
        self._locked_since = None

    def _locked_out(self, jobs: list[_Job], error: sqlite3.OperationalError) -> None:
        """Somebody else is writing: try again soon, and for so long that nobody is left waiting for ever."""
        now = self._loop.time()
        if self._locked_since is None:
            self._locked_since = now
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY and now - self._locked_since < _BUSY_S:
            self._queue.extendleft(reversed(jobs))
            self._loop.call_later(_BUSY_RETRY_S, self._turn)
            return
        self._locked_since = None
        for job in jobs:
            job.error = self._outward(error)
        _resolve(jobs)
        self._turn()

    def _run_one(self, job: _Job) -> None:
        connection = self._connection
        before = connection.total_changes
        job.error = None
        try:
            job.result = _drive(job.unit(self._tx))
        except Exception as error:
            if connection.total_changes != before or not connection.in_transaction:
                raise _RunAgain from error
            job.error = self._outward(error)

    def _commit(self, units: int) -> None:
        """Commit, in the committer's thread."""
        if self._before_commit is not None:
            self._before_commit(units)
        self._connection.execute("COMMIT")

    def _settle(self, jobs: list[_Job], error: BaseException | None) -> None:
        """Tell everybody; after a failure run them one by one first."""
        if error is not None and len(jobs) > 1:
            self._roll_back()
            self._alone(jobs)
            return
        if error is not None:
            self._fail(jobs[0], error)
        elif self._connection.total_changes != self._changes_before:
            self._complaint.succeeded()  # a commit of nothing succeeds on a full disk too
        _resolve(jobs)
        self._turn()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _fail(self, job: _Job, error: BaseException) -> None:
        self._roll_back()
        job.error = self._outward((error.__cause__ or error) if isinstance(error, _RunAgain) else error)

    def _outward(self, error: BaseException) -> BaseException:
        """Turn what SQLite says about itself (disk full, I/O, locked) into Unavailable; pass on the rest."""
        if isinstance(error, sqlite3.OperationalError):
            self._complaint.failed(error)
            unavailable = Unavailable(f"the database can't take this now: {error}")
            unavailable.__cause__ = error
            return unavailable
        return error

    def _alone(self, jobs: list[_Job]) -> None:
        task = self._loop.create_task(self._one_by_one(jobs))
        task.add_done_callback(lambda _done: self._turn())

    async def _one_by_one(self, jobs: list[_Job]) -> None:
        for job in jobs:
            committed: asyncio.Future[BaseException | None] = self._loop.create_future()
            error: BaseException | None
            try:
                self._begin()
                self._run_one(job)
                self._committer.submit(1, committed.set_result)
                error = await committed
            except Exception as raised:
                error = raised
            if error is not None:
                self._fail(job, error)
            _resolve([job])


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
