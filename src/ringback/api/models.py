"""Models: list, make, show, change, delete; their readmes and examples."""

import functools
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ringback.api import paging, shown
from ringback.api.body import read_object
from ringback.api.fields import Fields
from ringback.api.fitting import fitting
from ringback.api.paging import Part
from ringback.api.service import Service
from ringback.rules.schema import invalid_input
from ringback.store import accounts, examples, models, versions
from ringback.store.database import Tx
from ringback.store.examples import Example
from ringback.store.models import Model, New, Order, Place
from ringback.words.errors import Conflict, Forbidden, InvalidField, NotFound

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
"""What may be called owner or name of a model or a deployment that is made over the API."""

PAGE = 25
"""Models, versions or examples on a page: each comes with a schema, or with its output."""

_MOST = 1000
"""Models of an account (replicate.com/docs/reference/http#models.create)."""

_VISIBILITIES = ("public", "private")
_SORTS: dict[str, Order] = {"model_created_at": "made", "latest_version_created_at": "released"}
_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 5_000
_LONGEST_README = 500_000
_NOT_FOUND = "The requested resource could not be found."
_CREATE = (
    "owner",
    "name",
    "visibility",
    "hardware",
    "description",
    "github_url",
    "paper_url",
    "license_url",
    "cover_image_url",
)


def name_of(request: Request) -> str:
    """Give the owner/name in the path."""
    return "{owner}/{name}".format(**request.path_params)


async def index(here: Service, request: Request) -> Response:
    """GET /models: those with the latest versions first, unless asked otherwise."""
    account = await here.authenticator.account(request)
    query, at = request.query_params, paging.cursor(request.query_params)
    by = _choice(query.get("sort_by", "latest_version_created_at"), "sort_by", tuple(_SORTS))
    down = _choice(query.get("sort_direction", "desc"), "sort_direction", ("asc", "desc")) == "desc"
    place = None if at is None else Place(at.key, at.name)
    is_next = at is not None and at.side == "next"

    after, before = (place, None) if is_next else (None, place)
    page = await here.outbox.database.read(
        lambda tx: models.page(tx, account, _SORTS[by], PAGE, down=down, after=after, before=before)
    )
    places = [(each.key, each.name) for each in page.items]
    results = list((await shown.listed(here, account, [name for _, name in places])).values())
    return paging.page(here, request, "/models", Part(results, places, page.earlier, page.later))


def _choice(value: str, key: str, options: tuple[str, ...]) -> str:
    if value not in options:
        told = ", ".join(f'"{option}"' for option in options)
        raise invalid_input((InvalidField("enum", key, f"Must be one of the following: {told}"),))
    return value


async def create(here: Service, request: Request) -> Response:
    """POST /models: a model without versions yet; a training with it as its destination makes one."""
    account = await here.authenticator.account(request)
    new = _new(await read_object(request, here.body_limit), account, here)
    await here.outbox.database.write(functools.partial(_create, new=new))
    here.catalog.forget()
    return await _answer(here, account, new.name, 201)


def _new(body: dict[str, Any], account: str, here: Service) -> New:
    fields = Fields(body, _CREATE)
    fields.require("owner", "name", "visibility", "hardware")
    new = New(
        f"{check_name(fields, 'owner')}/{check_name(fields, 'name')}",
        account,
        fields.option("visibility", _VISIBILITIES) or "",
        fields.option("hardware", here.hardware) or "",
        fields.text("description", _LONGEST_DESCRIPTION),
        *(fields.url(key) for key in ("github_url", "paper_url", "license_url", "cover_image_url")),
    )
    fields.raise_faults()
    return new


def check_name(fields: Fields, key: str) -> str:
    """Take an owner or a name out of a body; its absence is somebody else's to mind."""
    name = fields.text(key, _LONGEST_NAME)
    if name is not None and len(name) <= _LONGEST_NAME and not NAME.fullmatch(name):
        told = "Must be of small letters, digits, dots, dashes, underscores; a letter or digit at each end"
        fields.fault("pattern", key, told)
    return name or ""


async def _create(tx: Tx, new: New) -> None:
    owner = new.name.partition("/")[0]
    await _check_owner(tx, owner, new.account)
    if await models.count(tx, new.account) >= _MOST:
        raise Conflict(
            f"There are {_MOST:,} models of this account already: delete some that are not needed."
        )
    if not await models.create(tx, new):
        raise Conflict(f"A model with the name {new.name} exists already, or existed.")


async def _check_owner(tx: Tx, owner: str, account: str) -> None:
    """Keep accounts from names that are not theirs: the operator may want to serve a model there one day."""
    username = await accounts.username(tx, account)
    if owner == username:
        return
    if account != await accounts.default(tx):
        told = f'Must be the name of your account: "{username}"'
        raise invalid_input((InvalidField("enum", "owner", told),))
    if await accounts.of_username(tx, owner) is not None:
        raise Forbidden(f"The owner {owner} is another account.")


