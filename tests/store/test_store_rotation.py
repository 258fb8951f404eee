"""Secrets and key pairs through rotations, under a clock that is moved."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ringback.rules.rotation import Age
from ringback.store import accounts, signing_keys
from ringback.store.lanes import Owed
from ringback.store.migrations import scripts
from ringback.store.signing_keys import Keyring
from ringback.words.ed25519 import SigningKey, new_key
from store.world import ACCOUNT, BROKEN, World, hook, opened

FIRST = "whsec_c2VjcmV0"
DAY = 86400.0


def key(number: int) -> str:
    return f"whsec_{number:04}"


async def rotate(world: World, number: int, overlap_s: float = DAY) -> str:
    return await world.database.write(
        lambda tx: accounts.rotate(
            tx, ACCOUNT, secret_id=f"id_{number}", key=key(number), overlap_s=overlap_s
        )
    )


async def live(world: World) -> tuple[str, ...]:
    return await world.database.read(lambda tx: accounts.live_secrets(tx, ACCOUNT))


async def ages(world: World) -> list[Age]:
    return await world.database.read(lambda tx: accounts.ages(tx, ACCOUNT))


async def test_of_four_rotations_within_the_overlap_the_newest_three_sign(world: World) -> None:
    signed = [await live(world)]
    for number in range(1, 5):
        world.wait(3600)
        assert await rotate(world, number) == key(number)
        signed.append(await live(world))
    assert signed == [
        (FIRST,),
        (key(1), FIRST),
        (key(2), key(1), FIRST),
        (key(3), key(2), key(1)),
        (key(4), key(3), key(2)),
    ]


async def test_each_former_secret_stops_at_the_end_of_its_own_overlap(world: World) -> None:
    for number in range(1, 5):
        world.wait(3600)
        await rotate(world, number)
    found = []
    for hours in (22, 1, 1):  # the second was replaced an hour ago, the third just now
        world.wait(hours * 3600)
        found.append(await live(world))
    assert found == [(key(4), key(3), key(2)), (key(4), key(3)), (key(4),)]


async def test_a_rotation_asked_for_again_within_a_minute_gives_the_secret_already_made(world: World) -> None:
    assert await rotate(world, 1) == key(1)
    before = await world.dump()
    for number in range(2, 6):
        world.wait(14)
        assert await rotate(world, number) == key(1)
    assert await world.dump() == before
    assert await live(world) == (key(1), FIRST)
    world.wait(4)
    assert await rotate(world, 6) == key(6)


async def test_without_an_overlap_the_former_secret_stops_at_once_and_a_repetition_changes_nothing(
    world: World,
) -> None:
    await rotate(world, 1, overlap_s=0)
    assert await live(world) == (key(1),)
    assert await rotate(world, 2, overlap_s=0) == key(1)
    assert await live(world) == (key(1),)


async def test_a_clock_that_steps_back_an_hour_forbids_no_rotation_and_changes_no_order(world: World) -> None:
    await rotate(world, 1)
    world.wait(-3600)
    assert await rotate(world, 2) == key(2)
    assert await live(world) == (key(2), key(1), FIRST)
    world.wait(300)
    assert await rotate(world, 3) == key(3)
    assert await live(world) == (key(3), key(2), key(1))


async def test_what_has_expired_is_removed_by_the_next_rotation(world: World) -> None:
    await rotate(world, 1)
    world.wait(DAY)
    assert len(await ages(world)) == 2
    await rotate(world, 2)
    assert [age.id for age in await ages(world)] == ["id_2", "id_1"]


async def test_ages_tell_when_each_came_and_goes_and_no_value(world: World) -> None:
    came = world.now
    world.wait(100)
    await rotate(world, 1)
    assert await ages(world) == [
        Age("id_1", world.now, None),
        Age("secret_1", came, world.now + int(DAY * 1e6)),
    ]


async def test_an_attempt_in_flight_during_a_rotation_keeps_its_secrets_and_the_next_has_the_new_one(
    world: World,
) -> None:
    hold = await world.running(hook("start"))
    work = await world.head()
    await rotate(world, 1)
    assert work.secrets == (FIRST,)
    owed: Owed = await world.settle(work, BROKEN)
    assert owed.due is not None
    world.clock.now = owed.due
    again = await world.head()
    assert (again.number, again.body) == (work.number, work.body)
    assert again.secrets == (key(1), FIRST)
    assert hold.id == again.prediction_id


async def test_a_repr_of_what_is_to_be_sent_shows_no_secret_and_no_body(world: World) -> None:
    await world.running(hook("start"))
    claimed = await world.lanes()
    (work,) = claimed.works
    for shown in (repr(work), str(work), f"{work}", repr(claimed)):
        assert FIRST not in shown
        assert "webhook" not in shown
        assert f"evt_{work.prediction_id}_1" in shown


async def test_secrets_of_an_older_schema_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "ringback.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        for number, sql in scripts()[:2]:
            connection.executescript(f"{sql}; PRAGMA user_version = {number};")
        connection.execute("INSERT INTO accounts VALUES (?, 'ringback', 1)", (ACCOUNT,))
        far = 1 << 60
        connection.executemany(
            "INSERT INTO secrets VALUES (?, ?, ?, ?, ?)",
            [
                ("z", ACCOUNT, key(1), 10, far),
                ("b", ACCOUNT, key(3), 30, None),
                ("a", ACCOUNT, key(2), 20, far),
            ],
        )
        connection.commit()
    async with opened(tmp_path) as world:
        assert await live(world) == (key(3), key(2), key(1))
        await rotate(world, 4)
        assert await live(world) == (key(4), key(3), key(2))


def entropy(size: int, made: list[int] = []) -> bytes:  # noqa: B006 - it counts: each key is another one
    made.append(size)
    return bytes([len(made)]) * size


def names(keys: list[SigningKey]) -> list[str]:
    return [each.kid for each in keys]


async def keyring(world: World) -> Keyring:
    found = Keyring(world.database, world.clock, entropy)
    await found.open()
    return found


async def test_the_key_pair_is_made_once_and_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        (first,) = (await keyring(world)).signing()
    async with opened(tmp_path) as world:
        assert (await keyring(world)).signing() == [first]


async def test_after_a_rotation_both_key_pairs_sign_for_the_overlap_and_then_the_new_one_alone(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as world:
        ring = await keyring(world)
        (old,) = ring.signing()
        new = await ring.rotate(3600)
        assert names(ring.signing()) == [new.kid, old.kid]
        assert names((await keyring(world)).signing()) == [new.kid, old.kid]
        world.wait(3599)
        assert names(ring.signing()) == [new.kid, old.kid]
        world.wait(1)
        assert names(ring.signing()) == [new.kid]


@pytest.mark.parametrize("step_s", [61, -3600])
async def test_of_several_rotations_of_the_key_pair_the_newest_two_sign(world: World, step_s: int) -> None:
    ring = await keyring(world)
    made = []
    for _ in range(4):
        world.wait(step_s)
        made.append((await ring.rotate(DAY)).kid)
    assert names(ring.signing()) == [made[3], made[2]]


async def test_a_rotation_of_the_key_pair_asked_for_again_gives_the_one_already_made(world: World) -> None:
    ring = await keyring(world)
    (old,) = ring.signing()
    new = await ring.rotate(DAY)
    world.wait(59)
    assert await ring.rotate(DAY) == new
    assert names(ring.signing()) == [new.kid, old.kid]


async def test_without_an_overlap_the_former_key_pair_stops_at_once(world: World) -> None:
    ring = await keyring(world)
    new = await ring.rotate(0)
    assert names(ring.signing()) == [new.kid]


@pytest.mark.parametrize("shown", [repr, str])
async def test_a_repr_of_what_is_kept_shows_no_private_key(world: World, shown: type) -> None:
    text = new_key(entropy)
    await world.database.write(lambda tx: signing_keys.ensure(tx, text))
    found = await world.database.read(signing_keys.kept)
    assert found[0].key.public in shown(found)
    assert text[5:40] not in shown(found)
