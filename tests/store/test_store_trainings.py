"""The end of a training and the version it makes, and who may have one made where."""

import pytest

from ringback.store import models, predictions, runs, trainings, versions
from ringback.store.database import Tx
from ringback.store.predictions import New, Wanted
from ringback.store.runs import Change, Ending
from ringback.store.subjects import Hold
from ringback.store.trainings import NO_DESTINATION, Result, made_version
from ringback.store.versions import SourceFile
from ringback.words import json
from ringback.words.json import Raw
from store.world import ACCOUNT, MODEL, VERSION, World

LINE = "someone/line"
SCHEMA = '{"components":{"schemas":{"Input":{},"TrainingInput":{}}}}'
SOURCES = [
    SourceFile("cog.yaml", 0o644, 4, b"run:", None),
    SourceFile("large.bin", 0o600, 20_000_000, None, "/models/large.bin"),
]
RESULT = Result("f1/line.json", "http://ringback.example/f/f1/line.json", {"error": Raw(b"0.5")})
SUCCEEDED = Ending("succeed", chunks=(("logs", "done\n"),), started_at=1, predict_us=2_000_000)


@pytest.fixture(autouse=True)
async def _base(world: World) -> None:
    """A model that can be trained, and one that has no version yet."""

    async def registered(tx: Tx) -> None:
        await models.register(tx, MODEL, "configuration")
        await versions.register(
            tx, VERSION, MODEL, "predict.py:Predictor", SCHEMA, SOURCES, train="train.py:train"
        )
        await models.create(tx, models.New(LINE, ACCOUNT, "private", "cpu", *[None] * 5))

    await world.database.write(registered)


async def begun(world: World, destination: str = LINE) -> Hold:
    """Create a training, claim it and say that it has started."""
    new = New(
        world.ids.make(world.now), ACCOUNT, VERSION, MODEL, "{}", None, "training", "train", None, destination
    )
    await world.database.write(lambda tx: predictions.create(tx, new))
    (claim,) = await world.database.write(lambda tx: runs.claim(tx, VERSION, "train", "worker_1", 1))
    assert (claim.kind, claim.account) == ("training", ACCOUNT)
    await world.advance(claim.hold, started=True)
    return claim.hold


async def ended(world: World, hold: Hold, result: Result = RESULT) -> Change:
    return await world.database.write(lambda tx: trainings.end(tx, hold, SUCCEEDED, result, world.telling()))


async def status(world: World, hold: Hold) -> tuple[str, str | None, object]:
    found = await world.database.read(lambda tx: predictions.get(tx, ACCOUNT, hold.id))
    assert found is not None
    facts, chunks = found
    return facts.status, facts.error, [json.decode(data.encode()) for kind, data in chunks if kind == "value"]


async def made(world: World) -> list[str]:
    """The ids of all versions but the base."""
    return [id_ for (id_,) in await world.rows("SELECT id FROM versions WHERE id <> $1", VERSION)]


async def test_a_training_ends_with_the_base_in_a_version_of_its_destination(world: World) -> None:
    hold = await begun(world)
    world.wait(1)
    change = await ended(world, hold)
    id_ = made_version(VERSION, hold.id)
    assert (change.held, change.reached) == (True, (MODEL, "succeeded"))
    output = {"version": f"{LINE}:{id_}", "weights": RESULT.url, "error": 0.5}
    assert await status(world, hold) == ("succeeded", None, [output])
    latest = await world.database.read(lambda tx: versions.latest(tx, LINE))
    assert latest is not None
    assert (latest.id, latest.entry, latest.openapi_schema) == (id_, "predict.py:Predictor", SCHEMA)
    assert (latest.train, latest.weights, latest.created_at) == ("train.py:train", "f1/line.json", world.now)
    assert await world.database.read(lambda tx: versions.sources(tx, id_)) == SOURCES
    assert await world.database.read(lambda tx: versions.sources(tx, VERSION)) == SOURCES


async def test_the_versions_id_depends_on_the_base_and_the_training_only(world: World) -> None:
    assert made_version(VERSION, "a") == made_version(VERSION, "a")
    assert len({made_version(VERSION, "a"), made_version(VERSION, "b"), made_version("cd" * 32, "a")}) == 3
    assert len(made_version(VERSION, "a")) == 64


async def test_a_version_that_was_made_can_be_trained_again(world: World) -> None:
    hold = await begun(world, MODEL)
    world.wait(1)
    await ended(world, hold)
    first = made_version(VERSION, hold.id)
    latest = await world.database.read(lambda tx: versions.latest(tx, MODEL))
    assert latest is not None
    assert (latest.id, latest.train) == (first, "train.py:train")


async def test_a_training_that_was_canceled_makes_no_version(world: World) -> None:
    hold = await begun(world)
    await world.cancel(hold.id)
    before = await world.dump()
    assert not (await ended(world, hold)).held
    assert await world.dump() == before
    assert await made(world) == []


async def test_a_training_whose_worker_was_given_up_makes_no_version(world: World) -> None:
    hold = await begun(world)
    await world.hand_back(hold)
    assert not (await ended(world, hold)).held
    assert await made(world) == []


async def test_a_training_whose_destination_is_gone_fails_and_says_so(world: World) -> None:
    hold = await begun(world)
    await world.database.write(lambda tx: models.delete(tx, LINE))
    assert (await ended(world, hold)).reached == (MODEL, "failed")
    assert await status(world, hold) == ("failed", NO_DESTINATION, [])
    assert await made(world) == []


async def test_a_destination_that_is_no_longer_served_gets_its_version_all_the_same(world: World) -> None:
    await world.database.write(lambda tx: models.register(tx, "other/line", "configuration"))
    hold = await begun(world, "other/line")
    await world.database.write(lambda tx: models.withdraw(tx, "other/line"))
    await ended(world, hold)
    assert await made(world) == [made_version(VERSION, hold.id)]


async def test_a_transaction_that_is_not_committed_leaves_neither_the_end_nor_the_version(
    world: World,
) -> None:
    hold = await begun(world)

    async def cut_off(tx: Tx) -> None:
        assert (await trainings.end(tx, hold, SUCCEEDED, RESULT, world.telling())).held
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await world.database.write(cut_off)
    assert await status(world, hold) == ("processing", None, [])
    assert await made(world) == []


@pytest.mark.parametrize(
    ("account", "destination", "may"),
    [
        (ACCOUNT, LINE, True),
        (ACCOUNT, MODEL, True),
        (ACCOUNT, "someone/public", True),
        ("acct_2", "someone/public", False),
        ("acct_2", LINE, False),
        ("acct_2", MODEL, False),  # its new versions would run for everybody
        (ACCOUNT, "nobody/nothing", False),
        (ACCOUNT, "", False),
    ],
)
async def test_a_destination_is_the_accounts_own_and_what_is_served_for_all_is_the_operators(
    world: World, account: str, destination: str, may: bool
) -> None:
    public = models.New("someone/public", ACCOUNT, "public", "cpu", *[None] * 5)
    await world.database.write(lambda tx: models.create(tx, public))
    assert await world.database.read(lambda tx: trainings.may_train(tx, account, destination)) is may


async def test_trainings_and_predictions_are_listed_apart(world: World) -> None:
    hold = await begun(world)
    id_ = await world.create()
    for kind, expected in (("training", [hold.id]), ("prediction", [id_])):
        page = await world.database.read(
            lambda tx, kind=kind: predictions.page(tx, ACCOUNT, 10, Wanted(kind))  # type: ignore[misc]
        )
        assert page.ids == expected
