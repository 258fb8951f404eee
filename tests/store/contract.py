"""The delivery contract under test: predictions, two dispatchers that can die, and all that befalls them.

Everything is done by the store's own verbs on a file. What is remembered here is what a real dispatcher
remembers (attempts in flight, and where its round stands), and the journal.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from ringback.rules.attempt import Result
from ringback.rules.endpoint import WELL, Health, HealthRules, Target
from ringback.rules.retry import SECOND
from ringback.store import claims, endpoints, expiry, resends, settlements
from ringback.store.attempts import Work
from ringback.store.endpoints import Endpoint, Terms
from ringback.store.lanes import NOTHING, Owed
from ringback.store.migrations import migrate_sqlite
from ringback.store.resends import START, Wish
from ringback.store.rooms import NEW_ROUND, Rooms
from ringback.store.runs import Change, Ending
from ringback.store.settlements import Settling
from ringback.store.sqlite import Sqlite
from ringback.words.errors import Conflict, Gone
from store.journal import Dispatcher, Journal, Place, Run
from store.world import ACCOUNT, LINKS, OK, SHIPPED, World, hook, opened

DAY = 24 * 3600 * SECOND
_A_LOT = 1000


def quick(database: Sqlite) -> Sqlite:
    """Have it not wait for the disk: nothing here loses power."""
    database._connection.execute("PRAGMA synchronous = OFF")
    return database


@cache
def _template() -> bytes:
    """Give a migrated file, made once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ringback.sqlite"
        migrate_sqlite(path)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.read_bytes()


@asynccontextmanager
async def prepared(folder: Path) -> AsyncIterator[World]:
    """Open a new store in `folder`."""
    (folder / "ringback.sqlite").write_bytes(_template())
    async with opened(folder) as world:
        quick(world.database)
        yield world


