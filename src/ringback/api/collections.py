"""Collections of models, which the configuration names: list and show."""

from dataclasses import dataclass

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import paging, shown
from ringback.api.paging import Part
from ringback.api.service import Service
from ringback.words.errors import NotFound


@dataclass(frozen=True, slots=True)
class _Head:
    name: str
    slug: str
    description: str


async def index(here: Service, request: Request) -> Response:
    """GET /collections: all of them on one page."""
    await here.authenticator.account(request)
    heads = [_Head(each.name, each.slug, each.description) for each in here.collections]
    return paging.page(here, request, "/collections", Part([msgspec.json.encode(each) for each in heads], []))


async def get(here: Service, request: Request) -> Response:
    """GET /collections/{slug}: with its models, those left out that are not served or not to be seen."""
    account = await here.authenticator.account(request)
    found = next((each for each in here.collections if each.slug == request.path_params["slug"]), None)
    if found is None:
        raise NotFound("The requested resource could not be found.")
    texts = await shown.listed(here, account, found.models)
    body = {
        "name": found.name,
        "slug": found.slug,
        "description": found.description,
        "full_description": found.full_description,
        "models": [Raw(text) for text in texts.values()],
    }
    return Response(msgspec.json.encode(body), media_type="application/json")
