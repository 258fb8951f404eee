"""Versions of a model: list, show, delete."""

import functools

from starlette.requests import Request
from starlette.responses import Response

from ringback.api import paging, shown
from ringback.api.models import PAGE, name_of, to_change
from ringback.api.paging import Part
from ringback.api.service import Service
from ringback.store import models, versions
from ringback.store.database import Tx
from ringback.store.versions import Place, Version
from ringback.words.errors import Conflict, NotFound

_NOT_FOUND = "The requested resource could not be found."


async def index(here: Service, request: Request) -> Response:
    """GET /models/{owner}/{name}/versions: the latest first."""
    account, name = await here.authenticator.account(request), name_of(request)
    at = paging.cursor(request.query_params)
    place = None if at is None else Place(at.key, at.name)
    is_next = at is not None and at.side == "next"

    async def read(tx: Tx) -> tuple[versions.Page, list[Version | None]] | None:
        if await models.get(tx, account, name) is None:
            return None
        before, after = (place, None) if is_next else (None, place)
        page = await versions.page(tx, name, PAGE, before=before, after=after)
        return page, [await versions.shown(tx, name, each.id) for each in page.items]

    found = await here.outbox.database.read(read)
    if found is None:
        raise NotFound(_NOT_FOUND)
    page, items = found
    places = [(each.at, each.id) for each in page.items]
    results = [shown.version(each) for each in items if each is not None]
    return paging.page(
        here, request, f"/models/{name}/versions", Part(results, places, page.newer, page.older)
    )


async def get(here: Service, request: Request) -> Response:
    """GET /models/{owner}/{name}/versions/{id}."""
    account = await here.authenticator.account(request)
    name, id_ = name_of(request), str(request.path_params["id"]).lower()

    async def read(tx: Tx) -> Version | None:
        is_seen = await models.get(tx, account, name) is not None
        return await versions.shown(tx, name, id_) if is_seen else None

    found = await here.outbox.database.read(read)
    if found is None:
        raise NotFound(_NOT_FOUND)
    return Response(shown.version(found), media_type="application/json")


async def delete(here: Service, request: Request) -> Response:
    """DELETE /models/{owner}/{name}/versions/{id}: 202 and nothing else, as Replicate answers."""
    account = await here.authenticator.account(request)
    name, id_ = name_of(request), str(request.path_params["id"]).lower()
    await here.outbox.database.write(functools.partial(_delete, account=account, name=name, id_=id_))
    here.catalog.forget()
    here.runners.changed()
    return Response(status_code=202)


async def _delete(tx: Tx, account: str, name: str, id_: str) -> None:
    found = await models.get(tx, account, name)
    if found is None or await versions.shown(tx, name, id_) is None:
        raise NotFound(_NOT_FOUND)
    await to_change(tx, account, name)
    if found.made_by != "api" and await versions.configured(tx, name) == id_:
        raise Conflict(
            f"The server was told to serve this version as {name}: it would be back at the next start."
        )
    used = await versions.used_by(tx, id_)
    if used is not None:
        raise Conflict(f"The version is needed by {used} still.")
    await versions.remove(tx, id_)
