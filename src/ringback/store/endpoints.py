"""Endpoints that are special now: their health, and the shelf where their due lanes stand meanwhile.

An endpoint, or an origin, has a row only while it is failing, closed, held, recovering or paused; where all
is well there is none, and nothing here costs anything. The lanes of a special endpoint are put on its shelf
as they come due, out of the way of everybody else's, and are looked at when the row says so.
"""

from msgspec import Struct
from msgspec.structs import replace

from ringback.rules import endpoint as rules
from ringback.rules.attempt import Result
from ringback.rules.endpoint import WELL, Evidence, Health, HealthRules, Target
from ringback.rules.retry import SECOND
from ringback.store import notices
from ringback.store.database import Row, Tx, queries
from ringback.store.notices import News

Q = queries("endpoints")

_CROWD = 4096
_PROBES_APART = SECOND // 2
"""Microseconds between the probes of one origin's closed endpoints, once there are many of them."""

_CLOSED = 16384
"""Closed endpoints and origins counted at most: that takes a few milliseconds."""

_HANGS = SECOND
"""Microseconds from which on an attempt has kept its slot so long that it matters how many others do."""

_IDLE = 3600 * SECOND
_SERVED_AT_ONCE = 16
_PUT_OFF_AT_ONCE = 256
_WOKEN = 16
"""Endpoints of an origin that an answer of one of them wakes."""


class Terms(Struct, frozen=True):
    """On which terms endpoints are treated.

    Attributes:
        rules: when to close and to probe.
        limit: attempts in flight for an origin.
        tells: the operator is told by webhook.
        slots: attempts in flight in all.
    """

    rules: HealthRules = HealthRules()
    limit: int = 32
    tells: bool = False
    slots: int = 512


class Endpoint(Struct, frozen=True):
    """A row: an endpoint of an account, or (with no account) an origin.

    Attributes:
        key: an origin, or `rules.endpoint.endpoint_key`.
        serve_at: when its shelf is to be looked at, microseconds; None when nothing stands there.
    """

    key: str
    account: str
    url: str
    origin: str
    serve_at: int | None = None
    health: Health = WELL


def _endpoint(row: Row) -> Endpoint:
    key, account, url, origin, serve_at, *columns = row
    health = replace(Health(*columns), probing=bool(columns[7]))
    return Endpoint(key, account, url, origin, serve_at, health)


def blank(target: Target) -> Endpoint:
    """Give an endpoint as it is while it has no row."""
    account, _, url = target.endpoint.partition(" ")
    return Endpoint(target.endpoint, account, url, target.origin)


async def any_special(tx: Tx) -> bool:
    """Say whether any endpoint has a row."""
    return await tx.row(Q["any"]) is not None


async def get(tx: Tx, key: str) -> Endpoint | None:
    """Give the row of an endpoint or an origin."""
    row = await tx.row(Q["get"], key)
    return None if row is None else _endpoint(row)


async def of_origin(tx: Tx, origin: str) -> Endpoint:
    """Give an origin, whether it has a row or not."""
    return await get(tx, origin) or Endpoint(origin, "", origin, origin)


async def save(tx: Tx, endpoint: Endpoint) -> None:
    """Write it, or remove its row if all is well again and nothing stands on its shelf."""
    health = endpoint.health
    if endpoint.serve_at is None and health == WELL:
        await tx.run(Q["remove"], endpoint.key)
        return
    columns = (getattr(health, name) for name in Health.__struct_fields__)
    await tx.run(
        Q["save"],
        endpoint.key,
        endpoint.account,
        endpoint.url,
        endpoint.origin,
        endpoint.serve_at,
        *columns,
        tx.now,
    )


async def due(tx: Tx) -> list[Endpoint]:
    """Give those whose shelves are to be looked at now, a few at a time."""
    return [_endpoint(row) for row in await tx.rows(Q["due"], tx.now, _SERVED_AT_ONCE)]


async def next_due(tx: Tx) -> int | None:
    """Say when a shelf is to be looked at next."""
    row = await tx.row(Q["next"])
    return None if row is None else int(row[0])