@dataclass
class Contract:
    """A world with two dispatchers."""

    world: World
    total: int
    each: int
    rules: HealthRules
    runs: list[Run] = field(default_factory=list)
    dispatchers: list[Dispatcher] = field(default_factory=list)
    ghosts: list[Work] = field(default_factory=list)
    journal: Journal = field(default_factory=Journal)
    next_due: int | None = None
    jobs: int = 0
    holders: int = 0

    def __post_init__(self) -> None:
        self.dispatchers = [self.fresh(), self.fresh()]

    def fresh(self) -> Dispatcher:
        self.holders += 1
        return Dispatcher(f"dispatcher_{self.holders}")

    @property
    def settling(self) -> Settling:
        return Settling(SHIPPED, LINKS, Terms(self.rules, self.each))

    @property
    def flying(self) -> list[Work]:
        return [work for dispatcher in self.dispatchers for work in dispatcher.flying]

    async def endpoints(self) -> dict[str, Endpoint]:
        """Give the rows there are."""
        keys = [str(key) for (key,) in await self.world.rows("SELECT key FROM endpoints")]
        found = [await self.world.database.read(partial(endpoints.get, key=key)) for key in keys]
        return {each.key: each for each in found if each is not None}

    # What predictions do

    async def create(self, place: Place, asked: frozenset[str]) -> None:
        self.jobs += 1
        path = place.path.replace("%d", str(self.jobs))
        id_ = await self.world.create(hook(*sorted(asked), origin=place.origin, path=path))  # type: ignore[arg-type] # names of events
        (claim,) = await self.world.claim(_A_LOT)
        assert claim.hold.id == id_
        self.runs.append(Run(claim.hold, Target(place.origin, place.key(path)), asked))

    def grant(self, target: Target, dispatcher: Dispatcher | None) -> str | None:
        """Give the holder that may be granted a lane, as a real dispatcher reserves room for it."""
        if dispatcher is None or not self.rooms(dispatcher).of_target(target):
            return None
        return dispatcher.holder

    async def progress(self, run: Run, kind: str, dispatcher: Dispatcher | None) -> None:
        holder = self.grant(run.target, dispatcher)
        before = await self.endpoints()
        started, run.started = kind == "start", run.started or kind == "start"
        chunk = {"output": [("items", "[1]")], "logs": [("logs", "hm\n")]}.get(kind, [])
        change = await self.world.advance(run.hold, *chunk, started=started, grant=holder)  # type: ignore[arg-type] # as given
        assert change.held
        self.granted(change, dispatcher, before)

    async def end(self, run: Run, how: str, dispatcher: Dispatcher | None) -> None:
        holder = self.grant(run.target, dispatcher)
        before = await self.endpoints()
        run.ended = True
        if how == "cancel":
            change = await self.world.cancel(run.hold.id, holder)
        else:
            ending = Ending("succeed", chunks=(("value", "1"),), started_at=self.world.now)
            change = await self.world.end(run.hold, ending if how == "succeed" else Ending("fail"), holder)
        assert change.held
        self.granted(change, dispatcher, before)

    def granted(self, change: Change, dispatcher: Dispatcher | None, before: dict[str, Endpoint]) -> None:
        self.call()
        if change.owed.work is not None:
            assert dispatcher is not None
            self.begin(dispatcher, [change.owed.work], before)

    # What dispatchers do

    def rooms(self, dispatcher: Dispatcher) -> Rooms:
        left, used = self.total - len(dispatcher.flying), dispatcher.used()
        return Rooms(left, self.each, used, dispatcher.after, dispatcher.walk, self.total // 4)

    def begin(self, dispatcher: Dispatcher, works: Iterable[Work], found: dict[str, Endpoint]) -> None:
        """Judge what was begun by the rows as they stood when it was."""
        for work in works:
            assert work.prediction_id not in {other.prediction_id for other in self.flying}, "two at a time"
            for key in (work.target.origin, work.target.endpoint):
                self.judge(work, found[key].health if key in found else WELL, key)
            self.journal.begin(work)
            dispatcher.flying.append(work)

    def judge(self, work: Work, found: Health, key: str) -> None:
        """Say whether an attempt may have begun at an endpoint, or an origin, that was like this."""
        assert found.paused_at is None, f"{key} is paused"
        assert found.held_until <= work.begun_at, f"{key} is to be left alone"
        assert not found.is_closed or not found.probing, f"a second probe of {key}"
        assert not found.is_closed or found.not_before <= work.begun_at, f"a probe of {key} before its time"

    def call(self) -> None:
        """Begin a new round: who has just become due may wait where the old one has passed."""
        for dispatcher in self.dispatchers:
            dispatcher.walk = NEW_ROUND

    async def claim(self, dispatcher: Dispatcher) -> list[Work]:
        rooms, before = self.rooms(dispatcher), await self.endpoints()
        claimed = await self.world.database.write(
            lambda tx: claims.claim(tx, dispatcher.holder, rooms, LINKS)
        )
        self.next_due = dispatcher.learn(claimed, self.world.now)
        used = dispatcher.used()
        self.begin(dispatcher, claimed.works, before)
        for key, count in (dispatcher.used() - used).items():
            assert used[key] + count <= self.each, f"more than there is room for at {key}"
        assert len(dispatcher.flying) <= self.total
        await self.probes_are_known()
        return list(claimed.works)

    async def settle(self, dispatcher: Dispatcher, work: Work, result: Result, *, go_on: bool) -> Owed:
        before = await self.endpoints()
        window = await self.window(work)
        owed = await self.world.database.write(
            lambda tx: settlements.settle(tx, work, result, self.settling, 0.0, go_on=go_on)
        )
        self.call()
        dispatcher.flying.remove(work)
        if result.retry_after is not None:
            until = min(self.world.now + int(min(result.retry_after, 86400) * SECOND), window)
            held = self.journal.held_until
            held[work.target.endpoint] = max(held[work.target.endpoint], until)
        after = await self.endpoints()
        self.journal.turned(before, after)
        if owed.work is not None:
            self.begin(dispatcher, [owed.work], after)
        await self.probes_are_known()
        return owed

    async def window(self, work: Work) -> int:
        """Give the end of the time in which a delivery is tried."""
        (began,) = await self.world.row(
            "SELECT coalesce(first_at, created_at) FROM deliveries WHERE prediction_id = $1 AND number = $2",
            work.prediction_id,
            work.number,
        )
        return int(began) + DAY

    async def probes_are_known(self) -> None:
        """Check that what is closed has one probe in flight at most, and knows whether it has."""
        for key, endpoint in (await self.endpoints()).items():
            if endpoint.health.is_closed:
                probes = [work for work in self.flying if self.journal.is_probe(work, key)]
                assert len(probes) == int(endpoint.health.probing), f"{key}: {probes}"

    # What befalls them

    async def crash(self, dead: list[Dispatcher]) -> None:
        """Have dispatchers die; whoever is left, or comes first, frees what they held."""
        left = [each for each in self.dispatchers if each not in dead]
        self.dispatchers = left + [self.fresh() for _ in dead]
        for dispatcher in dead:
            self.ghosts += dispatcher.flying
        heir = self.dispatchers[0].holder
        count = await self.world.database.write(lambda tx: settlements.recover(tx, heir))
        assert count == sum(len(dispatcher.flying) for dispatcher in dead)

    async def reopen(self) -> None:
        """Forget everything but what is in the file."""
        await self.world.database.close()
        self.world.database = quick(Sqlite(self.world.path, self.world.clock))
        await self.crash(self.dispatchers)

    async def haunt(self, work: Work, result: Result) -> None:
        """A dead dispatcher's answer comes in after all."""
        before = await self.world.dump()
        owed = await self.world.database.write(
            lambda tx: settlements.settle(tx, work, result, self.settling, 0.0, go_on=True)
        )
        assert owed == NOTHING
        assert await self.world.dump() == before

    async def put(self, target: Target, *, paused: bool) -> None:
        verb = endpoints.pause if paused else endpoints.resume
        await self.world.database.write(lambda tx: verb(tx, target))
        self.call()

    async def resend(self, place: int, *, force: bool) -> None:
        rows = await self.world.rows("SELECT prediction_id, number FROM deliveries ORDER BY 1, 2")
        if not rows:
            return
        id_, number = rows[place % len(rows)]
        with contextlib.suppress(Conflict, Gone):
            await self.world.database.write(
                lambda tx: resends.resend(tx, ACCOUNT, id_, number, LINKS, force=force)
            )
            assert force or self.journal.newest.get(id_, 0) <= number
            assert id_ not in {work.prediction_id for work in self.flying}
            self.journal.asked.add((id_, number))
            self.call()

    async def resend_dead(self, per_s: float) -> None:
        dead = await self.world.rows("SELECT prediction_id, number FROM deliveries WHERE status = 'dead'")
        wish, place = Wish(ACCOUNT, None, 0, self.world.now + 1, per_s), START
        while True:
            verb = partial(resends.resend_dead, wish=wish, links=LINKS, after=place)
            batch = await self.world.database.write(verb)
            if batch.after is None:
                break
            place = batch.after
        self.journal.asked.update((id_, number) for id_, number in dead)
        self.call()

    async def expire(self) -> None:
        after = ""
        while True:
            verb = partial(expiry.expire, window_s=SHIPPED.window_s, after=after)
            after = (await self.world.database.write(verb)).after
            if not after:
                return

    async def forget_idle(self) -> None:
        await self.world.database.write(lambda tx: endpoints.forget_idle(tx, _A_LOT))

    async def drain(self) -> None:
        """From now on everybody answers: all that is owed must go out, called only when claims say so."""
        for run in self.runs:
            if not run.ended:
                await self.end(run, "cancel", None)
        for key, endpoint in (await self.endpoints()).items():
            if endpoint.health.paused_at is not None:
                await self.put(Target(endpoint.origin, key), paused=False)
        self.call()
        self.total, self.each = 512, 32
        began = self.world.now
        for _ in range(_A_LOT):
            if await self.serve(lambda _work: OK):
                continue
            if self.next_due is None:
                break
            self.world.clock.now = max(self.next_due, self.world.now + 1)
        else:
            raise AssertionError("it goes round in circles")
        assert not await self.world.rows("SELECT 1 FROM lanes"), (
            "lanes are left, and nobody will look at them"
        )
        assert self.world.now - began <= DAY + SECOND

    async def serve(self, answers: Callable[[Work], Result]) -> int:
        """Claim with the first dispatcher and answer all that is in flight; give how many there were."""
        self.journal.step += 1
        await self.claim(self.dispatchers[0])
        count = 0
        for dispatcher in self.dispatchers:
            for work in list(dispatcher.flying):
                self.journal.step += 1
                self.world.clock.now += 1
                await self.settle(dispatcher, work, answers(work), go_on=True)
                count += 1
        return count
