"""Trainings: a prediction of a version's `train` that ends in a new version of a model, its destination."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ringback.api import creating, wire
from ringback.api.creating import Order
from ringback.api.predictions import canceled, id_of, listed, shown
from ringback.api.service import Service
from ringback.store import trainings
from ringback.store.predictions import Wanted
from ringback.words.errors import NotFound


async def create(here: Service, request: Request) -> Response:
    """POST /models/{owner}/{name}/versions/{id}/trainings."""
    account = await here.authenticator.account(request)
    model = "{owner}/{name}".format(**request.path_params)

    async def understood(body: dict[str, Any]) -> Order:
        version = await here.catalog.training(account, model, str(request.path_params["id"]))
        destination, wanted = wire.training(body, here.hooks)
        if not await here.outbox.database.read(lambda tx: trainings.may_train(tx, account, destination)):
            raise NotFound("The specified training destination does not exist")
        return Order(version, wanted, pool=trainings.POOL, kind="training", destination=destination)

    return await creating.create(here, request, account, understood)


async def index(here: Service, request: Request) -> Response:
    """GET /trainings: newest first, a page at a time."""
    account = await here.authenticator.account(request)
    return await listed(here, request, account, Wanted("training"))


async def get(here: Service, request: Request) -> Response:
    """GET /trainings/{id}."""
    account = await here.authenticator.account(request)
    return await shown(here, account, id_of(request), "training")


async def cancel(here: Service, request: Request) -> Response:
    """POST /trainings/{id}/cancel: canceled at once; one that has ended stays as it is."""
    account = await here.authenticator.account(request)
    return await canceled(here, account, id_of(request), "training")
