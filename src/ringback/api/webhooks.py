"""What webhooks are signed with: the account's secret, the server's key pair; read, list, rotate."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api.service import Service
from ringback.rules.rotation import Age, signing
from ringback.rules.snapshot import timestamp
from ringback.store import accounts, signing_keys
from ringback.store.database import Tx
from ringback.words.errors import NotFound
from ringback.words.ids import unguessable
from ringback.words.signature import new_secret

_PRIVATE = {"cache-control": "no-store"}

_JWKS_FRESH_S = 300
"""Seconds that whoever fetched the public keys may keep them: well within the overlap of a rotation."""


async def secret(here: Service, request: Request) -> Response:
    """GET and POST /webhooks/default/secret: the current secret.

    POST does the same as GET: the way to it that is most often described uses POST, and following that twice
    must not break a receiver.
    """
    account = await here.authenticator.account(request)
    key = await here.outbox.database.read(lambda tx: accounts.secret(tx, account))
    return _private({"key": key})


async def rotate(here: Service, request: Request) -> Response:
    """POST /webhooks/default/secret/rotate: a new secret; the former one signs too for the overlap.

    A client that got no answer asks again: within a minute it gets the secret that is already made.
    """
    account = await here.authenticator.account(request)
    verb = partial(
        accounts.rotate,
        account=account,
        secret_id=unguessable(here.entropy),
        key=new_secret(here.entropy),
        overlap_s=here.overlap_s,
    )
    return _private({"key": await here.outbox.database.write(verb)})


async def secrets(here: Service, request: Request) -> Response:
    """GET /webhooks/default/secrets: when each secret and key pair came, when it goes, whether it signs.

    Never a value: this is for whoever wants to see how far a rotation is.
    """
    account = await here.authenticator.account(request)

    async def ages(tx: Tx) -> tuple[int, list[Age], list[Age]]:
        return tx.now, await accounts.ages(tx, account), await signing_keys.ages(tx)

    now, symmetric, asymmetric = await here.outbox.database.read(ages)
    limit = signing_keys.SIGNING if here.keyring is not None else 0
    listed = _listed("v1", symmetric, signing(symmetric, now, accounts.SIGNING))
    listed += _listed("v1a", asymmetric, signing(asymmetric, now, limit))
    return _private(listed)


async def rotate_key(here: Service, request: Request) -> Response:
    """POST /webhooks/default/key/rotate: a new key pair; the former one signs too for the overlap.

    It answers with the public half; asked again within a minute, with that of the pair already made.

    Raises:
        NotFound: v1a signatures are off; or another account than the operator's asks: all are signed with it.
    """
    await here.authenticator.operator(request)
    if here.keyring is None:
        raise NotFound("There is no key to rotate: v1a signatures are off (webhooks.v1a)")
    key = await here.keyring.rotate(here.overlap_s)
    return _private({"kid": key.kid, "key": key.public})


async def jwks(here: Service, _request: Request) -> Response:
    """GET /.well-known/jwks.json: the public keys that v1a signatures are checked with (RFC 7517).

    Without authorization: receivers have no token, and the keys are public.
    """
    keys = [] if here.keyring is None else [key.jwk for key in here.keyring.signing()]
    fresh = {"cache-control": f"public, max-age={int(min(_JWKS_FRESH_S, here.overlap_s))}"}
    text = msgspec.json.encode({"keys": keys})
    return Response(text, 200, fresh, media_type="application/jwk-set+json")


def _listed(form: str, ages: Sequence[Age], signs: frozenset[str]) -> list[dict[str, Any]]:
    return [
        {
            "form": form,
            **({"kid": age.id} if form == "v1a" else {}),
            "created_at": timestamp(age.created_at),
            "expires_at": None if age.expires_at is None else timestamp(age.expires_at),
            "signs": age.id in signs,
        }
        for age in ages
    ]


def _private(value: Any) -> Response:
    return Response(msgspec.json.encode(value), 200, _PRIVATE, media_type="application/json")
