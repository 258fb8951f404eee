"""Settling attempts: what came of one is recorded, and what it means for the delivery, lane and endpoint."""

from msgspec import Struct

from ringback.rules import endpoint as health
from ringback.rules import lane as rules
from ringback.rules.attempt import Failed, Result, judge
from ringback.rules.endpoint import Target
from ringback.rules.lane import Pending, Settlement
from ringback.rules.retry import SECOND, Schedule
from ringback.rules.snapshot import Links
from ringback.store import endpoints, notices
from ringback.store.attempts import Lease, Work, begin, record
from ringback.store.database import Row, Tx, queries
from ringback.store.endpoints import Endpoint, Judged, Terms
from ringback.store.lanes import NOTHING, Owed, pending
from ringback.store.notices import News
from ringback.store.rooms import Rooms

Q = queries("settlements")
L = queries("lanes")
D = queries("deliveries")


class Settling(Struct, frozen=True):
    """How attempts are settled.

    Attributes:
        schedule: when failed deliveries are tried again.
        links: where a snapshot's `urls` point.
        terms: how endpoints are treated.
    """

    schedule: Schedule
    links: Links
    terms: Terms = Terms()


async def settle(
    tx: Tx,
    work: Work,
    result: Result,
    settling: Settling,
    jitter: float,
    *,
    go_on: bool,
    rooms: Rooms | None = None,
) -> Owed:
    """Record an attempt and what it means for the delivery and its endpoint.

    Args:
        tx: the transaction.
        work: the attempt, as claimed.
        result: what it came to.
        settling: by which rules.
        jitter: a random number in [-1, 1].
        go_on: give the next attempt too: of this lane if it is due, else of another one of the endpoint.
        rooms: what is in flight, this attempt included: then the next one may be of another endpoint of the
            origin, if that may have one more.

    Returns:
        The next attempt, if there is one and `go_on`; and when to claim next for the sake of this lane and
        its endpoint. NOTHING, with nothing changed, when somebody else holds the lane by now.
    """
    rows = await tx.rows(Q["held_pending"], work.prediction_id, work.holder, work.fence)
    if not rows:
        return NOTHING
    await record(tx, work.prediction_id, work.number, work.attempt, work.begun_at, result, asked=rows[0][8])
    deliveries = [Pending(*row[:6]) for row in rows]
    settlement = rules.settle(deliveries, judge(result), settling.schedule, now=tx.now, jitter=jitter)
    await _finish(tx, work.prediction_id, work.number, settlement)
    judged = None
    if rows[0][7] or result.cause != "acknowledged":
        judged = await _judge(tx, work, result, deliveries[0], settling, jitter)
    news = () if judged is None else judged.news
    if settlement.end == "dead":
        news += await _died(tx, work, result, settling.terms)
    next_ = _Next(tx, work, settling.links, judged, settlement, rooms, shelves=bool(rows[0][9]))
    return await next_.owed(result, closed=bool(rows[0][6]), go_on=go_on, news=news)


async def _judge(
    tx: Tx, work: Work, result: Result, head: Pending, settling: Settling, jitter: float
) -> Judged:
    retry_at = 0
    if result.retry_after is not None and result.cause != "acknowledged":
        # Up to the end of the window of the delivery that was told: then it is tried a last time.
        window = int(settling.schedule.window_s * SECOND)
        asked = tx.now + int(min(result.retry_after, settling.schedule.window_s) * SECOND)
        retry_at = min(asked, head.created_at + window)
    return await endpoints.judge(tx, work.target, result, work.begun_at, retry_at, settling.terms, jitter)


async def _died(tx: Tx, work: Work, result: Result, terms: Terms) -> tuple[News, ...]:
    url = endpoints.blank(work.target).url
    news = News("deliveries.dead", url, work.target.origin, result.diagnosis, 1)
    if terms.tells:
        await notices.add(tx, news)
    return (news,)


