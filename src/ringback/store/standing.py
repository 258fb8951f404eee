"""How an account's endpoints stand: those in trouble, and those in use; to read, never to change.

Every count ends at a bound, so that a hundred thousand waiting deliveries cost what a thousand do.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from ringback.rules.endpoint import Health, Target, endpoint_key
from ringback.rules.url import origin_of
from ringback.store import endpoints
from ringback.store.database import Tx, queries

L = queries("listing")

COUNTED = 1000
_LISTED = 100
"""Endpoints on a page; and at most as many that are only in use."""


class Count(Struct, frozen=True):
    """How many there are: `count`, or more than that."""

    count: int
    more: bool


class Standing(Struct, frozen=True):
    """An endpoint of an account.

    Attributes:
        url: the webhook's URL without user and query.
        endpoint: how it is itself.
        origin_health: how its origin is.
        waiting: predictions of which something waits for it, those with an attempt under way left out.
        dead: its deliveries among the newest 1,000 dead ones.
    """

    url: str
    origin: str
    endpoint: Health
    origin_health: Health
    waiting: Count
    dead: Count


class Page(NamedTuple):
    """A page of endpoints; `last` is the URL to go on after, or None."""

    items: list[Standing]
    last: str | None


class Dead(NamedTuple):
    """The newest dead deliveries, up to 1,000.

    Attributes:
        counts: of an account, how many for each endpoint, a (URL, origin).
        more: there are more than were counted.
    """

    counts: dict[tuple[str, str], int]
    more: bool

    def of(self, url: str, origin: str) -> Count:
        """Count those of an endpoint."""
        return Count(self.counts.get((url, origin), 0), self.more)


async def dead(tx: Tx, account: str) -> Dead:
    """Count an account's dead deliveries by their endpoints."""
    rows = await tx.rows(L["dead"], account, COUNTED)
    row = await tx.row(L["dead_in_all"], COUNTED + 1)
    more = row is not None and int(row[0]) > COUNTED
    return Dead({(url, origin): count for url, origin, count in rows}, more)


async def in_use(tx: Tx, account: str) -> list[tuple[str, str]]:
    """Give the endpoints, each a (URL, origin), that an account uses, 200 at most.

    They are those of its oldest 1,000 pending deliveries and of its latest 1,000 predictions.
    """
    used = await tx.rows(L["used"], account, COUNTED, _LISTED)
    owed = await tx.rows(L["owed"], account, COUNTED, _LISTED)
    return [(url, origin) for url, origin, *_ in [*owed, *used]]


async def page(
    tx: Tx, account: str, after: str | None, dead: Dead, others: Sequence[tuple[str, str]]
) -> Page:
    """Give the endpoints that are in trouble, a page at a time by their URL; on the first page others too.

    Args:
        tx: the transaction.
        account: whose they are.
        after: the URL that the last page ended with, or None for the first one.
        dead: its dead deliveries.
        others: endpoints to give besides, each a (URL, origin).
    """
    special = [str(row[0]) for row in await tx.rows(L["special"], account, after or "", _LISTED + 1)]
    more, special = len(special) > _LISTED, special[:_LISTED]
    origins = {url: origin_of(url) for url in special} | (dict(others) if after is None else {})
    targets = {
        url: Target(origin, endpoint_key(account, url))
        for url, origin in list(origins.items())[: 2 * _LISTED]
    }
    waiting = await _waiting(tx, targets.values())
    items = [
        await _standing(tx, url, target, waiting[target.endpoint], dead.of(url, target.origin))
        for url, target in targets.items()
    ]
    return Page(items, special[-1] if more else None)


async def one(tx: Tx, account: str, url: str) -> Standing:
    """Give an endpoint of an account, whether it has ever been used or not."""
    target = Target(origin_of(url), endpoint_key(account, url))
    waiting = (await _waiting(tx, [target]))[target.endpoint]
    return await _standing(tx, url, target, waiting, (await dead(tx, account)).of(url, target.origin))


async def paused(tx: Tx, account: str, limit: int) -> int:
    """Count an account's paused endpoints, up to `limit`."""
    row = await tx.row(L["paused"], account, limit)
    return 0 if row is None else int(row[0])


async def _standing(tx: Tx, url: str, target: Target, waiting: Count, dead: Count) -> Standing:
    endpoint = await endpoints.get(tx, target.endpoint) or endpoints.blank(target)
    origin = await endpoints.of_origin(tx, target.origin)
    return Standing(url, target.origin, endpoint.health, origin.health, waiting, dead)


async def _waiting(tx: Tx, targets: Iterable[Target]) -> dict[str, Count]:
    """Count the lanes that wait for each endpoint: due on its shelf, and not yet due at its origin."""
    by_origin: dict[str, tuple[dict[str, int], bool]] = {}
    found = {}
    for target in targets:
        if target.origin not in by_origin:
            counts: dict[str, int] = dict(await tx.rows(L["unshelved"], target.origin, COUNTED))
            by_origin[target.origin] = counts, sum(counts.values()) >= COUNTED
        unshelved, cut = by_origin[target.origin]
        row = await tx.row(L["shelved"], target.endpoint, COUNTED + 1)
        shelved = 0 if row is None else int(row[0])
        count = shelved + unshelved.get(target.endpoint, 0)
        found[target.endpoint] = Count(min(count, COUNTED), cut or count > COUNTED)
    return found
