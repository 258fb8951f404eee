"""Keys of create requests: an account's own, for a day."""

from msgspec.structs import replace

from ringback.store import predictions
from ringback.store.predictions import Created, Idempotency, New
from store.world import ACCOUNT, MODEL, VERSION, World


async def create(world: World, key: str, account: str = ACCOUNT, digest: str = "d") -> Created:
    new = New(world.ids.make(world.now), account, VERSION, MODEL, "{}", None)
    new = replace(new, idempotency=Idempotency(key, digest))
    return await world.database.write(lambda tx: predictions.create(tx, new))


async def keys(world: World) -> int:
    row = await world.database.read(lambda tx: tx.row("SELECT count(*) FROM idempotency"))
    assert row is not None
    return int(row[0])


async def test_a_key_is_the_accounts_own(world: World) -> None:
    one, two = await create(world, "k"), await create(world, "k", "acct_2", "other")
    assert one.facts.id != two.facts.id
    assert not two.replayed


async def test_a_key_stands_for_a_day_and_is_free_again_then(world: World) -> None:
    first = await create(world, "k")
    world.wait(24 * 3600 - 1)
    assert (await create(world, "k")).facts.id == first.facts.id
    world.wait(1)
    later = await create(world, "k", digest="other")
    assert not later.replayed
    assert (await create(world, "k", digest="other")).facts.id == later.facts.id


async def test_old_keys_do_not_pile_up(world: World) -> None:
    for number in range(50):
        await create(world, f"old-{number}")
    world.wait(24 * 3600)
    for number in range(10):
        await create(world, f"new-{number}")
    assert await keys(world) == 10


async def test_a_key_whose_prediction_is_gone_makes_a_new_one(world: World) -> None:
    first = await create(world, "k")
    await world.database.write(lambda tx: tx.run("DELETE FROM predictions"))
    again = await create(world, "k")
    assert again.facts.id != first.facts.id
    assert not again.replayed