class Judged(Struct, frozen=True):
    """What an attempt changed.

    Attributes:
        origin: the origin as it is now.
        endpoint: the endpoint as it is now.
        news: what an operator should hear of.
    """

    origin: Endpoint
    endpoint: Endpoint
    news: tuple[News, ...] = ()


async def judge(
    tx: Tx, target: Target, result: Result, begun_at: int, retry_at: int, terms: Terms, jitter: float
) -> Judged:
    """Take note of what an attempt told of its endpoint and of the origin.

    Args:
        tx: the transaction.
        target: where it went.
        result: what it came to.
        begun_at: when it was claimed, microseconds.
        retry_at: until when the receiver wants to be left alone, microseconds, or 0.
        terms: when to close and to probe.
        jitter: a random number in [-1, 1].
    """
    origin, endpoint = await of_origin(tx, target.origin), await get(tx, target.endpoint) or blank(target)
    outcome = rules.of_endpoint(result)
    least = await _least_gap(tx, endpoint, outcome)
    fair = await _fair_gap(tx, result, terms.slots, jitter)
    evidence = Evidence(outcome, begun_at, tx.now, result.diagnosis, retry_at, least, fair)
    endpoint_after = rules.after(endpoint.health, evidence, terms.rules, limit=terms.limit)
    origin_after = rules.origin_after(
        origin.health,
        result,
        evidence,
        terms.rules,
        limit=terms.limit,
        first=not endpoint.health.failures,
    )
    news = [
        *await _turned(tx, origin, origin_after, terms),
        *await _turned(tx, endpoint, endpoint_after, terms),
    ]
    judged = Judged(
        await _changed(tx, origin, origin_after, terms.limit),
        await _changed(tx, endpoint, endpoint_after, terms.limit),
        tuple(news),
    )
    opened = any(
        before.health.is_closed and not after.health.is_closed
        for before, after in ((origin, judged.origin), (endpoint, judged.endpoint))
    )
    if outcome == "answered" and (opened or origin_after.recovered_at):
        await _come_back(tx, judged.origin, opened=opened)
    return judged


async def _come_back(tx: Tx, origin: Endpoint, *, opened: bool) -> None:
    """Let others of an origin go once one of its endpoints answers again: each answer wakes some more."""
    if origin.health.recovered_at:
        await tx.run(Q["let_go"], origin.key, tx.now, origin.health.recovered_at, _WOKEN)
    if opened:
        await tx.run(Q["probe_more"], origin.key, tx.now, _WOKEN)


async def _least_gap(tx: Tx, endpoint: Endpoint, outcome: str) -> int:
    if outcome != "failed" or not endpoint.health.is_closed:
        return 0
    row = await tx.row(Q["closed_of_origin"], endpoint.origin, _CROWD)
    return 0 if row is None else int(row[0]) * _PROBES_APART


async def _fair_gap(tx: Tx, result: Result, slots: int, jitter: float) -> int:
    if result.duration_us < _HANGS:
        return 0
    row = await tx.row(Q["all_closed"], _CLOSED)
    return 0 if row is None else rules.fair_gap(result.duration_us, int(row[0]), slots, jitter)


async def _changed(tx: Tx, endpoint: Endpoint, health: Health, limit: int) -> Endpoint:
    if (
        health.recovered_at
        and replace(health, recovered_at=0) == WELL
        and not await waits(tx, endpoint, health)
    ):
        health = WELL
    if health == endpoint.health:
        return endpoint
    changed = replace(endpoint, health=health, serve_at=_serve_at(endpoint, health, tx.now, limit))
    await save(tx, changed)
    return changed


async def waits(tx: Tx, endpoint: Endpoint, health: Health) -> bool:
    """Say whether lanes that failed before a recovery still wait for it; of an origin, on its shelves too."""
    if endpoint.account:
        return endpoint.serve_at is not None
    recovered = health.recovered_at
    return bool(
        await tx.row(Q["waits"], endpoint.key, recovered)
        or await tx.row(Q["shelf_waits"], endpoint.key, recovered, tx.now)
    )


