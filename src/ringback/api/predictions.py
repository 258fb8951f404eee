"""Create, get, list and cancel predictions."""

from typing import Any

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import creating, wire
from ringback.api.creating import Order
from ringback.api.fitting import fitting
from ringback.api.listing import following, uncovered
from ringback.api.moment import moment
from ringback.api.service import Service
from ringback.rules.prediction import Kind
from ringback.rules.schema import invalid_input
from ringback.rules.snapshot import render
from ringback.store import predictions, runs
from ringback.store.predictions import Wanted
from ringback.words import json
from ringback.words.errors import InvalidField, NotFound
from ringback.words.ids import PREDICTION_ID

_PAGE = 100
"""Predictions on a page (replicate.com/docs/reference/http#predictions.list)."""

_NOT_FOUND = "The requested resource could not be found."


def _json(text: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, media_type="application/json")


async def create(here: Service, request: Request) -> Response:
    """POST /predictions."""
    account = await here.authenticator.account(request)

    async def understood(body: dict[str, Any]) -> Order:
        wanted = wire.create(body, here.hooks, with_version=True)
        return Order(await here.catalog.resolve(account, wanted.version or ""), wanted)

    return await creating.create(here, request, account, understood)


async def create_for_model(here: Service, request: Request) -> Response:
    """POST /models/{owner}/{name}/predictions."""
    account = await here.authenticator.account(request)

    async def understood(body: dict[str, Any]) -> Order:
        version = await here.catalog.latest(account, "{owner}/{name}".format(**request.path_params))
        return Order(version, wire.create(body, here.hooks, with_version=False))

    return await creating.create(here, request, account, understood)


async def get(here: Service, request: Request) -> Response:
    """GET /predictions/{id}; a training's id is one too, as it is on Replicate."""
    account = await here.authenticator.account(request)
    return await shown(here, account, id_of(request))


def id_of(request: Request) -> str:
    """Give the id in the path.

    Raises:
        NotFound: no prediction has such an id.
    """
    id_ = str(request.path_params["id"])
    if not PREDICTION_ID.fullmatch(id_):
        raise NotFound(_NOT_FOUND)
    return id_


async def shown(here: Service, account: str, id_: str, kind: Kind | None = None) -> Response:
    """Answer with a prediction as it is now.

    Raises:
        NotFound: the account has none such, or it is not of this `kind`.
    """
    found = await here.outbox.database.read(lambda tx: predictions.get(tx, account, id_))
    if found is None or (kind is not None and found[0].kind != kind):
        raise NotFound(_NOT_FOUND)
    return _json(render(*found, here.links))


async def cancel(here: Service, request: Request) -> Response:
    """POST /predictions/{id}/cancel: canceled at once; one that has ended stays as it is."""
    account = await here.authenticator.account(request)
    return await canceled(here, account, id_of(request))


async def canceled(here: Service, account: str, id_: str, kind: Kind | None = None) -> Response:
    """Cancel a prediction, tell whoever runs it, and answer with it as it is then.

    Raises:
        NotFound: as `shown`.
    """
    found = await here.outbox.database.read(lambda tx: predictions.get(tx, account, id_))
    if found is None or (kind is not None and found[0].kind != kind):
        raise NotFound(_NOT_FOUND)
    change = await here.outbox.change(
        await here.outbox.database.read(lambda tx: runs.target(tx, id_)),
        lambda tx, telling: runs.cancel(tx, account, id_, telling),
    )
    if change.held:
        here.runners.cancel(id_)
    return await shown(here, account, id_)


async def index(here: Service, request: Request) -> Response:
    """GET /predictions: newest first, a page at a time."""
    account = await here.authenticator.account(request)
    return await listed(here, request, account, _wanted(request))


def _wanted(request: Request) -> Wanted:
    """Read the filters (replicate.com/docs/reference/http#predictions.list)."""
    query = request.query_params
    faults: list[InvalidField] = []
    times = Wanted()
    for key in ("created_after", "created_before"):
        if key in query:
            try:
                times = replace(times, **{key.removeprefix("created_"): max(0, moment(query[key]))})
            except (ValueError, OverflowError) as error:
                faults.append(InvalidField("format", key, str(error)))
    source = query.get("source", "")
    if source not in ("", "web"):
        faults.append(InvalidField("enum", "source", 'Must be "web", or absent for all'))
    if faults:
        raise invalid_input(tuple(faults))
    return replace(times, is_web=source == "web")


async def listed(here: Service, request: Request, account: str, wanted: Wanted) -> Response:
    """Answer with the page of a list that the request's cursor names.

    Raises:
        Invalid: the cursor is none of ours.
    """
    cursor = request.query_params.get("cursor")
    side, id_ = ("", "") if cursor is None else _parse(cursor)
    page = await here.outbox.database.read(
        lambda tx: predictions.page(
            tx,
            account,
            _PAGE,
            wanted,
            before=id_ if side == "before" else None,
            after=id_ if side == "after" else None,
        )
    )
    way = -1 if side == "after" else 1  # a page is cut at the end away from the cursor
    part = await fitting(
        here.outbox.database,
        page.ids[::way],
        lambda tx, id_: predictions.get(tx, account, id_),
        lambda facts, chunks: render(facts, chunks, here.links),
    )
    found = part.items[::way]
    has_older = page.older or (part.is_cut and way > 0)
    has_newer = page.newer or (part.is_cut and way < 0)
    older = _cursor(here, request, wanted, f"before={found[-1][0]}") if found and has_older else "null"
    newer = _cursor(here, request, wanted, f"after={found[0][0]}") if found and has_newer else "null"
    results = b",".join(text for _, text in found)
    return _json(b'{"next":%s,"previous":%s,"results":[%s]}' % (older.encode(), newer.encode(), results))


def _cursor(here: Service, request: Request, wanted: Wanted, place: str) -> str:
    # Absolute: the JavaScript client resolves a relative one against the wrong base.
    url = following(f"{here.links.base}/v1/{wanted.kind}s", request.query_params, place)
    return json.canonical(url).decode()


def _parse(cursor: str) -> tuple[str, str]:
    side, _, id_ = uncovered(cursor).partition("=")
    if side not in ("before", "after") or not PREDICTION_ID.fullmatch(id_):
        raise wire.cursor_fault()
    return side, id_
