"""POST /webhooks/test: one signed attempt with a realistic prediction, and what came of it."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import wire
from ringback.api.body import read_object
from ringback.api.service import Service
from ringback.deliver.sample import Sent, Shape, of_model, text_to_image
from ringback.rules.retry import SECOND
from ringback.store import accounts, versions
from ringback.words import json
from ringback.words.ids import unguessable


async def send(here: Service, request: Request) -> Response:
    """POST /webhooks/test: nothing is stored, nothing is tried again."""
    account = await here.authenticator.account(request)
    asked = wire.test(await read_object(request, here.body_limit), here.hooks)
    shape = await _shape(here, account, asked.model)
    secrets = await here.outbox.database.read(lambda tx: accounts.live_secrets(tx, account))
    id_ = here.ids.make(here.clock())
    sent = await here.samples.send(id_, asked.event, asked.url, shape, secrets, here.links)
    return Response(_told(sent), media_type="application/json")


async def _shape(here: Service, account: str, model: str | None) -> Shape:
    file = f"{here.links.base}/f/{unguessable(here.entropy)}/output.png"
    if model is None:
        return text_to_image(file)
    known = await here.catalog.latest(account, model)
    version = await here.outbox.database.read(lambda tx: versions.get(tx, known.id))
    schema = {} if version is None else json.decode(version.openapi_schema.encode())
    return of_model(known.model, known.id, schema, file)


def _told(sent: Sent) -> bytes:
    result = sent.result
    return msgspec.json.encode(
        {
            "delivered": result.cause == "acknowledged",
            "cause": result.cause,
            "status": result.status,
            "diagnosis": result.diagnosis or None,
            "duration": result.duration_us / SECOND,
            # whatever a refused address said is not for whoever may choose where to knock
            "excerpt": None if result.cause == "refused" else result.excerpt,
            "request": {"headers": sent.headers, "body": sent.body.decode()},
        }
    )
