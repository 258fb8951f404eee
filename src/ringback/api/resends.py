"""Sending again what somebody asks for: one delivery, or all dead ones of an endpoint or a time."""

import asyncio
import logging
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import wire
from ringback.api.body import read_object
from ringback.api.deliveries import delivery_of, item
from ringback.api.service import Service
from ringback.rules.retry import SECOND
from ringback.store import deliveries, resends
from ringback.store.database import Tx
from ringback.store.resends import START, Batch, Wish
from ringback.words.errors import NotFound
from ringback.words.ids import delivery_id

log = logging.getLogger(__name__)


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


async def one(here: Service, request: Request) -> Response:
    """POST /webhooks/deliveries/{id}/resend: owed once more, at once; answers with it."""
    account = await here.authenticator.account(request)
    id_, number = delivery_of(request)
    force = wire.resend(await read_object(request, here.body_limit)) if _has_body(request) else False
    database, links = here.outbox.database, here.links
    await database.write(lambda tx: resends.resend(tx, account, id_, number, links, force=force))
    here.outbox.dispatch.wake()
    log.info("delivery %s is sent again: somebody asked for it", delivery_id(id_, number))

    async def now(tx: Tx) -> dict[str, object]:
        found = await deliveries.shown(tx, account, id_, number)
        if found is None:  # pragma: no cover - it has just been written
            raise NotFound("There is no such delivery")
        return item(found, tx.now)

    return _json(await database.read(now))


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


async def dead(here: Service, request: Request) -> Response:
    """POST /webhooks/resend: all dead deliveries, of an endpoint or of a time; tells how many go out."""
    account = await here.authenticator.account(request)
    asked = wire.resend_dead(await read_object(request, here.body_limit))
    wish = Wish(account, asked.endpoint, asked.since, asked.until, here.resend_per_s)
    # One who goes away meanwhile does not stop it halfway.
    batches = await asyncio.shield(asyncio.ensure_future(_all(here, wish)))
    sums = {
        name: sum(getattr(batch, name) for batch in batches) for name in ("resent", "newer", "gone", "busy")
    }
    last_due = max((batch.last_due for batch in batches if batch.last_due is not None), default=None)
    log.info("dead deliveries are sent again: somebody asked for it: %s", sums)
    seconds = None if last_due is None else max(0, last_due - here.clock()) / SECOND
    return _json({**sums, "takes": seconds})


async def _all(here: Service, wish: Wish) -> list[Batch]:
    batches, place = [], START
    while True:
        verb = partial(resends.resend_dead, wish=wish, links=here.links, after=place)
        batch = await here.outbox.database.write(verb)
        batches.append(batch)
        here.outbox.dispatch.wake()
        if batch.after is None:
            return batches
        place = batch.after