async def get(here: Service, request: Request) -> Response:
    """GET /models/{owner}/{name}."""
    account = await here.authenticator.account(request)
    return await _answer(here, account, name_of(request))


async def _answer(here: Service, account: str, name: str, status: int = 200) -> Response:
    found = await here.outbox.database.read(lambda tx: shown.view(tx, account, name))
    if found is None:
        raise NotFound(_NOT_FOUND)
    return Response(shown.model(here, found), status, media_type="application/json")


async def update(here: Service, request: Request) -> Response:
    """PATCH /models/{owner}/{name}: its texts; what is null is taken away, what is absent stays."""
    account, name = await here.authenticator.account(request), name_of(request)
    await here.outbox.database.read(lambda tx: to_change(tx, account, name))
    body = await read_object(request, here.body_limit)
    fields = Fields(body, models.TEXTS)
    changes = {key: _text(fields, key, body) for key in models.TEXTS if key in body}
    fields.raise_faults()

    async def change(tx: Tx) -> None:
        await models.update(tx, await to_change(tx, account, name), changes)

    await here.outbox.database.write(change)
    return await _answer(here, account, name)


def _text(fields: Fields, key: str, body: dict[str, Any]) -> str | None:
    if key.endswith("_url"):
        return fields.url(key) if body[key] != "" else None
    return fields.text(key, _LONGEST_README if key == "readme" else _LONGEST_DESCRIPTION)


async def to_change(tx: Tx, account: str, name: str) -> Model:
    """Give a model that this account may change.

    Raises:
        NotFound: there is none such that it may see.
        Forbidden: it may see it only. What the server was told to serve is changed by the server's first
            account, which is the operator's.
    """
    found = await models.get(tx, account, name)
    if found is None:
        raise NotFound(_NOT_FOUND)
    owner = found.account or await accounts.default(tx)
    if owner != account:
        raise Forbidden(f"The model {name} is another account's.")
    return found


async def delete(here: Service, request: Request) -> Response:
    """DELETE /models/{owner}/{name}: one made over the API, without versions and predictions."""
    account, name = await here.authenticator.account(request), name_of(request)
    await here.outbox.database.write(functools.partial(_delete, account=account, name=name))
    here.catalog.forget()
    return Response(status_code=204)


async def _delete(tx: Tx, account: str, name: str) -> None:
    found = await to_change(tx, account, name)
    if found.made_by == "configuration":
        raise Conflict(f'The configuration of the server serves {name}: take [models."{name}"] out of it.')
    if found.made_by == "command":
        raise Conflict(f"The operator has added {name}: `ringback models remove {name}` takes it away.")
    if await versions.latest(tx, name) is not None:
        raise Conflict(f"The model {name} has versions: delete them first.")
    if found.run_count:
        raise Conflict(f"The model {name} has predictions.")
    used = await models.used_by(tx, name)
    if used is not None:
        raise Conflict(f"The model {name} is needed by {used} still.")
    await models.delete(tx, name)


async def readme(here: Service, request: Request) -> Response:
    """GET /models/{owner}/{name}/readme: what it was given, or the README.md of its latest version."""
    account, name = await here.authenticator.account(request), name_of(request)

    async def read(tx: Tx) -> str | None:
        if await models.get(tx, account, name) is None:
            return None
        given = await models.readme(tx, name)
        latest = None if given is not None else await versions.latest(tx, name)
        return given if latest is None else await versions.text(tx, latest.id, "README.md")

    text = await here.outbox.database.read(read)
    if text is None:
        raise NotFound(_NOT_FOUND)
    return Response(text, headers={"x-content-type-options": "nosniff"}, media_type="text/plain")


async def list_examples(here: Service, request: Request) -> Response:
    """GET /models/{owner}/{name}/examples: predictions that the operator has marked, the latest first."""
    account, name = await here.authenticator.account(request), name_of(request)
    at = paging.cursor(request.query_params)
    place = None if at is None else Example(at.key, at.name)
    is_next = at is not None and at.side == "next"

    async def read(tx: Tx) -> examples.Page | None:
        if await models.get(tx, account, name) is None:
            return None
        before, after = (place, None) if is_next else (None, place)
        return await examples.page(tx, name, PAGE, before=before, after=after)

    page = await here.outbox.database.read(read)
    if page is None:
        raise NotFound(_NOT_FOUND)
    part = await _examples(here, page, 1 if is_next or at is None else -1)
    return paging.page(here, request, f"/models/{name}/examples", part)


async def _examples(here: Service, page: examples.Page, way: int) -> Part:
    """Show as many of a page's examples as fit, cut at the end away from the cursor (`way` -1: the first)."""
    marked = {each.id: each.at for each in page.items}
    found = await fitting(
        here.outbox.database,
        list(marked)[::way],
        examples.prediction,
        lambda *each: shown.example(here, each),
    )
    items = found.items[::way]
    return Part(
        [text for _, text in items],
        [(marked[id_], id_) for id_, _ in items],
        page.newer or (found.is_cut and way < 0),
        page.older or (found.is_cut and way > 0),
    )
