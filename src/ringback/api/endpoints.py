"""Where webhooks go: how each of these places is doing, and whether it is to be left alone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import listing, wire
from ringback.api.body import read_object
from ringback.api.deliveries import time_or_null
from ringback.api.service import Service
from ringback.api.wire import cursor_fault
from ringback.rules.endpoint import Target, endpoint_key, opens_at, state
from ringback.rules.url import origin_of, url_fault
from ringback.rules.waiting import decisive, gravity
from ringback.store import endpoints, standing
from ringback.store.database import Tx
from ringback.store.standing import Count, Standing
from ringback.words.errors import Conflict

log = logging.getLogger(__name__)

MOST_PAUSED = 1000
"""Paused endpoints of an account."""


async def index(here: Service, request: Request) -> Response:
    """GET /webhooks/endpoints: those in trouble, and on the first page also those in use."""
    account = await here.authenticator.account(request)
    query = request.query_params
    after = listing.uncovered(query["cursor"]) if "cursor" in query else None
    if after is not None and url_fault(after):
        raise cursor_fault()
    found, last = await _page(here, account, after)
    base = f"{here.links.base}/v1/webhooks/endpoints"
    following = None if last is None else listing.following(base, {}, last)
    text = msgspec.json.encode({"next": following, "results": found})
    return Response(text, media_type="application/json")


Verb = Callable[[Tx, Target], Awaitable[object]]


async def pause(here: Service, request: Request) -> Response:
    """POST /webhooks/endpoints/pause: no attempts until it is resumed; what is owed is kept meanwhile."""
    return await _change(here, request, "paused", _pause)


async def _pause(tx: Tx, target: Target) -> None:
    """Pause it, whether it was ever used or not: some want to be left alone from the first event on.

    Raises:
        Conflict: the account has paused as many as it may. Each is kept until somebody resumes it.
    """
    account, _, _ = target.endpoint.partition(" ")
    found = await endpoints.get(tx, target.endpoint)
    is_paused = found is not None and found.health.paused_at is not None
    if not is_paused and await standing.paused(tx, account, MOST_PAUSED) == MOST_PAUSED:
        raise Conflict(
            f"{MOST_PAUSED} endpoints are paused already; resume one that you need paused no longer"
            " (GET /v1/webhooks/endpoints lists them)"
        )
    await endpoints.pause(tx, target)


async def resume(here: Service, request: Request) -> Response:
    """POST /webhooks/endpoints/resume: what waits goes out; one that is closed is probed at once."""
    return await _change(here, request, "resumed", endpoints.resume)


async def _change(here: Service, request: Request, what: str, verb: Verb) -> Response:
    account = await here.authenticator.account(request)
    url = wire.endpoint(await read_object(request, here.body_limit))
    target = Target(origin_of(url), endpoint_key(account, url))
    await here.outbox.database.write(lambda tx: verb(tx, target))
    here.outbox.dispatch.wake()
    log.info("an endpoint of %s was %s: somebody asked for it", target.origin, what)
    found = await here.outbox.database.read(lambda tx: _one(tx, account, url))
    return Response(msgspec.json.encode(found), media_type="application/json")


async def _one(tx: Tx, account: str, url: str) -> dict[str, Any]:
    return item(await standing.one(tx, account, url), tx.now)


async def _page(here: Service, account: str, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
    read = here.outbox.database.read
    dead = await read(lambda tx: standing.dead(tx, account))
    await asyncio.sleep(0)  # each of these looks at a thousand rows: others have their turn in between
    in_use = await read(lambda tx: standing.in_use(tx, account)) if after is None else []
    await asyncio.sleep(0)

    async def shown(tx: Tx) -> tuple[list[dict[str, Any]], str | None]:
        page = await standing.page(tx, account, after, dead, [*in_use, *dead.counts])
        gravest_first = sorted(page.items, key=lambda each: _gravity(each, tx.now))
        return [item(each, tx.now) for each in gravest_first], page.last

    return await read(shown)


def _gravity(found: Standing, now: int) -> int:
    return gravity(decisive(found.endpoint, found.origin_health, now)[0], now)


def item(found: Standing, now: int) -> dict[str, Any]:
    """Give an endpoint as it stands in the list; `now` in microseconds.

    What is told is of the endpoint itself or of its origin, whichever is worse; `because_of` says which.
    """
    health, is_origin = decisive(found.endpoint, found.origin_health, now)
    name = state(health, now)
    until = opens_at(health) if name in ("closed", "held") else None
    return {
        "url": found.url,
        "origin": found.origin,
        "state": name,
        "because_of": None if name == "open" else "origin" if is_origin else "endpoint",
        "failures": max(health.failures, health.scattered),
        "failing_since": time_or_null(health.failing_since),
        "failed_at": time_or_null(health.failed_at),
        "diagnosis": health.diagnosis or None,
        "closed_at": time_or_null(health.closed_at),
        "next_attempt_at": time_or_null(until),
        "paused_at": time_or_null(health.paused_at),
        "waiting": _count(found.waiting),
        "dead": _count(found.dead),
    }


def _count(found: Count) -> dict[str, Any]:
    return {"count": found.count, "more": found.more}
