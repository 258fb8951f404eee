"""Models, their versions, deployments and examples in the store."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.store import accounts, deployments, examples, models, predictions, versions
from ringback.store.deployments import Deployment
from ringback.store.models import New, Order, Place
from ringback.store.predictions import New as Prediction
from ringback.store.runs import Ending
from ringback.store.versions import SourceFile
from ringback.words.errors import SetupError
from store.world import ACCOUNT, MODEL, VERSION, World

FIRST, SECOND, TRAINED = "01" * 32, "02" * 32, "03" * 32
OTHER = "acct_other"


async def register(world: World, id_: str, model: str = MODEL, weights: str = "") -> None:
    """Register a version, as a start does it, a while after what was before."""
    world.wait(1)
    await world.database.write(
        lambda tx: versions.register(tx, id_, model, "predict.py:run", "{}", [], weights=weights)
    )


async def latest(world: World, model: str = MODEL) -> str | None:
    found = await world.database.read(lambda tx: versions.latest(tx, model))
    return None if found is None else found.id


async def make(world: World, name: str, account: str = ACCOUNT, visibility: str = "public") -> bool:
    new = New(name, account, visibility, "cpu", None, None, None, None, None)
    return await world.database.write(lambda tx: models.create(tx, new))


async def seen(world: World, name: str, account: str = ACCOUNT) -> models.Model | None:
    return await world.database.read(lambda tx: models.get(tx, account, name))


async def serve(world: World, *names: str) -> None:
    """Start with these models in the configuration."""
    for name in names:
        await world.database.write(lambda tx, name=name: models.register(tx, name, "configuration"))  # type: ignore[misc] # bound now
    await world.database.write(lambda tx: models.retire(tx, names))


async def test_a_start_makes_a_version_the_latest_and_the_next_one_leaves_it_so(world: World) -> None:
    await register(world, FIRST)
    await register(world, SECOND)
    assert await latest(world) == SECOND
    await register(world, SECOND)
    assert await latest(world) == SECOND


async def test_what_a_training_made_remains_the_latest_over_a_restart(world: World) -> None:
    await register(world, FIRST)
    await register(world, TRAINED, weights="http://ringback.example/f/weights")
    await register(world, FIRST)
    assert await latest(world) == TRAINED
    assert await world.database.read(lambda tx: versions.configured(tx, MODEL)) == FIRST


async def test_sources_that_come_back_are_the_latest_again(world: World) -> None:
    await register(world, FIRST)
    await register(world, SECOND)
    await register(world, TRAINED, weights="http://ringback.example/f/weights")
    await register(world, FIRST)
    assert await latest(world) == FIRST


async def test_a_removed_version_is_shown_no_more_and_keeps_its_sources(world: World) -> None:
    source = SourceFile("predict.py", 0o644, 2, b"ok", None)
    await register(world, FIRST)
    await world.database.write(
        lambda tx: versions.register(tx, SECOND, MODEL, "predict.py:run", "{}", [source])
    )
    await world.database.write(lambda tx: versions.remove(tx, SECOND))
    assert await latest(world) == FIRST
    assert await world.database.read(lambda tx: versions.shown(tx, MODEL, SECOND)) is None
    page = await world.database.read(lambda tx: versions.page(tx, MODEL, 10))
    assert [place.id for place in page.items] == [FIRST]
    assert await world.database.read(lambda tx: versions.get(tx, SECOND)) is not None
    assert await world.database.read(lambda tx: versions.sources(tx, SECOND)) == [source]
    await register(world, SECOND)
    assert await latest(world) == SECOND


async def test_a_version_with_predictions_that_wait_is_needed(world: World) -> None:
    await register(world, VERSION)
    assert await world.database.read(lambda tx: versions.used_by(tx, VERSION)) is None
    hold = await world.running()
    assert await world.database.read(lambda tx: versions.used_by(tx, VERSION)) is not None
    await world.end(hold, Ending("succeed"))
    assert await world.database.read(lambda tx: versions.used_by(tx, VERSION)) is None


async def test_a_model_that_leaves_the_configuration_is_not_to_be_seen_until_it_is_back(world: World) -> None:
    await serve(world, "a/one", "a/two")
    await serve(world, "a/two")
    assert await seen(world, "a/one") is None
    assert await seen(world, "a/two", OTHER) is not None
    assert not await make(world, "a/one")
    await serve(world, "a/one", "a/two")
    assert await seen(world, "a/one") is not None


async def test_what_the_first_account_made_is_everybodys_once_it_is_served(world: World) -> None:
    assert await make(world, "ringback/own", visibility="private")
    assert await seen(world, "ringback/own", OTHER) is None
    await serve(world, "ringback/own")
    model = await seen(world, "ringback/own", OTHER)
    assert model is not None
    assert (model.account, model.made_by, model.visibility) == ("", "configuration", "public")
    await serve(world)
    assert await seen(world, "ringback/own") is None


async def test_what_another_account_made_is_never_served(world: World) -> None:
    add = accounts.create
    await world.database.write(
        lambda tx: add(tx, id=OTHER, username="other", secret_id="secret_other", secret="whsec_b3RoZXI=")
    )
    assert await make(world, "acme/own", OTHER)
    with pytest.raises(SetupError, match="the account other has made a model of this name over the API"):
        await serve(world, "acme/own")
    model = await seen(world, "acme/own")
    assert model is not None
    assert (model.account, model.made_by) == (OTHER, "api")


async def test_models_added_by_command_are_remembered_until_they_are_withdrawn(world: World) -> None:
    await world.database.write(lambda tx: models.register(tx, "a/added", "command", '{"dir":"/m"}'))
    await serve(world)
    assert await world.database.read(models.commanded) == [("a/added", '{"dir":"/m"}')]
    await world.database.write(lambda tx: models.withdraw(tx, "a/added"))
    assert await world.database.read(models.commanded) == []
    assert await seen(world, "a/added") is None


async def test_a_private_model_is_in_no_list_of_others(world: World) -> None:
    await make(world, "ringback/open")
    await make(world, "ringback/hidden", visibility="private")
    for account, names in [(ACCOUNT, {"ringback/open", "ringback/hidden"}), (OTHER, {"ringback/open"})]:
        texts = await world.database.read(lambda tx, account=account: models.texts(tx, account, "", 10))  # type: ignore[misc] # bound now
        assert {name for name, _ in texts} == names
        assert set(await _walk(world, account, "made", down=True, size=1)) == names


async def _walk(world: World, account: str, order: Order, *, down: bool, size: int) -> list[str]:
    """Go through a list to its end and back again; give its names."""

    async def page(after: Place | None, before: Place | None) -> models.Page:
        return await world.database.read(
            lambda tx: models.page(tx, account, order, size, down=down, after=after, before=before)
        )

    found = await page(None, None)
    assert not found.earlier
    there = [*found.items]
    while found.later:
        found = await page(found.items[-1], None)
        there += found.items
    back = [*found.items]
    while found.earlier:
        found = await page(None, found.items[0])
        back = [*found.items, *back]
    assert back == there
    return [place.name for place in there]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps=st.lists(st.integers(0, 2), min_size=1, max_size=9), size=st.integers(1, 4))
async def test_a_list_of_models_is_whole_and_sorted_whatever_its_pages(
    world: World, gaps: list[int], size: int
) -> None:
    """Models made at the same moment, too: then the name decides."""
    await world.database.write(lambda tx: tx.run("DELETE FROM models"))
    made: list[tuple[int, str]] = []
    for number, gap in enumerate(gaps):
        world.wait(gap)
        name = f"ringback/{'zyxwvutsr'[number]}"
        await make(world, name)
        made.append((world.now, name))
    for order in ("made", "released"):
        for down in (False, True):
            key = 0 if order == "released" else -1 if down else 1
            expected = [name for _, name in sorted((at * key, name) for at, name in made)]
            assert await _walk(world, ACCOUNT, order, down=down, size=size) == expected


async def test_only_a_prediction_that_succeeded_is_an_example(world: World) -> None:
    done, failed = await world.running(), await world.running()
    waiting = await world.create()
    training = Prediction(
        world.ids.make(world.now), ACCOUNT, VERSION, MODEL, "{}", None, kind="training", pool="train"
    )
    await world.database.write(lambda tx: predictions.create(tx, training))
    await world.end(done, Ending("succeed"))
    await world.end(failed, Ending("fail", error="no"))
    for id_, model in [
        (done.id, MODEL),
        (failed.id, None),
        (waiting, None),
        (training.id, None),
        ("x", None),
    ]:
        assert await world.database.write(lambda tx, id_=id_: examples.add(tx, id_)) == model  # type: ignore[misc] # bound now
    assert await world.database.read(lambda tx: examples.newest(tx, MODEL)) == done.id
    assert await world.database.write(lambda tx: examples.remove(tx, done.id))
    assert not await world.database.write(lambda tx: examples.remove(tx, done.id))
    assert await world.database.read(lambda tx: examples.newest(tx, MODEL)) is None


async def test_an_example_marked_anew_comes_first(world: World) -> None:
    ids = []
    for _ in range(3):
        hold = await world.running()
        await world.end(hold, Ending("succeed"))
        ids.append(hold.id)
    for id_ in [*ids, ids[0]]:
        world.wait(1)
        await world.database.write(lambda tx, id_=id_: examples.add(tx, id_))  # type: ignore[misc] # bound now
    page = await world.database.read(lambda tx: examples.page(tx, MODEL, 10))
    assert [each.id for each in page.items] == [ids[0], ids[2], ids[1]]


async def test_a_release_counts_only_what_changes(world: World) -> None:
    new = Deployment("ringback/d", ACCOUNT, MODEL, FIRST, "cpu", 0, 1)
    made = await world.database.write(lambda tx: deployments.create(tx, new))
    assert made is not None
    assert await world.database.write(lambda tx: deployments.create(tx, new)) is None
    world.wait(1)
    same = await world.database.write(lambda tx: deployments.release(tx, made, {"max_instances": 1}))
    assert same == made
    more = await world.database.write(lambda tx: deployments.release(tx, made, {"max_instances": 2}))
    assert (more.number, more.max_instances, more.released_at) == (2, 2, world.now)
    assert await world.database.read(deployments.all_) == [more]


async def test_a_deployment_is_busy_until_its_last_prediction_has_ended(world: World) -> None:
    new = Prediction(world.ids.make(world.now), ACCOUNT, VERSION, MODEL, "{}", None, pool="ringback/d")
    await world.database.write(lambda tx: predictions.create(tx, new))
    assert await world.database.read(lambda tx: deployments.is_busy(tx, "ringback/d"))
    assert not await world.database.read(lambda tx: deployments.is_busy(tx, "ringback/e"))
    await world.cancel(new.id)
    assert not await world.database.read(lambda tx: deployments.is_busy(tx, "ringback/d"))
