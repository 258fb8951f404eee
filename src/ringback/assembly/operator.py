"""What the operator's orders do, in a running server or with the data folder alone."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from ringback.assembly import opening, orders
from ringback.assembly.clock import steady
from ringback.assembly.config import ModelConfig, checked_model
from ringback.assembly.data import DataFolder
from ringback.assembly.orders import Order
from ringback.assembly.world import World
from ringback.rules.snapshot import timestamp
from ringback.store import accounts, examples
from ringback.store.accounts import Token
from ringback.store.database import Database, Tx
from ringback.words.errors import Invalid, NotFound, SetupError
from ringback.words.ids import Entropy

_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
"""The form of the first half of a model's name: an account may own models."""

_LONGEST_NAME = 100


class Models(Protocol):
    """The models of a running server."""

    async def add(self, name: str, model: ModelConfig) -> None:
        """Serve a model from now on, and after a restart."""

    async def remove(self, name: str) -> None:
        """Serve a model no longer."""

    async def reload(self, name: str) -> dict[str, str]:
        """Read a model's folder anew; give the `version` it holds and the model's `latest`."""

    async def listed(self) -> list[dict[str, Any]]:
        """Give the models that are served, each with its version and how busy it is."""


@dataclass(frozen=True, slots=True)
class Premises:
    """What orders work with.

    Attributes:
        database: the data folder's.
        entropy: random bytes.
        forget: told the digest of a token that was revoked.
        models: those of the running server; None if there is none.
    """

    database: Database
    entropy: Entropy
    forget: Callable[[str], None]
    models: Models | None


async def carry(here: Premises, order: Order) -> Any:
    """Carry out an order, and give what there is to say, as JSON's values.

    Raises:
        RingbackError: it can't be done; says why.
        SetupError: a model can't be served; says why.
    """
    return await _VERBS[type(order)](here, order)


def alone(world: World, data: DataFolder, order: Order) -> Any:
    """Carry out an order on a data folder that no server uses; see `carry`."""

    async def done() -> Any:
        async with opening.opened(data, steady(world.clock, world.boot), world) as database:
            return await carry(Premises(database, world.entropy, lambda _: None, None), order)

    return asyncio.run(done())


async def _new_token(here: Premises, order: orders.NewToken) -> dict[str, str]:
    if order.account and not _USERNAME.fullmatch(order.account):
        raise Invalid(f"{order.account!r} is no username: up to 64 of lower-case letters, digits and . - _")
    if len(order.name) > _LONGEST_NAME or not order.name.isprintable():
        raise Invalid(f"a token's name is one line of at most {_LONGEST_NAME} characters")
    # The operator's, whosever token comes first; by itself, since the first account is the oldest one.
    first = await opening.first_account(here.database, here.entropy)
    account = opening.NewAccount(order.account, here.entropy)
    token = opening.NewToken(order.name, here.entropy)

    async def make(tx: Tx) -> str:
        id_: str | None = first
        if order.account:
            id_ = await accounts.of_username(tx, order.account)
        if id_ is None:
            await account.add(tx)
            id_ = account.id
        await token.add(tx, id_)
        return await accounts.username(tx, id_)

    return {"token": token.text, "id": token.id, "account": await here.database.write(make)}


async def _list_tokens(here: Premises, order: orders.ListTokens) -> list[dict[str, Any]]:
    found = await here.database.read(lambda tx: accounts.tokens(tx, order.account or None))
    return [_shown(token) for token in found]


def _shown(token: Token) -> dict[str, Any]:
    revoked = None if token.revoked_at is None else timestamp(token.revoked_at)
    return {**asdict(token), "created_at": timestamp(token.created_at), "revoked_at": revoked}


async def _revoke_token(here: Premises, order: orders.RevokeToken) -> None:
    digest = await here.database.write(lambda tx: accounts.revoke(tx, order.id))
    if digest is None:
        raise NotFound(f"there is no valid token {order.id!r}: ringback token list shows their ids")
    here.forget(digest)


async def _add_model(here: Premises, order: orders.AddModel) -> None:
    await _running(here).add(order.name, checked_model(order.name, order.settings, "models add", Path("/")))


async def _remove_model(here: Premises, order: orders.RemoveModel) -> None:
    await _running(here).remove(order.name)


async def _reload_model(here: Premises, order: orders.ReloadModel) -> dict[str, dict[str, str]]:
    running = _running(here)
    names = [order.name] if order.name else [each["name"] for each in await running.listed()]
    return {name: await running.reload(name) for name in names}


async def _list_models(here: Premises, _order: orders.ListModels) -> list[dict[str, Any]]:
    return await _running(here).listed()


def _running(here: Premises) -> Models:
    if here.models is None:
        raise SetupError("no server is running on this data folder: start it with `ringback serve`")
    return here.models


async def _mark_example(here: Premises, order: orders.MarkExample) -> None:
    if order.action == "add":
        if await here.database.write(lambda tx: examples.add(tx, order.prediction)) is None:
            raise NotFound(f"there is no prediction {order.prediction!r} that has succeeded")
    elif not await here.database.write(lambda tx: examples.remove(tx, order.prediction)):
        raise NotFound(f"the prediction {order.prediction!r} is no example")


_VERBS: dict[type, Callable[[Premises, Any], Awaitable[Any]]] = {
    orders.NewToken: _new_token,
    orders.ListTokens: _list_tokens,
    orders.RevokeToken: _revoke_token,
    orders.AddModel: _add_model,
    orders.ListModels: _list_models,
    orders.RemoveModel: _remove_model,
    orders.ReloadModel: _reload_model,
    orders.MarkExample: _mark_example,
}
