"""Deployments: a version of a model with replicas and hardware of its own; predictions on it."""

import functools
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ringback.api import creating, paging, shown, wire
from ringback.api.body import read_object
from ringback.api.creating import Order
from ringback.api.fields import Fields
from ringback.api.models import check_name, name_of
from ringback.api.paging import Part
from ringback.api.service import Service
from ringback.rules.schema import invalid_input
from ringback.store import accounts, deployments, models, versions
from ringback.store.database import Tx
from ringback.store.deployments import Deployment, Page, Place
from ringback.words.errors import Conflict, Invalid, InvalidField, NotFound

_PAGE = 100
_MOST = 1000
"""Deployments of an account."""

_FEWEST, _MOST_KEPT, _MOST_AT_ALL = 0, 5, 20
"""Instances (replicate.com/docs/reference/http#deployments.create)."""

_LONGEST = 300
_CREATE = ("name", "model", "version", "hardware", "min_instances", "max_instances")
_UPDATE = ("version", "hardware", "min_instances", "max_instances")
_NOT_FOUND = "The requested resource could not be found."


async def index(here: Service, request: Request) -> Response:
    """GET /deployments: newest first."""
    account = await here.authenticator.account(request)
    at = paging.cursor(request.query_params)
    place = None if at is None else Place(at.key, at.name)
    is_next = at is not None and at.side == "next"

    async def read(tx: Tx) -> tuple[Page, str]:
        before, after = (place, None) if is_next else (None, place)
        page = await deployments.page(tx, account, _PAGE, before=before, after=after)
        return page, await accounts.username(tx, account)

    page, username = await here.outbox.database.read(read)
    results = [shown.deployment(each, username) for each in page.items]
    places = [(each.created_at, each.name) for each in page.items]
    return paging.page(here, request, "/deployments", Part(results, places, page.newer, page.older))


async def create(here: Service, request: Request) -> Response:
    """POST /deployments; answers 200, as Replicate does."""
    account = await here.authenticator.account(request)
    fields = Fields(await read_object(request, here.body_limit), _CREATE)
    fields.require(*_CREATE)
    name, model = check_name(fields, "name"), fields.text("model", _LONGEST) or ""
    values = _values(fields, here)
    fields.raise_faults()
    made = await here.outbox.database.write(
        functools.partial(_create, account=account, name=name, model=model, values=values)
    )
    here.runners.changed()
    return await _answer(here, account, made.name)


def _values(fields: Fields, here: Service) -> dict[str, Any]:
    """Take what a release is made of, as far as it is given."""
    version = fields.text("version", _LONGEST)
    values = {
        "version": None if version is None else version.lower(),
        "hardware": fields.option("hardware", here.hardware),
        "min_instances": fields.number("min_instances", _FEWEST, _MOST_KEPT),
        "max_instances": fields.number("max_instances", _FEWEST, _MOST_AT_ALL),
    }
    return {key: value for key, value in values.items() if value is not None}


async def _create(tx: Tx, account: str, name: str, model: str, values: dict[str, Any]) -> Deployment:
    wanted = Deployment(f"{await accounts.username(tx, account)}/{name}", account, model, **values)
    await _check(tx, wanted)
    if await deployments.count(tx, account) >= _MOST:
        raise Conflict(f"There are {_MOST:,} deployments of this account already.")
    made = await deployments.create(tx, wanted)
    if made is None:
        raise Conflict(f"A deployment with the name {wanted.name} exists already.")
    return made


async def _check(tx: Tx, wanted: Deployment) -> None:
    """Check what only the store, or several values together, can say.

    Raises:
        Invalid: it has fewer instances at most than at least, or no version that its account may run.
    """
    if wanted.min_instances > wanted.max_instances:
        told = f"Must be less than or equal to max_instances, which is {wanted.max_instances}"
        raise invalid_input((InvalidField("number_lte", "min_instances", told),))
    is_seen = await models.get(tx, wanted.account, wanted.model) is not None
    if not is_seen or await versions.shown(tx, wanted.model, wanted.version) is None:
        raise Invalid(
            "The specified version does not exist (or perhaps you don't have permission to use it?)",
            title="Invalid version or not permitted",
        )


async def get(here: Service, request: Request) -> Response:
    """GET /deployments/{owner}/{name}."""
    account = await here.authenticator.account(request)
    return await _answer(here, account, name_of(request))


async def _answer(here: Service, account: str, name: str) -> Response:
    async def read(tx: Tx) -> tuple[Deployment, str]:
        return await _own(tx, account, name), await accounts.username(tx, account)

    return Response(shown.deployment(*await here.outbox.database.read(read)), media_type="application/json")


async def _own(tx: Tx, account: str, name: str) -> Deployment:
    found = await deployments.get(tx, name)
    if found is None or found.account != account:
        raise NotFound(_NOT_FOUND)
    return found


async def update(here: Service, request: Request) -> Response:
    """PATCH /deployments/{owner}/{name}: a new release, if anything changes by it."""
    account, name = await here.authenticator.account(request), name_of(request)
    await here.outbox.database.read(lambda tx: _own(tx, account, name))
    fields = Fields(await read_object(request, here.body_limit), _UPDATE)
    values = _values(fields, here)
    fields.raise_faults()
    await here.outbox.database.write(functools.partial(_update, account=account, name=name, values=values))
    here.runners.changed()
    return await _answer(here, account, name)


async def _update(tx: Tx, account: str, name: str, values: dict[str, Any]) -> None:
    found = await _own(tx, account, name)
    await _check(tx, replace(found, **values))
    await deployments.release(tx, found, values)


async def delete(here: Service, request: Request) -> Response:
    """DELETE /deployments/{owner}/{name}: once its predictions have ended."""
    account, name = await here.authenticator.account(request), name_of(request)

    async def remove(tx: Tx) -> None:
        await _own(tx, account, name)
        if await deployments.is_busy(tx, name):
            raise Conflict(f"The deployment {name} has predictions that have not ended.")
        await deployments.delete(tx, name)

    await here.outbox.database.write(remove)
    here.runners.changed()
    return Response(status_code=204)


async def create_prediction(here: Service, request: Request) -> Response:
    """POST /deployments/{owner}/{name}/predictions: on the deployment's version, by its replicas."""
    account, name = await here.authenticator.account(request), name_of(request)

    async def understood(body: dict[str, Any]) -> Order:
        found = await here.outbox.database.read(lambda tx: _own(tx, account, name))
        version = await here.catalog.resolve(account, f"{found.model}:{found.version}")
        return Order(version, wire.create(body, here.hooks, with_version=False), pool=name)

    return await creating.create(here, request, account, understood)
