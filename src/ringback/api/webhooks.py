"""The account's signing secret: read it, rotate it."""

from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api.service import Service
from ringback.store import accounts
from ringback.words.ids import unguessable
from ringback.words.signature import new_secret

_PRIVATE = {"cache-control": "no-store"}


async def secret(here: Service, request: Request) -> Response:
    """GET and POST /webhooks/default/secret: the current secret.

    POST does the same as GET: the way to it that is most often described uses POST, and following that twice
    must not break a receiver.
    """
    account = await here.authenticator.account(request)
    key = await here.outbox.database.read(lambda tx: accounts.secret(tx, account))
    return Response(msgspec.json.encode({"key": key}), 200, _PRIVATE, media_type="application/json")


async def rotate(here: Service, request: Request) -> Response:
    """POST /webhooks/default/secret/rotate: a new secret; the former one signs too for the overlap."""
    account = await here.authenticator.account(request)
    key = new_secret(here.entropy)
    verb = partial(
        accounts.rotate,
        account=account,
        secret_id=unguessable(here.entropy),
        key=key,
        overlap_s=here.overlap_s,
    )
    await here.outbox.database.write(verb)
    return Response(msgspec.json.encode({"key": key}), 200, _PRIVATE, media_type="application/json")