def _serve_at(endpoint: Endpoint, health: Health, now: int, limit: int) -> int | None:
    """Say when to look at the shelf now: not before it opens, and at once if it has got more room."""
    if endpoint.serve_at is None:
        return None
    opens = rules.opens_at(health)
    if opens is not None and opens > now:
        return opens
    has_more = rules.room(health, now, limit) > rules.room(endpoint.health, now, limit)
    return now if has_more else endpoint.serve_at


async def _turned(tx: Tx, endpoint: Endpoint, health: Health, terms: Terms) -> list[News]:
    """Tell that it was closed, or that it has opened again."""
    before = endpoint.health
    if before.is_closed == health.is_closed:
        return []
    if health.is_closed:
        failing = health.scattered if health.scattered >= terms.rules.close_after else health.failures
        news = News("endpoint.closed", endpoint.url, endpoint.origin, health.diagnosis, failing)
    else:
        since = before.failing_since or before.closed_at or tx.now
        news = News("endpoint.opened", endpoint.url, endpoint.origin, before.diagnosis, tx.now - since)
    if terms.tells:
        await notices.add(tx, news)
    return [news]


async def put_off(tx: Tx, origin: str, until: int) -> None:
    """Look at the shelves of an origin's endpoints no sooner than `until`: the origin itself is closed."""
    await tx.run(Q["put_off"], origin, tx.now, until, _PUT_OFF_AT_ONCE)


async def shelve(tx: Tx, endpoint: Endpoint, at: int) -> None:
    """Take note that lanes were put on its shelf, which is to be looked at at `at` (microseconds)."""
    serve_at = at if endpoint.serve_at is None else min(at, endpoint.serve_at)
    await save(tx, replace(endpoint, serve_at=serve_at))


async def pause(tx: Tx, target: Target) -> Endpoint:
    """Stop attempts at an endpoint until `resume`; what is in flight ends by itself. Nothing expires."""
    endpoint = await get(tx, target.endpoint) or blank(target)
    if endpoint.health.paused_at is None:
        endpoint = replace(endpoint, health=replace(endpoint.health, paused_at=tx.now))
        await save(tx, endpoint)
    return endpoint


async def resume(tx: Tx, target: Target) -> Endpoint:
    """End a pause; an endpoint that is closed is probed at once. A Retry-After still holds."""
    endpoint = await get(tx, target.endpoint)
    if endpoint is None:
        return blank(target)
    health = rules.resumed(endpoint.health, tx.now)
    if endpoint.serve_at is None:  # nothing stands there that could have failed before
        resumed = replace(endpoint, health=replace(health, recovered_at=0))
    else:
        resumed = replace(endpoint, health=health, serve_at=max(tx.now, health.held_until))
    await save(tx, resumed)
    return resumed


async def try_now(tx: Tx, target: Target) -> None:
    """Have a closed endpoint, and its closed origin, probed at once: somebody has asked for it."""
    for key in (target.origin, target.endpoint):
        endpoint = await get(tx, key)
        if endpoint is not None and endpoint.health.is_closed:
            health = rules.at_once(endpoint.health, tx.now)
            serve_at = None if endpoint.serve_at is None else max(tx.now, health.held_until)
            await save(tx, replace(endpoint, health=health, serve_at=serve_at))


async def forget_probes(tx: Tx) -> None:
    """Take note of probes that are in flight no longer: whoever made them is dead, and holds no lane now."""
    await tx.run(Q["forget_probes"], tx.now)


async def forget_idle(tx: Tx, limit: int) -> int:
    """Drop rows that nothing has happened to for an hour and that nothing waits for; give how many."""
    return await tx.run(Q["forget_idle"], tx.now - _IDLE, limit, tx.now)


async def closed(tx: Tx, after: str, limit: int) -> list[Endpoint]:
    """Give closed endpoints and origins, by key, those after `after`."""
    return [_endpoint(row) for row in await tx.rows(Q["closed"], after, limit)]
