"""A store on a real file under a clock that tests move, and its verbs in few words."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringback.rules.attempt import Result
from ringback.rules.prediction import EVENTS, Event
from ringback.rules.retry import SECOND, Schedule
from ringback.rules.snapshot import Links
from ringback.store import accounts, claims, predictions, runs, settlements
from ringback.store.attempts import Work
from ringback.store.claims import Claimed
from ringback.store.lanes import Owed, Telling
from ringback.store.migrations import migrate_sqlite
from ringback.store.predictions import New, Webhook
from ringback.store.rooms import Rooms
from ringback.store.runs import Change, Claim, Ending, NewChunk
from ringback.store.settlements import Settling
from ringback.store.sqlite import Sqlite
from ringback.store.subjects import Hold
from ringback.words.ids import PredictionIds

ACCOUNT = "acct_1"
VERSION = "ab" * 32
MODEL = "test/echo"
LINKS = Links("http://ringback.example")
WINDOW = SECOND // 2
SHIPPED = Schedule()
SETTLING = Settling(SHIPPED, LINKS)
ORIGIN = "http://a.example:80"

OK = Result("acknowledged", "", 200, "", 1000)
BROKEN = Result("status", "answered 503", 503, "", 1000)
GONE = Result("status", "answered 410", 410, "", 1000)


def busy(retry_after: float) -> Result:
    return Result("status", "answered 429", 429, "", 1000, retry_after)


def hook(*events: Event, origin: str = ORIGIN, path: str = "/hook") -> Webhook:
    return Webhook(f"{origin}{path}?x=1", f"{origin}{path}", origin, frozenset(events or EVENTS))


@dataclass(frozen=True)
class Attempt:
    """One recorded attempt. Times in microseconds."""

    number: int
    attempt: int
    started_at: int
    duration: int
    cause: str
    status: int | None
    diagnosis: str
    excerpt: str
    resent: bool


@dataclass(frozen=True)
class Delivery:
    """One delivery: `digest` and `length` are of its body's bytes, None until the first attempt."""

    number: int
    event: Event
    status: str
    attempts: int
    created_at: int
    settled_at: int | None
    digest: str | None
    length: int | None


@dataclass
class Clock:
    """The time in microseconds, as tests set it."""

    now: int = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now


@dataclass
class World:
    """The store and its clock."""

    database: Sqlite
    path: Path
    clock: Clock
    ids: PredictionIds = field(default_factory=lambda: PredictionIds(lambda size: b"\x55" * size))

    @property
    def now(self) -> int:
        return self.clock.now

    def wait(self, seconds: float) -> None:
        self.clock.now += int(seconds * SECOND)

    def telling(self, holder: str | None = None) -> Telling:
        return Telling(WINDOW, LINKS, holder)

    async def create(self, webhook: Webhook | None = None, input_: str = '{"text":"hi"}') -> str:
        new = New(self.ids.make(self.now), ACCOUNT, VERSION, MODEL, input_, webhook)
        await self.database.write(lambda tx: predictions.create(tx, new))
        return new.id

    async def claim(self, limit: int = 1, holder: str = "worker_1", version: str = VERSION) -> list[Claim]:
        return await self.database.write(lambda tx: runs.claim(tx, version, "", holder, limit))

    async def running(self, webhook: Webhook | None = None) -> Hold:
        """Create a prediction, claim it and say that it has started."""
        id_ = await self.create(webhook)
        hold = next(claim.hold for claim in await self.claim(1000) if claim.hold.id == id_)
        assert (await self.advance(hold, started=True)).held
        return hold

    async def advance(
        self, hold: Hold, *chunks: NewChunk, started: bool = False, grant: str | None = None
    ) -> Change:
        telling = self.telling(grant)
        return await self.database.write(
            lambda tx: runs.advance(tx, hold, started=started, chunks=chunks, telling=telling)
        )

    async def hand_back(self, hold: Hold) -> None:
        telling = self.telling()
        await self.database.write(lambda tx: runs.hand_back(tx, [hold], telling))

    async def end(self, hold: Hold, ending: Ending, grant: str | None = None) -> Change:
        telling = self.telling(grant)
        return await self.database.write(lambda tx: runs.end(tx, hold, ending, telling))

    async def cancel(self, id_: str, grant: str | None = None) -> Change:
        telling = self.telling(grant)
        return await self.database.write(lambda tx: runs.cancel(tx, ACCOUNT, id_, telling))

    async def lanes(
        self,
        total: int = 100,
        each: int = 100,
        used: dict[str, int] | None = None,
        after: str = "",
        holder: str = "dispatcher_1",
    ) -> Claimed:
        rooms = Rooms(total, each, used or {}, after)
        return await self.database.write(lambda tx: claims.claim(tx, holder, rooms, LINKS))

    async def head(self) -> Work:
        """Claim the only lane that is due."""
        (work,) = (await self.lanes()).works
        return work

    async def settle(self, work: Work, result: Result, *, go_on: bool = False) -> Owed:
        return await self.database.write(
            lambda tx: settlements.settle(tx, work, result, SETTLING, 0.0, go_on=go_on)
        )

    async def deliveries(self, id_: str) -> list[Delivery]:
        """A prediction's deliveries, oldest first."""
        rows = await self.rows(
            "SELECT number, event, status, attempts, created_at, settled_at, digest, length FROM deliveries "
            "WHERE prediction_id = $1 ORDER BY number",
            id_,
        )
        return [Delivery(*row) for row in rows]

    async def attempts(self, id_: str) -> list[Attempt]:
        """All attempts of a prediction's deliveries, in order."""
        rows = await self.rows(
            "SELECT number, attempt, started_at, duration, cause, status, diagnosis, excerpt, resent "
            "FROM attempts WHERE prediction_id = $1 ORDER BY number, attempt",
            id_,
        )
        return [Attempt(*row) for row in rows]

    async def fates(self, id_: str) -> list[tuple[int, str, str]]:
        return [(item.number, item.event, item.status) for item in await self.deliveries(id_)]

    async def rows(self, sql: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
        return await self.database.read(lambda tx: tx.rows(sql, *parameters))

    async def row(self, sql: str, *parameters: object) -> tuple[Any, ...]:
        (row,) = await self.rows(sql, *parameters)
        return row

    async def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything there is, to see that nothing has changed."""
        tables = await self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return {name: list(await self.rows(f"SELECT * FROM {name} ORDER BY 1, 2")) for (name,) in tables}


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[World]:
    """Open a store with one account in `folder`, or the one that is there."""
    path = folder / "ringback.sqlite"
    migrate_sqlite(path)
    clock = Clock()
    world = World(Sqlite(path, clock), path, clock)
    try:
        if await world.database.read(accounts.default) is None:
            await world.database.write(
                lambda tx: accounts.create(
                    tx, id=ACCOUNT, username="ringback", secret_id="secret_1", secret="whsec_c2VjcmV0"
                )
            )
        yield world
    finally:
        await world.database.close()
