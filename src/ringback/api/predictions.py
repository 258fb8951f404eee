"""Create, get, list and cancel predictions."""

import asyncio
import base64
import binascii
import functools

from starlette.requests import Request
from starlette.responses import Response

from ringback.api import wire
from ringback.api.body import read_object
from ringback.api.catalog import Known
from ringback.api.service import Service
from ringback.rules.snapshot import Chunk, Facts, render
from ringback.store import predictions
from ringback.store.predictions import New
from ringback.words.errors import NotFound
from ringback.words.ids import PREDICTION_ID
from ringback.words.json import canonical

_PAGE = 100
"""Predictions on a page (replicate.com/docs/reference/http#predictions.list)."""

_PAGE_BYTES = 8_000_000
"""Bytes of the predictions on a page, unless it is a single larger one."""

_NOT_FOUND = "The requested resource could not be found."


def _json(text: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, media_type="application/json")


async def create(here: Service, request: Request) -> Response:
    """POST /predictions."""
    account = await here.authenticator.account(request)
    body = await read_object(request, here.body_limit)
    wanted = wire.create(body, here.hooks, with_version=True)
    version = await here.catalog.resolve(wanted.version or "")
    return await _create(here, account, version, wanted)


async def create_for_model(here: Service, request: Request) -> Response:
    """POST /models/{owner}/{name}/predictions."""
    account = await here.authenticator.account(request)
    version = await here.catalog.latest("{owner}/{name}".format(**request.path_params))
    body = await read_object(request, here.body_limit)
    return await _create(here, account, version, wire.create(body, here.hooks, with_version=False))


async def _create(here: Service, account: str, version: Known, wanted: wire.Create) -> Response:
    version.schema.check(wanted.input)
    new = New(
        here.ids.make(here.clock()),
        account,
        version.id,
        version.model,
        canonical(wanted.input).decode(),
        wanted.webhook,
    )
    facts = await here.outbox.database.write(functools.partial(predictions.create, new=new))
    here.figures.created(version.model)
    here.runners.wake(version.id)
    location = {"location": f"{here.links.base}/v1/predictions/{new.id}"}
    return _json(render(facts, [], here.links), 201, location)


async def get(here: Service, request: Request) -> Response:
    """GET /predictions/{id}."""
    account = await here.authenticator.account(request)
    return await _shown(here, account, _id(request))


def _id(request: Request) -> str:
    id_ = str(request.path_params["id"])
    if not PREDICTION_ID.fullmatch(id_):
        raise NotFound(_NOT_FOUND)
    return id_


async def _shown(here: Service, account: str, id_: str) -> Response:
    found = await here.outbox.database.read(lambda tx: predictions.get(tx, account, id_))
    if found is None:
        raise NotFound(_NOT_FOUND)
    return _json(render(*found, here.links))


async def cancel(here: Service, request: Request) -> Response:
    """POST /predictions/{id}/cancel: canceled at once; one that has ended stays as it is."""
    account = await here.authenticator.account(request)
    id_ = _id(request)
    found = await here.outbox.database.read(lambda tx: predictions.get(tx, account, id_))
    if found is None:
        raise NotFound(_NOT_FOUND)
    change = await here.outbox.change(
        await here.outbox.database.read(lambda tx: predictions.target(tx, id_)),
        lambda tx, telling: predictions.cancel(tx, account, id_, telling),
    )
    if change.held:
        here.runners.cancel(id_)
    return await _shown(here, account, id_)


async def index(here: Service, request: Request) -> Response:
    """GET /predictions: newest first, a page at a time."""
    account = await here.authenticator.account(request)
    cursor = request.query_params.get("cursor")
    side, id_ = ("", "") if cursor is None else _parse(cursor)
    page = await here.outbox.database.read(
        lambda tx: predictions.page(
            tx,
            account,
            _PAGE,
            before=id_ if side == "before" else None,
            after=id_ if side == "after" else None,
        )
    )
    way = -1 if side == "after" else 1  # a page is cut at the end away from the cursor
    shown = await _fitting(here, page.items[::way])
    is_cut = len(shown) < len(page.items)
    found = shown[::way]
    older = (
        _cursor(here, "before", found[-1][0]) if found and (page.older or (is_cut and way > 0)) else b"null"
    )
    newer = _cursor(here, "after", found[0][0]) if found and (page.newer or (is_cut and way < 0)) else b"null"
    results = b",".join(text for _, text in found)
    return _json(b'{"next":%s,"previous":%s,"results":[%s]}' % (older, newer, results))


async def _fitting(here: Service, items: list[tuple[Facts, list[Chunk]]]) -> list[tuple[str, bytes]]:
    """Render as many items as fit on a page, at least one: their ids and texts."""
    fitting: list[tuple[str, bytes]] = []
    size = 0
    for facts, chunks in items:
        text = render(facts, chunks, here.links)
        size += len(text)
        if fitting and size > _PAGE_BYTES:
            break
        fitting.append((facts.id, text))
        await asyncio.sleep(0)  # others go on between two large ones
    return fitting


def _cursor(here: Service, side: str, id_: str) -> bytes:
    # Absolute: the JavaScript client resolves a relative one against the wrong base.
    token = base64.urlsafe_b64encode(f"{side}={id_}".encode()).rstrip(b"=")
    return b'"%s/v1/predictions?cursor=%s"' % (here.links.base.encode(), token)


def _parse(cursor: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(cursor.encode() + b"==", altchars=b"-_").decode()
    except (binascii.Error, UnicodeError):
        raise wire.cursor_fault() from None
    side, _, id_ = text.partition("=")
    if side not in ("before", "after") or not PREDICTION_ID.fullmatch(id_):
        raise wire.cursor_fault()
    return side, id_
