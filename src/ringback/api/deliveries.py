"""What became of deliveries: the list, and one with all its attempts."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import listing
from ringback.api.service import Service
from ringback.rules.retry import SECOND
from ringback.rules.snapshot import timestamp
from ringback.rules.url import redacted
from ringback.rules.waiting import waiting
from ringback.store import deliveries
from ringback.store.database import Tx
from ringback.store.deliveries import Last, Past, Place, Shown, Wanted
from ringback.words.errors import NotFound
from ringback.words.ids import delivery_id, parse_delivery_id
from ringback.words.json import canonical

_LOOKED_AT = 5000
"""Rows looked at for a page; one on which little fits the filters is short, and has a `next` all the same."""

_AT_ONCE = 250
"""Rows looked at before others have their turn: a millisecond or two."""

_SHOWN_AT_ONCE = 50
_HIGHEST = 1 << 31
_NOT_FOUND = "There is no such delivery; the list of them is at /v1/webhooks/deliveries"


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


async def index(here: Service, request: Request) -> Response:
    """GET /webhooks/deliveries: newest first, a page at a time."""
    account = await here.authenticator.account(request)
    query = request.query_params
    wanted, limit = listing.wanted(query), listing.limit(query)
    found, last = await _find(here, account, wanted, listing.place(query), limit)
    base = f"{here.links.base}/v1/webhooks/deliveries"
    following = None if last is None else listing.following(base, query, ".".join(map(str, last)))
    return _json({"next": following, "results": await _items(here, account, found)})


async def _find(
    here: Service, account: str, wanted: Wanted, place: Place | None, limit: int
) -> tuple[list[Place], Place | None]:
    """Look until a page is full; give what was found, and where to go on."""
    found: list[Place] = []
    for _ in range(_LOOKED_AT // _AT_ONCE):
        look = partial(deliveries.look, account=account, wanted=wanted, after=place, limit=_AT_ONCE)
        seen, place = await here.outbox.database.read(look)
        found += seen
        if len(found) > limit:
            return found[:limit], found[limit - 1]
        if place is None:
            break
        await asyncio.sleep(0)
    return found, place


async def _items(here: Service, account: str, places: Sequence[Place]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for start in range(0, len(places), _SHOWN_AT_ONCE):
        part = places[start : start + _SHOWN_AT_ONCE]
        items += await here.outbox.database.read(partial(_part, account=account, places=part))
        await asyncio.sleep(0)
    return items


async def _part(tx: Tx, account: str, places: Sequence[Place]) -> list[dict[str, Any]]:
    found = [await deliveries.shown(tx, account, place.prediction_id, place.number) for place in places]
    return [item(each, tx.now) for each in found if each is not None]


async def get(here: Service, request: Request) -> Response:
    """GET /webhooks/deliveries/{id}: one with its attempts and, while it is kept, its body."""
    account = await here.authenticator.account(request)
    id_, number = delivery_of(request)
    return _json(await here.outbox.database.read(lambda tx: _whole(tx, account, id_, number)))


def delivery_of(request: Request) -> tuple[str, int]:
    """Give the prediction and the number of the delivery that a request's path names.

    Raises:
        NotFound: it can't be the id of any.
    """
    try:
        id_, number = parse_delivery_id(str(request.path_params["id"]))
    except ValueError:
        raise NotFound(_NOT_FOUND) from None
    if number > _HIGHEST:
        raise NotFound(_NOT_FOUND)
    return id_, number


async def _whole(tx: Tx, account: str, id_: str, number: int) -> dict[str, Any]:
    found = await deliveries.shown(tx, account, id_, number)
    if found is None:
        raise NotFound(_NOT_FOUND)
    body, webhook = await deliveries.body(tx, id_, number)
    return {
        **item(found, tx.now),
        "history": [_past(past) for past in await deliveries.history(tx, id_, number)],
        "body": None if body is None else _discreet(body, webhook),
    }


def _discreet(body: str, webhook: str) -> str:
    """Leave users, passwords and query values of the webhook out of a body."""
    return body.replace(canonical(webhook).decode(), canonical(redacted(webhook)).decode())


def item(found: Shown, now: int) -> dict[str, Any]:
    """Give a delivery as it stands in the list; `now` in microseconds."""
    waits = None if found.queued is None else waiting(found.queued, now)
    return {
        "id": delivery_id(found.prediction_id, found.number),
        "prediction": found.prediction_id,
        "event": found.event,
        "status": found.status,
        "endpoint": found.endpoint,
        "attempts": found.attempts,
        "created_at": timestamp(found.created_at),
        "settled_at": time_or_null(found.settled_at),
        "next_attempt_at": None if waits is None else time_or_null(waits.at),
        "waits_for": None if waits is None else waits.why or None,
        "asked_at": time_or_null(found.asked_at),
        "reason": found.reason,
        "last_attempt": None if found.last is None else _attempt(found.last),
        "digest": found.digest,
        "length": found.length,
    }


def time_or_null(us: int | None) -> str | None:
    """Give a time in microseconds as text, or None."""
    return None if us is None else timestamp(us)


def _attempt(last: Last) -> dict[str, Any]:
    return {
        "number": last.attempt,
        "at": timestamp(last.started_at),
        "duration": last.duration / SECOND,
        "cause": last.cause,
        "status": last.status,
        "diagnosis": last.diagnosis or None,
        "asked": last.asked,
    }


def _past(past: Past) -> dict[str, Any]:
    return {**_attempt(past.last), "excerpt": past.excerpt, "resent": past.resent}
