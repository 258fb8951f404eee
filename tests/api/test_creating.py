"""What the transaction that writes a prediction looks at first: all that the prediction hangs on."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace
from starlette.requests import Request

from ringback.api import wire
from ringback.api.catalog import Known
from ringback.api.creating import Order, create, record
from ringback.rules.schema import InputSchema
from ringback.store import deployments, models, predictions, versions
from ringback.store.deployments import Deployment
from ringback.store.predictions import Created, Idempotency, New
from ringback.words.errors import Unavailable
from store.world import ACCOUNT, MODEL, VERSION, World, opened

OTHER_VERSION, OTHER_ACCOUNT = "02" * 32, "acct_other"
DEPLOYMENT, DESTINATION = "ringback/front", "ringback/target"


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A store with a version, a deployment of it, and a destination for trainings."""
    async with opened(tmp_path) as found:
        write = found.database.write
        for id_ in (VERSION, OTHER_VERSION):
            await write(lambda tx, id_=id_: versions.register(tx, id_, MODEL, "predict.py:run", "{}", []))  # type: ignore[misc] # bound now
        await write(lambda tx: models.register(tx, MODEL, "configuration"))
        new = models.New(DESTINATION, ACCOUNT, "private", "cpu", None, None, None, None, None)
        await write(lambda tx: models.create(tx, new))
        made = Deployment(DEPLOYMENT, ACCOUNT, MODEL, VERSION, "cpu", 0, 1)
        await write(lambda tx: deployments.create(tx, made))
        yield found


def plain(world: World) -> New:
    return New(world.ids.make(world.now), ACCOUNT, VERSION, MODEL, "{}", None)


def on_deployment(world: World) -> New:
    return replace(plain(world), pool=DEPLOYMENT)


def training(world: World) -> New:
    return replace(plain(world), kind="training", pool="train", destination=DESTINATION)


async def written(world: World, new: New) -> Created | None:
    made = await world.database.write(lambda tx: record(tx, new))
    found = await world.database.read(lambda tx: predictions.get(tx, new.account, new.id))
    assert (found is None) == (made is None or made.replayed)
    return made


async def test_each_kind_is_written_while_all_is_there(world: World) -> None:
    for new in (plain(world), on_deployment(world), training(world)):
        assert await written(world, new) is not None


async def test_nothing_is_written_once_the_version_is_deleted(world: World) -> None:
    await world.database.write(lambda tx: versions.remove(tx, VERSION))
    for new in (plain(world), on_deployment(world), training(world)):
        assert await written(world, new) is None


async def test_nothing_is_written_once_the_model_is_served_no_more(world: World) -> None:
    await world.database.write(lambda tx: models.withdraw(tx, MODEL))
    for new in (plain(world), on_deployment(world), training(world)):
        assert await written(world, new) is None


async def test_a_private_model_is_run_by_its_own_account_only(world: World) -> None:
    await world.database.write(
        lambda tx: versions.register(tx, "03" * 32, DESTINATION, "predict.py:run", "{}", [])
    )
    own = replace(plain(world), version="03" * 32, model=DESTINATION)
    assert await written(world, own) is not None
    other = replace(own, id=world.ids.make(world.now), account=OTHER_ACCOUNT)
    assert await written(world, other) is None


async def test_nothing_is_written_once_the_deployment_is_deleted_or_moved(world: World) -> None:
    found = await world.database.read(lambda tx: deployments.get(tx, DEPLOYMENT))
    assert found is not None
    await world.database.write(lambda tx: deployments.release(tx, found, {"version": OTHER_VERSION}))
    assert await written(world, on_deployment(world)) is None
    assert await written(world, replace(on_deployment(world), version=OTHER_VERSION)) is not None
    await world.database.write(lambda tx: deployments.delete(tx, DEPLOYMENT))
    assert await written(world, replace(on_deployment(world), version=OTHER_VERSION)) is None


async def test_nothing_is_written_once_the_destination_is_deleted(world: World) -> None:
    await world.database.write(lambda tx: models.delete(tx, DESTINATION))
    assert await written(world, training(world)) is None
    assert await written(world, plain(world)) is not None


async def test_a_repeat_finds_what_was_written_before_it_was_gone(world: World) -> None:
    keyed = replace(plain(world), idempotency=Idempotency("key", "digest"))
    assert await written(world, keyed) is not None
    await world.database.write(lambda tx: versions.remove(tx, VERSION))
    again = await written(world, replace(keyed, id=world.ids.make(world.now)))
    assert again is not None
    assert (again.facts.id, again.replayed) == (keyed.id, True)


async def test_what_is_gone_each_time_it_is_looked_at_is_given_up(world: World) -> None:
    looks: list[str] = []
    here: Any = SimpleNamespace(
        body_limit=1000,
        clock=world.clock,
        ids=world.ids,
        outbox=SimpleNamespace(database=world.database),
        catalog=SimpleNamespace(forget=lambda: looks.append("forgotten")),
    )

    async def body() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def understood(_: dict[str, Any]) -> Order:
        looks.append("understood")
        schema = InputSchema({"components": {"schemas": {"Input": {"type": "object"}}}})
        return Order(Known("05" * 32, MODEL, schema), wire.Create(None, {}, None))

    request = Request({"type": "http", "method": "POST", "path": "/predictions", "headers": []}, body)
    with pytest.raises(Unavailable, match="ask again"):
        await create(here, request, ACCOUNT, understood)
    assert looks == ["understood", "forgotten"] * 5
