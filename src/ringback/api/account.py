"""GET /account: whose token it is."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import shown
from ringback.api.service import Service
from ringback.store import accounts


async def get(here: Service, request: Request) -> Response:
    """GET /account."""
    account = await here.authenticator.account(request)
    username = await here.outbox.database.read(lambda tx: accounts.username(tx, account))
    return Response(msgspec.json.encode(shown.account(username)), media_type="application/json")
