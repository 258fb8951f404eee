"""Accounts, models, versions and deployments as JSON, in the form that Replicate's clients read.

Fields: replicate.com/docs/reference/http#models.get, #models.versions.get, #deployments.get.
"""

import asyncio
import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import Raw, structs

from ringback.api.fitting import PAGE_BYTES
from ringback.api.service import Service
from ringback.rules.snapshot import Chunk, Facts, render, timestamp
from ringback.store import examples, models, predictions, versions
from ringback.store.database import Tx
from ringback.store.deployments import Deployment
from ringback.store.models import Model
from ringback.store.versions import Version

COG_VERSION = "0.16.12"
"""The version of Cog whose form our openapi_schema has; the clients want one."""

EXAMPLE_BYTES = 1_000_000
"""Bytes of a model's example above which a list of models leaves it out: the model itself shows it."""

Example = tuple[Facts, list[Chunk]]


@dataclass(frozen=True, slots=True)
class View:
    """A model with its latest version and its example, as they were at one moment."""

    model: Model
    latest: Version | None
    example: Example | None


async def view(tx: Tx, account: str, name: str, room: int | None = None) -> View | None:
    """Read what is shown of a model that this account may see, or None; no example longer than `room`."""
    found = await models.get(tx, account, name)
    if found is None:
        return None
    example = await examples.newest(tx, name)
    if example is not None and room is not None and not await predictions.fits(tx, example, room):
        example = None
    return View(
        found,
        await versions.latest(tx, name),
        None if example is None else await examples.prediction(tx, example),
    )


async def listed(here: Service, account: str, names: Iterable[str]) -> dict[str, bytes]:
    """Give the JSON of several models by name, those left out that this account may not see.

    They are read one by one, and others have their turn in between. Examples are left out that are above
    `EXAMPLE_BYTES`, or for which there is no room on the page.
    """
    texts: dict[str, bytes] = {}
    left = PAGE_BYTES
    for name in names:
        room = min(EXAMPLE_BYTES, left)
        found = await here.outbox.database.read(
            functools.partial(view, account=account, name=name, room=room)
        )
        if found is not None:
            texts[name] = model(here, found)
            left -= len(texts[name])
        await asyncio.sleep(0)
    return texts


def model(here: Service, found: View) -> bytes:
    """Give a model's JSON."""
    made, (owner, _, name) = found.model, found.model.name.partition("/")
    body: dict[str, Any] = {
        "url": f"{here.links.base}/m/{made.name}",
        "owner": owner,
        "name": name,
        "description": made.description,
        "visibility": made.visibility,
        "is_official": False,
        "github_url": made.github_url,
        "paper_url": made.paper_url,
        "license_url": made.license_url,
        "run_count": made.run_count,
        "cover_image_url": made.cover_image_url,
        "default_example": None if found.example is None else Raw(example(here, found.example)),
        "latest_version": None if found.latest is None else Raw(version(found.latest)),
        "created_at": timestamp(made.created_at),
    }
    if made.weights_url is not None:
        body["weights_url"] = made.weights_url
    return msgspec.json.encode(body)


def version(found: Version) -> bytes:
    """Give a version's JSON."""
    return msgspec.json.encode(
        {
            "id": found.id,
            "created_at": timestamp(found.created_at),
            "cog_version": COG_VERSION,
            "openapi_schema": Raw(found.openapi_schema.encode()),
        }
    )


def example(here: Service, found: Example) -> bytes:
    """Give an example's JSON: a prediction without what concerns only its maker, such as its webhook."""
    facts, chunks = found
    facts = structs.replace(facts, webhook=None, pool="", deadline=None)
    return render(facts, chunks, replace(here.links, key=b""))


def account(username: str) -> dict[str, Any]:
    """Give an account's JSON, to be encoded."""
    # The older Python client wants github_url to be there.
    return {"type": "user", "username": username, "name": username, "avatar_url": None, "github_url": None}


def deployment(found: Deployment, username: str) -> bytes:
    """Give a deployment's JSON; `username` is its account's."""
    owner, _, name = found.name.partition("/")
    release = {
        "number": found.number,
        "model": found.model,
        "version": found.version,
        "created_at": timestamp(found.released_at),
        "created_by": account(username),
        "configuration": {
            "hardware": found.hardware,
            "min_instances": found.min_instances,
            "max_instances": found.max_instances,
        },
    }
    return msgspec.json.encode({"owner": owner, "name": name, "current_release": release})
