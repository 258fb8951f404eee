"""What there is at this moment, asked for at each scrape of /metrics: a few looks into indexes, no walk."""

from collections import Counter
from dataclasses import dataclass

from ringback.store.database import Tx, queries

Q = queries("gauges")

COUNTED = 20_000
"""Predictions of a version counted at most."""

_ORIGINS = 1000
"""Origins with something waiting that are looked at for `oldest_ready_us`, in the order of their names."""

_FRONT = 512
"""Predictions that are held stand among the oldest of those that have not ended: so many are looked at."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """What there is at this moment.

    Attributes:
        oldest_due_us: how long the delivery that has been due longest has been so, whatever its endpoint is
            like; microseconds, 0 when none is due.
        oldest_ready_us: the same of those whose endpoint can take them.
        closed: endpoints and origins that are closed.
        paused: endpoints that are paused.
        queued: predictions that wait for a runner, by model.
    """

    oldest_due_us: int
    oldest_ready_us: int
    closed: int
    paused: int
    queued: Counter[str]


async def read(tx: Tx) -> Gauges:
    """Read them all."""
    return Gauges(
        await _overdue(tx, Q["oldest_due"]),
        await _overdue(tx, Q["oldest_ready"], _ORIGINS),
        await _count(tx, Q["closed"]),
        await _count(tx, Q["paused"]),
        await _queued(tx),
    )


async def _overdue(tx: Tx, sql: str, *parameters: object) -> int:
    (due,) = await tx.row(sql, *parameters) or (None,)
    return 0 if due is None else max(0, tx.now - int(due))


async def _count(tx: Tx, sql: str, *parameters: object) -> int:
    (count,) = await tx.row(sql, *parameters) or (0,)
    return int(count)


async def _queued(tx: Tx) -> Counter[str]:
    queued: Counter[str] = Counter()
    for model, version in await tx.rows(Q["queues"]):
        open_ = await _count(tx, Q["open"], version, COUNTED)
        queued[model] += open_ - await _count(tx, Q["held"], version, _FRONT)
    return queued
