"""Models: those that the server was told to serve, which are everybody's, and those that accounts have made.

A model's versions stand in store/versions.py. One that is no longer served stays as a row: its name, and the
versions that it had, are nobody else's to take over.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from ringback.store import accounts
from ringback.store.database import Row, Tx, queries
from ringback.words.errors import SetupError

Q = queries("models")

MadeBy = Literal["configuration", "command", "api"]
Order = Literal["made", "released"]
"""What a list of models is sorted by: when each was made, or when its latest version came."""

TEXTS = ("description", "readme", "github_url", "paper_url", "weights_url", "license_url")
"""What may be changed of any model, one that is served by the configuration too."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model.

    Attributes:
        name: owner/name.
        account: whose it is; empty for one that the server was told to serve: everybody's.
        made_by: `configuration`, `command` (of the operator) or `api`.
        visibility: `public`, or `private`: only its account sees it.
        hardware: a SKU.
        run_count: how often its predictions have been begun.
        created_at: microseconds since the epoch.
    """

    name: str
    account: str
    made_by: MadeBy
    visibility: Literal["public", "private"]
    hardware: str
    description: str | None
    github_url: str | None
    paper_url: str | None
    weights_url: str | None
    license_url: str | None
    cover_image_url: str | None
    run_count: int
    created_at: int


@dataclass(frozen=True, slots=True)
class New:
    """A model to make over the API; see `Model`."""

    name: str
    account: str
    visibility: str
    hardware: str
    description: str | None
    github_url: str | None
    paper_url: str | None
    license_url: str | None
    cover_image_url: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """A model's place in a sorted list: its key (microseconds, negative when sorted down), then its name."""

    key: int
    name: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a sorted list, and whether there is more on either side."""

    items: list[Place]
    earlier: bool
    later: bool


async def register(tx: Tx, name: str, made_by: MadeBy, settings: str = "{}", hardware: str = "cpu") -> None:
    """Serve a model from now on, as the configuration or the operator says.

    One that the first account, the operator's, has made over the API before is everybody's from then on.

    Args:
        tx: the transaction.
        name: owner/name.
        made_by: `configuration` or `command`.
        settings: of a `command`: JSON, as a table of the configuration.
        hardware: the SKU that it runs on.

    Raises:
        SetupError: another account has made it, and could go on changing what would run for everybody.
    """
    row = await tx.row(Q["account"], name)
    if row is not None and row[0] not in ("", await accounts.default(tx)):
        owner = await accounts.username(tx, row[0])
        raise SetupError(
            f"model {name}: the account {owner} has made a model of this name over the API; serve yours "
            f"under another name, or delete that one first (DELETE /v1/models/{name} with a token of {owner})"
        )
    await tx.run(Q["register"], name, made_by, settings, hardware, tx.now)


async def withdraw(tx: Tx, name: str) -> None:
    """Serve a model no longer. What waits still runs."""
    await tx.run(Q["withdraw"], name)


async def retire(tx: Tx, configured: Collection[str]) -> None:
    """Withdraw the models that came from the configuration and are not in it any more."""
    for (name,) in await tx.rows(Q["configured"]):
        if name not in configured:
            await withdraw(tx, name)


async def commanded(tx: Tx) -> list[tuple[str, str]]:
    """Give the models that the operator has added by command: (owner/name, settings)."""
    return [(name, settings) for name, settings in await tx.rows(Q["commanded"])]


async def create(tx: Tx, new: New) -> bool:
    """Make a model; say False, and do nothing, if there is or was one of this name."""
    values = (getattr(new, key) for key in New.__dataclass_fields__)
    return await tx.run(Q["create"], *values, tx.now) == 1


async def count(tx: Tx, account: str) -> int:
    """Count the models that an account has made."""
    row = await tx.row(Q["count"], account)
    return 0 if row is None else int(row[0])


async def get(tx: Tx, account: str, name: str) -> Model | None:
    """Give a model that this account may see ('' sees what everybody sees), or None."""
    return _model(await tx.row(Q["get"], name, account))


def _model(row: Row | None) -> Model | None:
    return None if row is None else Model(*row)


async def hardware(tx: Tx, name: str) -> str:
    """Give the SKU that a model runs on; `cpu` if it is not known."""
    row = await tx.row(Q["hardware"], name)
    return "cpu" if row is None else str(row[0])


async def readme(tx: Tx, name: str) -> str | None:
    """Give the text that a model was given as its readme, or None."""
    row = await tx.row(Q["readme"], name)
    return None if row is None else row[0]


async def update(tx: Tx, model: Model, changes: Mapping[str, str | None]) -> None:
    """Change some of a model's `TEXTS`."""
    values = {key: getattr(model, key, None) for key in TEXTS} | {"readme": await readme(tx, model.name)}
    values |= changes
    await tx.run(Q["update"], model.name, *(values[key] for key in TEXTS))


async def delete(tx: Tx, name: str) -> None:
    """Remove a model that has no versions."""
    await tx.run(Q["forget_examples"], name)
    await tx.run(Q["delete"], name)


async def used_by(tx: Tx, name: str) -> str | None:
    """Say what still needs a model, or None: a training that makes a version of it, or a deployment."""
    if await tx.row(Q["has_training"], name) is not None:
        return "a training"
    return None if await tx.row(Q["deployed"], name) is None else "a deployment"


async def page(
    tx: Tx, account: str, order: Order, size: int, *, down: bool, after: Place | None, before: Place | None
) -> Page:
    """List the models that an account may see, by `order`, then by name.

    Args:
        tx: the transaction.
        account: who asks.
        order: what they are sorted by.
        size: models on a page.
        down: whether the latest comes first.
        after: give what follows this place; None for the beginning, unless `before` is given.
        before: give what stands before this place.
    """
    sign = -1 if down else 1
    if before is not None:
        rows = await tx.rows(Q["preceding"], account, order, sign, before.key, before.name, size + 1)
        items = [Place(key, name) for name, key in rows[:size]][::-1]
        return Page(items, earlier=len(rows) > size, later=True)
    start = after or Place(-(1 << 62), "")
    rows = await tx.rows(Q["following"], account, order, sign, start.key, start.name, size + 1)
    items = [Place(key, name) for name, key in rows[:size]]
    return Page(items, earlier=after is not None, later=len(rows) > size)


async def texts(tx: Tx, account: str, after: str, limit: int) -> list[tuple[str, str]]:
    """Give name and description of the models that an account may see, by name, from `after` on."""
    return [(name, description) for name, description in await tx.rows(Q["texts"], account, after, limit)]
