"""GET /hardware: what models and deployments can be run on."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api.service import Service


async def index(here: Service, request: Request) -> Response:
    """GET /hardware: a bare array, as Replicate's."""
    await here.authenticator.account(request)
    found = [{"name": name, "sku": sku} for sku, name in here.hardware.items()]
    return Response(msgspec.json.encode(found), media_type="application/json")
