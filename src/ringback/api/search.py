"""Search in names and descriptions, of the models that whoever asks may see and of collections."""

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from ringback.api import paging, shown
from ringback.api.body import read
from ringback.api.paging import Part
from ringback.api.service import Service
from ringback.rules import search as rules
from ringback.rules.schema import invalid_input
from ringback.store import models
from ringback.store.database import Tx
from ringback.words import json
from ringback.words.errors import InvalidField, Malformed

_LIMIT, _MOST = 20, 50
"""Models found (replicate.com/docs/reference/http#search)."""

_AT_A_TIME = 100
"""Models that are looked at before others have their turn."""

_LONGEST_BODY = 10_000
"""Bytes of a query in a body."""


async def everything(here: Service, request: Request) -> Response:
    """GET /search?query=…&limit=…: models and collections."""
    account = await here.authenticator.account(request)
    query = request.query_params.get("query", "")
    if not query.strip():
        raise Malformed('Query parameter "query" is required')
    words = rules.words(query)
    found = await _models(here, account, words, _limit(request.query_params.get("limit", str(_LIMIT))))
    results = [
        {
            "model": Raw(text),
            "metadata": {"generated_description": None, "tags": [], "score": score},
        }
        for score, text in found
    ]
    collections = await here.outbox.database.read(lambda tx: _collections(tx, here, account, words))
    body = {"query": query, "models": results, "collections": collections, "pages": []}
    return Response(msgspec.json.encode(body), media_type="application/json")


async def _collections(tx: Tx, here: Service, account: str, words: Sequence[str]) -> list[dict[str, Any]]:
    """Find collections, with the names of their models that whoever asks may see."""
    return [
        {
            "name": each.name,
            "slug": each.slug,
            "description": each.description,
            "models": [name for name in each.models if await models.get(tx, account, name) is not None],
        }
        for each in here.collections
        if rules.score(words, f"{each.slug} {each.name}", each.description)
    ]


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= _MOST:
        raise invalid_input((InvalidField("format", "limit", f"Must be a number from 1 to {_MOST}"),))
    return int(text)


async def in_models(here: Service, request: Request) -> Response:
    """QUERY /models: the body is the query, plain or (as two of the clients send it) as a JSON string."""
    account = await here.authenticator.account(request)
    query = _query(await read(request, _LONGEST_BODY))
    found = await _models(here, account, rules.words(query), _MOST)
    return paging.page(here, request, "/models", Part([text for _, text in found], []))


def _query(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Malformed("The request's body, the query, must be UTF-8.") from None
    try:
        value = json.decode(body)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


async def _models(here: Service, account: str, words: Sequence[str], limit: int) -> list[tuple[float, bytes]]:
    """Find models, those that fit best first, each with how well it fits."""
    best = sorted([each async for each in _scored(here, account, words)])[:limit]
    texts = await shown.listed(here, account, [name for _, name in best])
    return [(-score, texts[name]) for score, name in best if name in texts]


async def _scored(here: Service, account: str, words: Sequence[str]) -> AsyncIterator[tuple[float, str]]:
    """Give the models that fit: minus how well, and the name. Others have their turn in between."""
    name = ""
    while True:
        texts = await here.outbox.database.read(functools.partial(_texts, account=account, after=name))
        for name, description in texts:
            score = rules.score(words, name, description)
            if score:
                yield -score, name
        if len(texts) < _AT_A_TIME:
            return
        await asyncio.sleep(0)


async def _texts(tx: Tx, account: str, after: str) -> list[tuple[str, str]]:
    return await models.texts(tx, account, after, _AT_A_TIME)