class _Next(Struct):
    """What comes after an attempt, for the lane and for whoever waits behind it."""

    tx: Tx
    work: Work
    links: Links
    judged: Judged | None
    settlement: Settlement
    rooms: Rooms | None
    shelves: bool

    async def owed(self, result: Result, *, closed: bool, go_on: bool, news: tuple[News, ...]) -> Owed:
        settlement, now = self.settlement, self.tx.now
        if go_on and settlement.due_at is not None and settlement.due_at <= now and self._is_open():
            await self.tx.run(Q["keep"], self.work.prediction_id, settlement.due_at, settlement.not_before)
            lease = Lease(self.work.prediction_id, self.work.holder, self.work.fence + 1)
            work = await begin(self.tx, lease, self.links)
            return Owed(work=work, due=self._wanted(), end=settlement.end, news=news)
        due = await self._free(result, closed=closed)
        work_ = await self._another() if go_on else None
        wanted = self._wanted()
        due = wanted if due is None else due if wanted is None else min(due, wanted)
        return Owed(work=work_, due=due, end=settlement.end, news=news)

    def _is_open(self) -> bool:
        return self.judged is None or not any(
            health.is_special(each.health, self.tx.now) for each in (self.judged.origin, self.judged.endpoint)
        )

    def _wanted(self) -> int | None:
        """Say when to claim for the endpoint's sake: now if it has just got more room, else when it opens."""
        if self.judged is None:
            return None
        times = [
            self.tx.now if each.health.ramp or each.health.recovered_at else health.opens_at(each.health)
            for each in (self.judged.origin, self.judged.endpoint)
            if each.serve_at is not None or each.key == each.origin
        ]
        return min((time for time in times if time), default=None)

    async def _free(self, result: Result, *, closed: bool) -> int | None:
        """Let go of the lane; give when it, or the shelf it stands on, is due; None if it owes nothing."""
        tx, due = self.tx, self.settlement.due_at
        if due is None and closed:
            await tx.run(L["remove"], self.work.prediction_id)
            return None
        waits = self.settlement.end is None and due is not None
        on_shelf = waits and health.of_endpoint(result) == "failed"
        blamed = on_shelf or (waits and health.of_origin(result) == "failed")
        failed_at = tx.now if blamed else None
        await tx.run(Q["free"], self.work.prediction_id, due, self.settlement.not_before, on_shelf, failed_at)
        if on_shelf and self.judged is not None and due is not None:
            opens = health.opens_at(self.judged.endpoint.health) or 0
            due = opens if self.judged.endpoint.health.is_closed else max(due, opens)
            await endpoints.shelve(tx, self.judged.endpoint, due)
        return due

    async def _another(self) -> Work | None:
        """Take another lane into the slot that is free now: of the endpoint's shelf, or of the origin."""
        tx, work = self.tx, self.work
        row = None
        if self.judged is None:
            row = await self._oldest()
        elif self._has_room(self.judged.origin) and self._has_room(self.judged.endpoint):
            row = await tx.row(Q["claim_standing"], work.holder, work.target.endpoint, tx.now)
            row = row or await self._next_of(work.target.endpoint)
            if row is None and self.judged.endpoint.health.recovered_at and self.judged.endpoint.serve_at:
                # What failed before it opened has a later time of its own: the next claim takes it.
                await endpoints.shelve(tx, self.judged.endpoint, tx.now)
        if row is None and self.shelves and (self.judged is None or self._has_room(self.judged.origin)):
            row = await self._next_shelf()
        if row is None:
            return None
        return await begin(tx, Lease(row[0], work.holder, row[1]), self.links)

    async def _next_shelf(self) -> Row | None:
        """Take what is due on the shelf of another endpoint that is open: it waits for a slot."""
        tx, own = self.tx, self.work.target
        found = await tx.row(Q["next_shelf"], own.origin, tx.now, tx.now + SECOND, own.endpoint)
        if found is None or self.rooms is None:
            return None
        if not self.rooms.passes_on(own, Target(own.origin, found[0])):
            return None
        row = await tx.row(Q["claim_standing"], self.work.holder, found[0], tx.now)
        # It goes behind the others; what else it holds, a claim finds out then.
        await tx.run(Q["look_again"], found[0], tx.now + SECOND + 1)
        return row

    async def _next_of(self, endpoint: str) -> Row | None:
        origin = self.work.target.origin
        return await self.tx.row(Q["claim_next"], self.work.holder, origin, endpoint, self.tx.now)

    async def _oldest(self) -> Row | None:
        """Take the oldest lane of the origin if its endpoint may have one more, else of the same endpoint."""
        own = self.work.target
        row = await self.tx.row(Q["oldest"], own.origin, self.tx.now)
        if row is None:
            return None
        passes = self.rooms is not None and self.rooms.passes_on(own, Target(own.origin, row[0]))
        return await self._next_of(row[0] if passes else own.endpoint)

    def _has_room(self, endpoint: Endpoint) -> bool:
        return not endpoint.health.is_closed and health.room(endpoint.health, self.tx.now, 1) > 0


async def _finish(tx: Tx, prediction_id: str, number: int, settlement: Settlement) -> None:
    if settlement.end is not None:
        await tx.run(D["settle"], prediction_id, number, settlement.end, tx.now)
    elif settlement.retry_at is not None:
        await tx.run(D["postpone"], prediction_id, number, settlement.retry_at)


_INTERRUPTED = Result(
    "interrupted", "the server stopped during this attempt: the receiver may have it already", None, "", 0
)


async def recover(tx: Tx, holder: str) -> int:
    """Free the lanes of dispatchers that are known to be dead (everybody but `holder`).

    An attempt that was in flight counts as failed and is repeated at once, with the same id and body.

    Returns:
        How many lanes were freed.
    """
    orphans = [str(row[0]) for row in await tx.rows(Q["orphaned"], holder)]
    for prediction_id in orphans:
        await _free_orphan(tx, prediction_id)
    await endpoints.forget_probes(tx)
    return len(orphans)


async def _free_orphan(tx: Tx, prediction_id: str) -> None:
    row = await tx.row(D["interrupted"], prediction_id)
    if row is None:  # pragma: no cover - a held lane's head has begun an attempt, by construction
        return
    number, attempt, attempted_at, asked = row
    await record(tx, prediction_id, number, attempt, attempted_at, _INTERRUPTED, asked=bool(asked))
    deliveries = await pending(tx, prediction_id)
    # The schedule is not asked when to try again: nothing says that the receiver is at fault.
    settlement = rules.settle(deliveries, Failed(None), Schedule(), now=tx.now, jitter=0.0)
    due = tx.now
    if settlement.end == "superseded":
        await _finish(tx, prediction_id, number, settlement)
        due = settlement.due_at or tx.now
    shelved, failed_at = False, None
    await tx.run(Q["free"], prediction_id, due, 0, shelved, failed_at)
