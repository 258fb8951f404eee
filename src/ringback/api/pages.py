"""Pages for a person: what the `urls.web` of a prediction and the `url` of a model lead to, without data."""

from html import escape

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.service import Service
from ringback.rules.snapshot import timestamp
from ringback.store import models, predictions
from ringback.words.errors import NotFound
from ringback.words.ids import PREDICTION_ID

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{id}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1rem}}
dt{{color:#666}}dd{{margin:0 0 .8rem}}
code{{background:#f3f3f3;padding:.1rem .3rem;word-break:break-all}}</style>
<h1>{status}</h1>
<dl><dt>Prediction<dd><code>{id}</code><dt>Model<dd>{model}
<dt>Created<dd>{created}<dt>Completed<dd>{completed}</dl>
<p>Its input, output and logs are for those who have the token:</p>
<p><code>curl -H "Authorization: Bearer $REPLICATE_API_TOKEN" {url}</code></p>
"""
_MODEL = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{name}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1rem}}
code{{background:#f3f3f3;padding:.1rem .3rem;word-break:break-all}}</style>
<h1>{name}</h1>
<p>What it is and what it takes is for those who have a token:</p>
<p><code>curl -H "Authorization: Bearer $REPLICATE_API_TOKEN" {url}</code></p>
"""
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


async def prediction(here: Service, request: Request) -> Response:
    """Show status, model and times to whoever has the (unguessable) id."""
    id_ = str(request.path_params["id"])
    facts = None
    if PREDICTION_ID.fullmatch(id_):
        facts = await here.outbox.database.read(lambda tx: predictions.facts(tx, id_))
    if facts is None:
        raise NotFound("The requested resource could not be found.")
    page = _PAGE.format(
        id=facts.id,
        status=facts.status,
        model=escape(facts.model),
        created=timestamp(facts.created_at),
        completed="not yet" if facts.completed_at is None else timestamp(facts.completed_at),
        url=escape(f"{here.links.base}/v1/predictions/{facts.id}"),
    )
    return Response(page, 200, _HEADERS, media_type="text/html")


async def model(here: Service, request: Request) -> Response:
    """Say how to ask for a model; of a private one, not even that it is there."""
    name = "{owner}/{name}".format(**request.path_params)
    found = await here.outbox.database.read(lambda tx: models.get(tx, "", name))
    if found is None:
        raise NotFound("The requested resource could not be found.")
    page = _MODEL.format(name=escape(name), url=escape(f"{here.links.base}/v1/models/{name}"))
    return Response(page, 200, _HEADERS, media_type="text/html")
